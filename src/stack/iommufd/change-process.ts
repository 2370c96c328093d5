/**
 * IOMMU_IOAS_CHANGE_PROCESS: every page source of the context comes to belong to the caller. Only file-backed sources
 * may exist. Source: Linux drivers/iommu/iommufd/ioas.c iommufd_ioas_change_process.
 */
import { Errno } from '../../errno.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { AccountMode, IommufdContext } from './context.ts';
import { Ioas } from './ioas.ts';
import { chargePages, type PageSource } from './page-source.ts';

/** The command. */
export interface ChangeProcessCommand {
  readonly reserved: number;
}

/** EOPNOTSUPP, EBUSY (area being created or removed), EINVAL (not a file), ENOMEM (limit of the caller). */
export function* changeProcess(
  context: IommufdContext,
  process: Process,
  command: ChangeProcessCommand,
): KernelTask<number> {
  if (command.reserved !== 0) return -Errno.EOPNOTSUPP;
  const all: Ioas[] = [];
  for (const object of context.objects.objects()) {
    const ioas = context.objects.acquire(object.id, Ioas);
    if (ioas !== undefined) all.push(ioas);
  }
  for (const ioas of all) yield* ioas.lockAll();
  const rc = move(all, process);
  for (const ioas of all.reverse()) {
    ioas.unlockAll();
    context.objects.release(ioas);
  }
  return rc;
}

function move(all: readonly Ioas[], process: Process): number {
  const sources = new Set<PageSource>();
  for (const ioas of all) {
    for (const area of ioas.areas.all()) {
      if (area.pages === undefined) return -Errno.EBUSY;
      if (area.pages.backing.kind !== 'file') return -Errno.EINVAL;
      sources.add(area.pages);
    }
  }
  const charged: [AccountMode, number][] = [];
  for (const mode of ['user', 'mm'] as const) {
    let pages = 0;
    for (const source of sources) {
      if (source.accountMode === mode && needsCharge(source, process)) pages += source.chargedPages;
    }
    const rc = chargePages(process, mode, pages);
    if (rc !== 0) {
      for (const [done, count] of charged) chargePages(process, done, -count);
      return rc;
    }
    charged.push([mode, pages]);
  }
  for (const source of sources) {
    if (needsCharge(source, process)) chargePages(source.owner, source.accountMode, -source.chargedPages);
    source.owner = process;
  }
  return 0;
}

/** False when the pages are already on the caller's account, and for uncharged ones (need_charge_update). */
function needsCharge(source: PageSource, process: Process): boolean {
  if (source.accountMode === 'none') return false;
  if (source.owner.memory !== process.memory) return true;
  return source.accountMode === 'user' && source.owner.user !== process.user;
}
