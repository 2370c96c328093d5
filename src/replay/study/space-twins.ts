/**
 * Injected switches of mediated devices: the access goes to a twin of its IOAS and back. A twin is an IOAS with copies of all
 * mappings; what is mapped later is copied, what is unmapped is unmapped in both.
 */
import type { Kernel } from '../../stack/kernel/kernel.ts';
import { Mutex } from '../../stack/kernel/locks.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import { NONE_U32 } from '../../trace/schema/column-type.ts';
import { WITH_PASID } from '../../vfio-flags.ts';
import type { CallOutcome, ControlCalls } from '../control-player.ts';
import type { ControlRow } from '../control-row.ts';
import { type InjectedMoves, injectedCall } from './injected-moves.ts';

/** Ids of twins, as those of a recording: above all that a kernel hands out in a trace. */
const FIRST_TWIN = 0x6000_0000;

interface Mapping {
  readonly iova: bigint;
  readonly length: bigint;
  readonly flags: number;
}

/** An IOAS of the recording. */
interface Space {
  readonly context: number;
  readonly id: number;
  readonly mappings: Mapping[];
  twin: number | undefined;
}

/** Where a device is attached. */
interface Attachment {
  readonly space: Space;
  onTwin: boolean;
}

/** Calls of one machine, and moves of its mediated devices. */
export class SpaceTwins implements ControlCalls, InjectedMoves {
  readonly kind = 'mdev-access';
  readonly #inner: ControlCalls;
  readonly #isMediated: (device: number) => boolean;
  /** Detach and attach, [ns] apart; undefined = replace. */
  readonly #gapNs: number | undefined;
  readonly #spaces = new Map<string, Space>();
  readonly #attachments = new Map<number, Attachment>();
  /** One program: while it moves a device, its other calls wait. */
  readonly #program: Mutex;
  #twins = 0;

  constructor(inner: ControlCalls, kernel: Kernel, isMediated: (device: number) => boolean, gapNs: number | undefined) {
    this.#inner = inner;
    this.#isMediated = isMediated;
    this.#gapNs = gapNs;
    this.#program = new Mutex(kernel.timeline, 'program');
  }

  *perform(row: ControlRow): KernelTask<CallOutcome> {
    switch (row.op) {
      case 'IOMMU_IOAS_ALLOC':
      case 'IOMMU_IOAS_MAP':
      case 'IOMMU_IOAS_COPY':
      case 'IOMMU_IOAS_UNMAP':
      case 'VFIO_DEVICE_ATTACH_IOMMUFD_PT':
      case 'VFIO_DEVICE_DETACH_IOMMUFD_PT':
      case 'close':
        break;
      default:
        return yield* this.#inner.perform(row);
    }
    if (!this.#program.tryAcquire()) yield this.#program.queue;
    try {
      const outcome = yield* this.#inner.perform(row);
      if (outcome.result >= 0 && outcome.skipped !== true) yield* this.#follow(row);
      return outcome;
    } finally {
      this.#program.release();
    }
  }

  canMove(device: number, pasid: number): boolean {
    return pasid === 0 && this.#attachments.has(device);
  }

  *prepare(device: number): KernelTask<boolean> {
    if (!this.#program.tryAcquire()) yield this.#program.queue;
    const attachment = this.#attachments.get(device);
    if (attachment === undefined) {
      // Detached meanwhile.
      this.#program.release();
      return false;
    }
    const { space } = attachment;
    if (space.twin !== undefined) return true;
    const { context, mappings } = space;
    space.twin = FIRST_TWIN + this.#twins++;
    yield* this.#inner.perform(injectedCall({ op: 'IOMMU_IOAS_ALLOC', context, recordedObject: space.twin }));
    for (const mapping of mappings) yield* this.#copy(space, mapping);
    return true;
  }

  *move(device: number): KernelTask<number> {
    const attachment = this.#attachments.get(device) as Attachment;
    const { context, id, twin } = attachment.space;
    try {
      if (this.#gapNs !== undefined) {
        yield* this.#inner.perform(injectedCall({ op: 'VFIO_DEVICE_DETACH_IOMMUFD_PT', device, context }));
        if (this.#gapNs > 0) yield this.#gapNs * 1000;
      }
      const target = attachment.onTwin ? id : twin;
      const attach = { op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', device, context, target: target as number } as const;
      const { result } = yield* this.#inner.perform(injectedCall(attach));
      if (result >= 0) attachment.onTwin = !attachment.onTwin;
      return result;
    } finally {
      this.#program.release();
    }
  }

  /** Keeps track of a call that has been performed, and does the same to the twin. */
  *#follow(row: ControlRow): KernelTask<void> {
    const { context, device, object, iova, length, flags } = row;
    const space = this.#spaces.get(`${context} ${object}`);
    switch (row.op) {
      case 'IOMMU_IOAS_ALLOC': {
        const id = row.recordedObject;
        this.#spaces.set(`${context} ${id}`, { context, id, mappings: [], twin: undefined });
        return;
      }
      case 'IOMMU_IOAS_MAP':
      case 'IOMMU_IOAS_COPY':
        if (space === undefined) return;
        space.mappings.push({ iova, length, flags });
        if (space.twin !== undefined) yield* this.#copy(space, { iova, length, flags });
        return;
      case 'IOMMU_IOAS_UNMAP': {
        if (space === undefined) return;
        const { mappings, twin } = space;
        const kept = mappings.filter((each) => each.iova < iova || each.iova + each.length > iova + length);
        mappings.splice(0, mappings.length, ...kept);
        if (twin === undefined) return;
        yield* this.#inner.perform(injectedCall({ op: 'IOMMU_IOAS_UNMAP', context, object: twin, iova, length }));
        return;
      }
      case 'VFIO_DEVICE_ATTACH_IOMMUFD_PT': {
        const target = this.#spaces.get(`${context} ${row.target}`);
        if ((flags & WITH_PASID) !== 0 || !this.#isMediated(device) || target === undefined) return;
        this.#attachments.set(device, { space: target, onTwin: false });
        return;
      }
      default:
        if (device !== NONE_U32) this.#attachments.delete(device);
    }
  }

  *#copy({ context, id, twin }: Space, { iova, length, flags }: Mapping): KernelTask<void> {
    const range = { flags, iova, length, userAddress: iova };
    const objects = { context, object: twin as number, target: id };
    yield* this.#inner.perform(injectedCall({ op: 'IOMMU_IOAS_COPY', ...objects, ...range }));
  }
}
