/**
 * Injected moves of groups between containers: out of one container and into a twin that gets the same mappings, and back
 * the next time. As a program would do it: close the devices, leave, enter, choose a type, map everything, open the devices.
 */
import type { Kernel } from '../../stack/kernel/kernel.ts';
import { Mutex } from '../../stack/kernel/locks.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import { VFIO_UNMAP_ALL } from '../../vfio-flags.ts';
import type { CallOutcome, ControlCalls } from '../control-player.ts';
import type { ControlRow } from '../control-row.ts';
import { type InjectedMoves, injectedCall } from './injected-moves.ts';

/** Numbers of twins: importers number files from 0. */
const FIRST_TWIN = 0xfffe_0000;

type Mapping = Pick<ControlRow, 'iova' | 'length' | 'flags' | 'userAddress' | 'frames'>;

/** A container of the recording. */
interface Place {
  readonly context: number;
  /** Type given to VFIO_SET_IOMMU. */
  type: number;
  readonly mappings: Mapping[];
  readonly twin: number;
  twinOpen: boolean;
}

/** A group in a container. */
interface Member {
  readonly place: Place;
  /** The container or its twin. */
  current: number;
  /** Devices that are open, in that order. */
  readonly devices: number[];
}

/** Calls of one machine, and moves of its groups. */
export class ContainerTwins implements ControlCalls, InjectedMoves {
  readonly kind = 'legacy-container';
  readonly #inner: ControlCalls;
  readonly #groupOf: (device: number) => number;
  /** Everything happens inside the switch, with [ns] between leaving and entering; undefined = as one replace. */
  readonly #gapNs: number | undefined;
  readonly #places = new Map<number, Place>();
  readonly #members = new Map<number, Member>();
  /** One program: while it moves a group, its other calls wait. */
  readonly #program: Mutex;

  constructor(inner: ControlCalls, kernel: Kernel, groupOf: (device: number) => number, gapNs: number | undefined) {
    this.#inner = inner;
    this.#groupOf = groupOf;
    this.#gapNs = gapNs;
    this.#program = new Mutex(kernel.timeline, 'program');
  }

