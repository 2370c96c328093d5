/**
 * Containers through the newer interface: the same groups, mappings and moves, but each container is an IOAS of one iommufd
 * and a device is bound to that through its node. Leaving one container and entering another then is one replace, at the
 * time at which the recording opened its device again. The container interface itself has no replace, so this is what a
 * policy that replaces means for a program that uses it.
 *
 * What user space does is rewritten call by call: a map goes to the IOAS; entering maps nothing by itself; a container that
 * is entered anew is empty, as a container is that its last group has left. A device stays open until its group leaves
 * for good.
 */
import { U64_MAX } from '../../address.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import { NONE_U32 } from '../../trace/schema/column-type.ts';
import { VFIO_UNMAP_ALL } from '../../vfio-flags.ts';
import type { CallOutcome, ControlCalls } from '../control-player.ts';
import { type ControlRow, emptyRow, type FrameRun } from '../control-row.ts';
import { INJECTED_ROW } from './injected-moves.ts';
import type { SwitchRole } from './switch-plan.ts';

/** Number of the iommufd that stands for all containers: importers number files from 0. */
const CONTEXT = 0xffff_0000;
/** Ids of the IOASes, as those of a recording: above all that a kernel hands out in a trace. */
const FIRST_IOAS = 0x4000_0000;
/** VFIO_DMA_MAP_FLAG_READ, _WRITE (include/uapi/linux/vfio.h). */
const VFIO_READ = 1;
const VFIO_WRITE = 2;
/** IOMMU_IOAS_MAP_FIXED_IOVA, _WRITEABLE, _READABLE (include/uapi/linux/iommufd.h). */
const FIXED_IOVA = 1;
const WRITEABLE = 2;
const READABLE = 4;

const NOTHING: CallOutcome = { result: 0 };

/** A group and what is open of it. */
interface OpenGroup {
  readonly opened: ControlRow;
  container: number | undefined;
  /** True when it entered something that is no container: its calls are performed as recorded. */
  asRecorded: boolean;
  /** Devices opened and not closed again, in the recording. */
  openDevices: number;
  /** Frames that became known when it entered its container. */
  frames: FrameRun[];
}

/** Calls of one machine with containers replaced. */
export class ContainersAsSpaces implements ControlCalls {
  readonly #inner: ControlCalls;
  readonly #roles: ReadonlyMap<number, SwitchRole>;
  readonly #groupOf: (device: number) => number;
  /** IOAS by container. */
  readonly #spaces = new Map<number, number>();
  readonly #groups = new Map<number, OpenGroup>();
  /** Devices whose node is open and bound, with the container they are attached to. */
  readonly #bound = new Map<number, number>();
  #opened = false;

  constructor(
    inner: ControlCalls,
    roles: ReadonlyMap<number, SwitchRole>,
    /** Group of a device of the topology. */
    groupOf: (device: number) => number,
  ) {
    this.#inner = inner;
    this.#roles = roles;
    this.#groupOf = groupOf;
  }

  /** True while the device's group is in a container that an IOAS stands for. */
  covers(device: number): boolean {
    const group = this.#groups.get(this.#groupOf(device));
    return group !== undefined && !group.asRecorded;
  }

  *perform(row: ControlRow): KernelTask<CallOutcome> {
    switch (row.op) {
      case 'open_container':
        return yield* this.#openContainer(row);
      case 'open_group':
        return this.#openGroup(row);
      case 'VFIO_GROUP_SET_CONTAINER':
        return yield* this.#enter(row);
      case 'VFIO_GROUP_UNSET_CONTAINER':
        return yield* this.#leave(row);
      case 'VFIO_GROUP_GET_DEVICE_FD':
        return yield* this.#openDevice(row);
      case 'close':
        return yield* this.#close(row);
      case 'VFIO_SET_IOMMU':
      case 'VFIO_IOMMU_MAP_DMA':
      case 'VFIO_IOMMU_UNMAP_DMA': {
        const ioas = this.#spaces.get(row.context);
        return ioas === undefined ? yield* this.#inner.perform(row) : yield* this.#onSpace(row, ioas);
      }
      default:
        return yield* this.#inner.perform(row);
    }
  }

