/**
 * Which page each IOVA page led to, from when to when, by the recovered control plane alone: plain bookkeeping of maps,
 * unmaps, attaches and detaches in the guest's order. It models neither caches nor tables.
 */
import { PAGE_SIZE } from '../../address.ts';
import { NONE_U32 } from '../schema/column-type.ts';
import type { ControlCall } from './control-call.ts';

/** A mapping of one IOVA page. Positions are those of calls; -1 stands for "before the trace". */
export interface MappingInterval {
  readonly pfn: number;
  readonly startPosition: number;
  /** Index of the call that made the page reachable; -1 = initial. */
  readonly startCall: number;
  /** Infinity while nothing ended it. */
  endPosition: number;
  /** Index of the call that ended it; -1 = none. */
  endCall: number;
  /** Call that must be complete before the page can be used: an attach that changes nothing for it is skipped. */
  readonly dependsOnCall: number;
  /** Last DMA row that went through it; -1 = none yet. */
  lastDmaRow: number;
}

/** Page of an address space and the call that brought it in. */
interface Content {
  readonly pfn: number;
  readonly call: number;
}

/** What a group of devices translates through. */
interface GroupState {
  /** Content of the default domain. */
  readonly own: Map<number, Content>;
  /** The address space in use: {@link own}, that of an IOAS, or an empty one while blocked. */
  visible: Map<number, Content>;
  readonly intervals: Map<number, MappingInterval[]>;
}

/** Bookkeeping of the pages that matter: those which DMA touches. */
export class MappingTimeline {
  readonly #groupOf: (device: number) => number;
  /** Pages worth following, over all groups. */
  readonly #touched: ReadonlySet<number>;
  readonly #groups = new Map<number, GroupState>();
  readonly #ioases = new Map<string, Map<number, Content>>();
  /** Parent IOAS of an explicitly allocated HWPT. */
  readonly #hwpts = new Map<string, string>();

  constructor(groupOf: (device: number) => number, touched: ReadonlySet<number>) {
    this.#groupOf = groupOf;
    this.#touched = touched;
  }

  /** Adds a page that was mapped before the trace. */
  addInitial(device: number, iovaPfn: number, pfn: number): void {
    if (!this.#touched.has(iovaPfn)) return;
    const state = this.#group(device);
    state.own.set(iovaPfn, { pfn, call: -1 });
    if (state.visible === state.own) begin(state, iovaPfn, pfn, -1, -1);
  }

  /** Follows all calls, in order. */
  apply(calls: readonly ControlCall[]): void {
    calls.forEach((call, index) => {
      if (call.result < 0) return;
      this.#apply(call, index);
    });
  }

  /** Intervals of a page in order of time; empty when it was never mapped. */
  intervals(device: number, iovaPfn: number): readonly MappingInterval[] {
    return this.#group(device).intervals.get(iovaPfn) ?? [];
  }

  #apply(call: ControlCall, index: number): void {
    switch (call.op) {
      case 'dma_map':
      case 'dma_alloc': {
        const state = this.#group(call.device);
        this.#fill(call, index, state.own);
        return;
      }
      case 'dma_unmap':
      case 'dma_free':
        this.#clear(call, index, this.#group(call.device).own);
        return;
      case 'IOMMU_IOAS_MAP':
        this.#fill(call, index, this.#ioas(call, call.object));
        return;
      case 'IOMMU_IOAS_UNMAP':
        this.#clear(call, index, this.#ioas(call, call.object));
        return;
      case 'IOMMU_IOAS_COPY':
        this.#copy(call, index);
        return;
      case 'IOMMU_HWPT_ALLOC':
        this.#hwpts.set(objectKey(call, call.recordedObject), objectKey(call, call.object));
        this.#fill(call, index, this.#ioas(call, call.object));
        return;
      case 'VFIO_DEVICE_ATTACH_IOMMUFD_PT': {
        const content = this.#ioas(call, call.target);
        this.#fill(call, index, content);
        this.#switch(call, index, content);
        return;
      }
      case 'VFIO_DEVICE_BIND_IOMMUFD':
      case 'VFIO_DEVICE_DETACH_IOMMUFD_PT':
        this.#switch(call, index, new Map());
        return;
      case 'close':
        if (call.device !== NONE_U32) this.#switch(call, index, this.#group(call.device).own);
        return;
      default:
        return;
    }
  }

