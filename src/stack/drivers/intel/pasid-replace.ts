/** How a present PASID entry becomes another one: the kernel profile's choice. */
import type { KernelBehaviours } from '../../kernel/profile.ts';
import type { KernelTask } from '../../kernel/task.ts';
import type { DeviceInfo } from './device-info.ts';
import {
  replacePasidEntryAtOnce,
  replacePasidEntryInPlace,
  replacePasidEntrySynced,
  setupPasidEntry,
  tearDownPasidEntry,
} from './pasid-entry-ops.ts';
import type { PasidEntryWords } from './pasid-table.ts';

/** Replaces a present PASID entry as `policy` says. Errors: ENODEV, EINVAL, EBUSY. */
export function* replacePresentEntry(
  policy: KernelBehaviours['pasidReplace'],
  info: DeviceInfo,
  pasid: number,
  words: PasidEntryWords,
): KernelTask<number> {
  switch (policy) {
    case 'in-place':
      return yield* replacePasidEntryInPlace(info, pasid, words);
    case 'entry-sync':
      return yield* replacePasidEntrySynced(info, pasid, words);
    case 'make-before-break':
      return yield* replacePasidEntryAtOnce(info, pasid, words);
    case 'clear-then-update':
      yield* tearDownPasidEntry(info, pasid);
      return yield* setupPasidEntry(info, pasid, words);
  }
}
