/** Which functions of the recorded machine a slot or bus reset takes along. */
import type { VfioDevice } from '../../stack/vfio/device.ts';
import type { AffectedFunction } from '../../stack/vfio/hot-reset.ts';
import { type TopologyDevice, TRANSCRIPT_TOPOLOGY } from './topology.ts';

/** Functions with the same reset key, in bus order; undefined for one that no such reset reaches. */
export function resetScopeOf(
  topology: TopologyDevice,
  devices: ReadonlyMap<string, VfioDevice>,
  groupOf: (name: string) => number | undefined,
): readonly AffectedFunction[] | undefined {
  if (topology.resetKey === undefined) return undefined;
  return TRANSCRIPT_TOPOLOGY.filter((each) => each.resetKey === topology.resetKey).map((each) => ({
    segment: 0,
    bus: each.bus,
    devfn: (each.device << 3) | each.fn,
    groupId: groupOf(each.name),
    device: devices.get(each.name),
  }));
}