  #group(device: number): GroupState {
    const key = this.#groupOf(device);
    let state = this.#groups.get(key);
    if (state === undefined) {
      const own = new Map<number, Content>();
      state = { own, visible: own, intervals: new Map() };
      this.#groups.set(key, state);
    }
    return state;
  }

  /** Content of an IOAS, given by its own id or that of a HWPT made of it. */
  #ioas(call: ControlCall, id: number): Map<number, Content> {
    const key = objectKey(call, id);
    const ioasKey = this.#hwpts.get(key) ?? key;
    let content = this.#ioases.get(ioasKey);
    if (content === undefined) {
      content = new Map();
      this.#ioases.set(ioasKey, content);
    }
    return content;
  }

  #fill(call: ControlCall, index: number, content: Map<number, Content>): void {
    for (const run of call.frames) {
      this.#eachTouched(run.iovaPfn, run.pageCount, (iovaPfn) => {
        this.#set(call, index, content, iovaPfn, run.pfn + iovaPfn - run.iovaPfn);
      });
    }
  }

  #set(call: ControlCall, index: number, content: Map<number, Content>, iovaPfn: number, pfn: number): void {
    const known = content.get(iovaPfn);
    // A second domain of the same address space is filled with the same pages: nothing changes for those who use it.
    if (known?.pfn === pfn && known.call >= 0) return;
    content.set(iovaPfn, { pfn, call: index });
    for (const state of this.#groups.values()) {
      if (state.visible === content) begin(state, iovaPfn, pfn, index, call.position);
    }
  }

  #clear(call: ControlCall, index: number, content: Map<number, Content>): void {
    const start = Math.floor(Number(call.iova) / PAGE_SIZE);
    const pageCount = Math.ceil((Number(call.iova) + Number(call.length)) / PAGE_SIZE) - start;
    this.#eachTouched(start, pageCount, (iovaPfn) => {
      content.delete(iovaPfn);
      for (const state of this.#groups.values()) {
        if (state.visible === content) end(state, iovaPfn, index, call.position);
      }
    });
  }

  #copy(call: ControlCall, index: number): void {
    const source = this.#ioas(call, call.target);
    const target = this.#ioas(call, call.object);
    const shift = (Number(call.iova) - Number(call.userAddress)) / PAGE_SIZE;
    const start = Number(call.userAddress) / PAGE_SIZE;
    const end = start + Number(call.length) / PAGE_SIZE;
    for (const [iovaPfn, { pfn }] of source) {
      if (iovaPfn >= start && iovaPfn < end) this.#set(call, index, target, iovaPfn + shift, pfn);
    }
    this.#fill(call, index, target);
  }

  #switch(call: ControlCall, index: number, content: Map<number, Content>): void {
    const state = this.#group(call.device);
    for (const iovaPfn of state.visible.keys()) end(state, iovaPfn, index, call.position);
    state.visible = content;
    for (const [iovaPfn, { pfn }] of content) begin(state, iovaPfn, pfn, index, call.position);
  }

  #eachTouched(start: number, pageCount: number, visit: (iovaPfn: number) => void): void {
    if (pageCount <= this.#touched.size) {
      for (let page = start; page < start + pageCount; page++) if (this.#touched.has(page)) visit(page);
      return;
    }
    for (const page of this.#touched) if (page >= start && page < start + pageCount) visit(page);
  }
}

function begin(state: GroupState, iovaPfn: number, pfn: number, call: number, position: number): void {
  end(state, iovaPfn, call, position);
  const intervals = state.intervals.get(iovaPfn);
  const previous = intervals?.at(-1);
  const continues = previous !== undefined && previous.endCall === call && call >= 0 && previous.pfn === pfn;
  const interval: MappingInterval = {
    pfn,
    startPosition: position,
    startCall: call,
    endPosition: Number.POSITIVE_INFINITY,
    endCall: -1,
    dependsOnCall: continues ? previous.dependsOnCall : call,
    lastDmaRow: -1,
  };
  if (intervals === undefined) state.intervals.set(iovaPfn, [interval]);
  else intervals.push(interval);
}

function end(state: GroupState, iovaPfn: number, call: number, position: number): void {
  const last = state.intervals.get(iovaPfn)?.at(-1);
  if (last === undefined || last.endCall >= 0) return;
  last.endPosition = position;
  last.endCall = call;
}

function objectKey(call: ControlCall, id: number): string {
  return `${call.context}:${id}`;
}