  *perform(row: ControlRow): KernelTask<CallOutcome> {
    const concerned = this.#places.has(row.context) || this.#members.has(this.#groupOf(row.device));
    if (!concerned && row.op !== 'open_container') return yield* this.#inner.perform(row);
    if (!this.#program.tryAcquire()) yield this.#program.queue;
    try {
      return yield* this.#performAlone(row);
    } finally {
      this.#program.release();
    }
  }

  canMove(device: number, pasid: number): boolean {
    const member = this.#members.get(this.#groupOf(device));
    return pasid === 0 && member !== undefined && member.devices.length > 0;
  }

  *prepare(device: number): KernelTask<boolean> {
    if (!this.#program.tryAcquire()) yield this.#program.queue;
    const member = this.#members.get(this.#groupOf(device));
    if (member === undefined || member.devices.length === 0) {
      // Closed or taken out meanwhile.
      this.#program.release();
      return false;
    }
    const { place } = member;
    if (!place.twinOpen) {
      place.twinOpen = true;
      yield* this.#inner.perform(injectedCall({ op: 'open_container', context: place.twin }));
    }
    if (this.#gapNs === undefined) yield* this.#leaveAndEnter(member, device);
    return true;
  }

  *move(device: number): KernelTask<number> {
    const member = this.#members.get(this.#groupOf(device)) as Member;
    try {
      if (this.#gapNs !== undefined) yield* this.#leaveAndEnter(member, device);
      let last = 0;
      for (const opened of member.devices) {
        const { result } = yield* this.#inner.perform(injectedCall({ op: 'VFIO_GROUP_GET_DEVICE_FD', device: opened }));
        last = result;
      }
      return last;
    } finally {
      this.#program.release();
    }
  }

  *#leaveAndEnter(member: Member, device: number): KernelTask<void> {
    const { place } = member;
    for (const opened of [...member.devices].reverse()) {
      yield* this.#inner.perform(injectedCall({ op: 'close', device: opened }));
    }
    yield* this.#inner.perform(injectedCall({ op: 'VFIO_GROUP_UNSET_CONTAINER', device }));
    if (this.#gapNs !== undefined && this.#gapNs > 0) yield this.#gapNs * 1000;
    const context = member.current === place.context ? place.twin : place.context;
    const empty = !this.#holders(place).includes(context);
    yield* this.#inner.perform(injectedCall({ op: 'VFIO_GROUP_SET_CONTAINER', device, context }));
    if (empty) {
      yield* this.#inner.perform(injectedCall({ op: 'VFIO_SET_IOMMU', context, flags: place.type }));
      for (const mapping of place.mappings) {
        yield* this.#inner.perform(injectedCall({ op: 'VFIO_IOMMU_MAP_DMA', context, ...mapping }));
      }
    }
    member.current = context;
  }

  *#performAlone(row: ControlRow): KernelTask<CallOutcome> {
    const { device, context } = row;
    const member = this.#members.get(this.#groupOf(device));
    const place = this.#places.get(context);
    switch (row.op) {
      case 'open_container': {
        const twin = FIRST_TWIN + this.#places.size;
        this.#places.set(context, { context, type: 0, mappings: [], twin, twinOpen: false });
        break;
      }
      case 'VFIO_GROUP_SET_CONTAINER': {
        if (place === undefined) break;
        // Where the container's other groups are now.
        const current = this.#holders(place)[0] ?? context;
        const outcome = yield* this.#inner.perform({ ...row, context: current });
        if (outcome.result >= 0) this.#members.set(this.#groupOf(device), { place, current, devices: [] });
        return outcome;
      }
      case 'VFIO_GROUP_UNSET_CONTAINER':
        this.#members.delete(this.#groupOf(device));
        if (member !== undefined && this.#holders(member.place).length === 0) member.place.mappings.length = 0;
        break;
      case 'VFIO_GROUP_GET_DEVICE_FD': {
        const outcome = yield* this.#inner.perform(row);
        if (outcome.result >= 0) member?.devices.push(device);
        return outcome;
      }
      case 'close':
        if (member?.devices.includes(device)) {
          member.devices.splice(member.devices.lastIndexOf(device), 1);
        }
        break;
      case 'VFIO_SET_IOMMU':
      case 'VFIO_IOMMU_MAP_DMA':
      case 'VFIO_IOMMU_UNMAP_DMA':
        if (place !== undefined) return yield* this.#onPlace(row, place);
        break;
      default:
        break;
    }
    return yield* this.#inner.perform(row);
  }

  /** A call on a container reaches it where its groups are: there, in the twin, or in both. */
  *#onPlace(row: ControlRow, place: Place): KernelTask<CallOutcome> {
    const { op, iova, length, flags, userAddress, frames } = row;
    if (op === 'VFIO_SET_IOMMU') place.type = flags;
    let outcome: CallOutcome = { result: 0 };
    const holders = this.#holders(place);
    for (const context of holders.length === 0 ? [place.context] : holders) {
      outcome = yield* this.#inner.perform({ ...row, context });
      if (outcome.result < 0) return outcome;
    }
    const { mappings } = place;
    if (op === 'VFIO_IOMMU_MAP_DMA') mappings.push({ iova, length, flags, userAddress, frames });
    if (op === 'VFIO_IOMMU_UNMAP_DMA') {
      const all = (flags & VFIO_UNMAP_ALL) !== 0;
      const kept = mappings.filter((each) => !all && (each.iova < iova || each.iova + each.length > iova + length));
      mappings.splice(0, mappings.length, ...kept);
    }
    return outcome;
  }

  /** The container, its twin, or both: those that a group is in. */
  #holders({ context, twin }: Place): number[] {
    const current = new Set([...this.#members.values()].map((member) => member.current));
    return [context, twin].filter((each) => current.has(each));
  }
}