  *#openContainer(row: ControlRow): KernelTask<CallOutcome> {
    if (!this.#opened) {
      this.#opened = true;
      yield* this.#inner.perform(call(row, { op: 'open_iommufd', context: CONTEXT }));
    }
    const ioas = FIRST_IOAS + this.#spaces.size;
    this.#spaces.set(row.context, ioas);
    return yield* this.#inner.perform(call(row, { op: 'IOMMU_IOAS_ALLOC', context: CONTEXT, recordedObject: ioas }));
  }

  #openGroup(row: ControlRow): CallOutcome {
    const opened = { ...row };
    const group = { opened, container: undefined, asRecorded: false, openDevices: 0, frames: [] };
    this.#groups.set(this.#groupOf(row.device), group);
    return NOTHING;
  }

  *#enter(row: ControlRow): KernelTask<CallOutcome> {
    const group = this.#groups.get(this.#groupOf(row.device));
    if (group === undefined) return yield* this.#inner.perform(row);
    if (group.asRecorded || !this.#spaces.has(row.context)) {
      if (!group.asRecorded) yield* this.#inner.perform(group.opened);
      group.asRecorded = true;
      return yield* this.#inner.perform(row);
    }
    group.container = row.context;
    group.frames.push(...row.frames);
    return NOTHING;
  }

  *#leave(row: ControlRow): KernelTask<CallOutcome> {
    const group = this.#groups.get(this.#groupOf(row.device));
    if (group === undefined || group.asRecorded) return yield* this.#inner.perform(row);
    group.container = undefined;
    if (row.row !== INJECTED_ROW && !this.#roles.has(row.row)) yield* this.#closeNodes(row);
    return NOTHING;
  }

  *#openDevice(row: ControlRow): KernelTask<CallOutcome> {
    const { device } = row;
    const group = this.#groups.get(this.#groupOf(device));
    if (group === undefined || group.asRecorded || group.container === undefined) {
      return yield* this.#inner.perform(row);
    }
    group.openDevices++;
    if (!this.#bound.has(device)) {
      yield* this.#inner.perform(call(row, { op: 'open_cdev', device }));
      const bound = yield* this.#inner.perform(call(row, { op: 'VFIO_DEVICE_BIND_IOMMUFD', device, context: CONTEXT }));
      if (bound.result < 0) return bound;
    } else if (this.#bound.get(device) === group.container) {
      return NOTHING;
    }
    const target = this.#spaces.get(group.container) as number;
    const { frames } = group;
    group.frames = [];
    const outcome = yield* this.#inner.perform(
      call(row, { op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', device, context: CONTEXT, target, frames }),
    );
    if (outcome.result >= 0) this.#bound.set(device, group.container);
    return outcome;
  }

  /** A device, or after its devices the group; or a container, whose IOAS stays. */
  *#close(row: ControlRow): KernelTask<CallOutcome> {
    const group = this.#groups.get(this.#groupOf(row.device));
    if (row.device !== NONE_U32 && group !== undefined && !group.asRecorded) {
      if (group.openDevices > 0) group.openDevices--;
      else {
        this.#groups.delete(this.#groupOf(row.device));
        yield* this.#closeNodes(row);
      }
      return NOTHING;
    }
    if (row.device === NONE_U32 && this.#spaces.has(row.context)) return NOTHING;
    return yield* this.#inner.perform(row);
  }

  /** Closes the nodes of the group's devices: they are attached to nothing any more. */
  *#closeNodes(row: ControlRow): KernelTask<void> {
    for (const device of [...this.#bound.keys()]) {
      if (this.#groupOf(device) !== this.#groupOf(row.device)) continue;
      this.#bound.delete(device);
      yield* this.#inner.perform(call(row, { op: 'close', device }));
    }
  }

  *#onSpace(row: ControlRow, object: number): KernelTask<CallOutcome> {
    const { flags, iova, length, userAddress, frames } = row;
    if (row.op === 'VFIO_IOMMU_MAP_DMA') {
      const access = ((flags & VFIO_READ) !== 0 ? READABLE : 0) | ((flags & VFIO_WRITE) !== 0 ? WRITEABLE : 0);
      const range = { flags: FIXED_IOVA | access, iova, length, userAddress, frames };
      return yield* this.#inner.perform(call(row, { op: 'IOMMU_IOAS_MAP', context: CONTEXT, object, ...range }));
    }
    if (row.op === 'VFIO_IOMMU_UNMAP_DMA') {
      const everything = (flags & VFIO_UNMAP_ALL) !== 0;
      const range = everything ? { iova: 0n, length: U64_MAX } : { iova, length };
      return yield* this.#inner.perform(call(row, { op: 'IOMMU_IOAS_UNMAP', context: CONTEXT, object, ...range }));
    }
    // VFIO_SET_IOMMU: a container gets a type anew when its last group had left, and is empty then.
    for (const group of this.#groups.values()) {
      if (group.container !== undefined && this.#spaces.get(group.container) === object) group.frames.push(...frames);
    }
    if ([...this.#bound.values()].some((container) => this.#spaces.get(container) === object)) return NOTHING;
    const all = { iova: 0n, length: U64_MAX };
    yield* this.#inner.perform(call(row, { op: 'IOMMU_IOAS_UNMAP', context: CONTEXT, object, ...all }));
    return NOTHING;
  }
}

/** A call in the place of `row`, by the same thread at the same time: what is not given does not apply. */
function call(row: ControlRow, fields: Partial<ControlRow> & Pick<ControlRow, 'op'>): ControlRow {
  const { row: number, sequence, timeNs, cpu, thread, recordedResult, recordedDurationNs, afterDma, text } = row;
  const place = { row: number, sequence, timeNs, cpu, thread, recordedResult, recordedDurationNs, afterDma, text };
  return { ...emptyRow(), ...place, ...fields };
}
