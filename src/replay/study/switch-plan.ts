/**
 * Finds the switches of a recording: an attach where something is attached already (a replace), a detach that is followed
 * by an attach, and a group that leaves its container and enters one again, up to the reopening of its device. Reads a few columns once; memory grows with the number of switches only.
 */
import type { BundleReader } from '../../trace/reader.ts';
import { NONE_U32 } from '../../trace/schema/column-type.ts';
import { RESULT_UNKNOWN } from '../../trace/schema/control-stream.ts';
import { nsFromWords } from '../../units.ts';
import { WITH_PASID } from '../../vfio-flags.ts';

/** What a control row is to a switch. */
export interface SwitchRole {
  readonly part: 'replace' | 'detach' | 'attach';
  /** [ns] Recorded between the detach and the attach; 0 for a replace. */
  readonly gapNs: number;
  /** A group that leaves its container and enters another: the interface has no replace. */
  readonly container: boolean;
}

/** What drivers of mediated devices do. */
export const ACCESSES: ReadonlySet<string> = new Set(['vfio_pin_pages', 'vfio_unpin_pages', 'vfio_dma_rw']);

interface LaneState {
  attached: boolean;
  /** Row of the detach that may begin a switch, -1 = none. */
  detachRow: number;
  detachNs: number;
  /** Through a group: closing the device leaves the container. */
  readonly legacy: boolean;
}

/** Roles by control row. */
export function planSwitches(bundle: BundleReader): ReadonlyMap<number, SwitchRole> {
  const roles = new Map<number, SwitchRole>();
  const lanes = new Map<string, LaneState>();
  const stream = bundle.stream('control');
  const ops = stream.dictionary('op');
  let row = 0;
  for (const { rowCount, columns } of stream.batches()) {
    for (let i = 0; i < rowCount; i++, row++) {
      const op = ops[columns.op[i]!];
      const device = columns.device[i]!;
      if (device === NONE_U32) continue;
      if (op === 'close' || op === 'VFIO_DEVICE_BIND_IOMMUFD') {
        for (const [key, { legacy }] of [...lanes]) if (!legacy && key.startsWith(`${device} `)) lanes.delete(key);
        continue;
      }
      const legacy = op === 'VFIO_GROUP_GET_DEVICE_FD' || op === 'VFIO_GROUP_UNSET_CONTAINER';
      const attaches = op === 'VFIO_DEVICE_ATTACH_IOMMUFD_PT' || op === 'VFIO_GROUP_GET_DEVICE_FD';
      if (!attaches && !legacy && op !== 'VFIO_DEVICE_DETACH_IOMMUFD_PT') continue;
      const pasid = columns.pasid[i]!;
      const key = `${device} ${(columns.flags[i]! & WITH_PASID) !== 0 && pasid !== NONE_U32 ? pasid : 0}`;
      const lane = lanes.get(key) ?? { attached: false, detachRow: -1, detachNs: 0, legacy };
      lanes.set(key, lane);
      const timeNs = nsFromWords(columns.timeNs[2 * i]!, columns.timeNs[2 * i + 1]!);
      const result = columns.recordedResult[i]!;
      const failed = result < 0 && result !== RESULT_UNKNOWN;
      if (!attaches) {
        if (lane.attached && !failed) {
          lane.detachRow = row;
          lane.detachNs = timeNs;
          lane.attached = false;
        }
      } else if (lane.attached) {
        if (!legacy) roles.set(row, { part: 'replace', gapNs: 0, container: false });
      } else if (!failed) {
        if (lane.detachRow >= 0) {
          const gapNs = timeNs - lane.detachNs;
          roles.set(lane.detachRow, { part: 'detach', gapNs, container: legacy });
          roles.set(row, { part: 'attach', gapNs, container: legacy });
        }
        lane.attached = true;
        lane.detachRow = -1;
      }
    }
  }
  return roles;
}

/** How many pins and copies the drivers of these devices make. */
export function countAccesses(bundle: BundleReader, devices: readonly number[]): number {
  const stream = bundle.stream('control');
  const ops = stream.dictionary('op');
  const known = new Set(devices);
  let count = 0;
  for (const { rowCount, columns } of stream.batches()) {
    for (let i = 0; i < rowCount; i++) {
      if (known.has(columns.device[i]!) && ACCESSES.has(ops[columns.op[i]!] ?? '')) count++;
    }
  }
  return count;
}
