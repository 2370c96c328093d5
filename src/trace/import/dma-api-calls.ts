/**
 * Recovers DMA-API calls from ftrace: joins `iommu:map` and `iommu:unmap`, which name neither device nor domain, with the
 * `dma:*` event of the same thread that names the device. The map event is written before its `dma:*` event, that of an
 * unmap before it (page) or after it (scatter list, which names physical pieces only).
 */
import { PAGE_SIZE } from '../../address.ts';
import { type ControlCall, controlCall, type FrameRun, joinFrames } from './control-call.ts';
import type { DeviceIndex } from './device-index.ts';
import type { GuestEvent, GuestEventOf } from './guest-event.ts';
import type { OrphanRange, OrphanResolver } from './orphan-attribution.ts';

type Indexed<K extends GuestEvent['kind']> = { readonly index: number; readonly event: GuestEventOf<K> };

/** An unmap whose `dma:*` event is still to come, with what followed it in its thread. */
interface OpenUnmap {
  readonly unmap: Indexed<'unmap'>;
  readonly submits: number[];
  /** Domain id of its flush, or -1. */
  domainId: number;
  claimed: boolean;
}

interface ThreadState {
  maps: Indexed<'map'>[];
  readonly unmaps: OpenUnmap[];
  /** Descriptors after maps and before their `dma:*` event: caching mode flushes at map. */
  mapSubmits: number[];
  /** The flush requested last was one after a map. */
  flushesMap: boolean;
  /** Device of a scatter-list unmap whose unmap is still to come. */
  expectedSg: { readonly device: string; readonly direction: number; readonly starts: number[] } | undefined;
}

/** Unmaps remembered per thread before the oldest is given up as one without a `dma:*` event. */
const MAX_OPEN_UNMAPS = 4;
/** Maps remembered likewise: more than the pieces of the longest scatter list in use. */
const MAX_OPEN_MAPS = 1024;

/** Joins events to DMA-API calls; feed it the events in order. */
export class DmaApiJoiner {
  readonly calls: ControlCall[] = [];
  readonly #devices: DeviceIndex;
  readonly #orphans: OrphanResolver;
  readonly #threads = new Map<number, ThreadState>();
  /** Where scatter lists were mapped, by device and physical pieces; the same pieces may be mapped more than once. */
  readonly #sgStarts = new Map<string, number[]>();

  constructor(devices: DeviceIndex, orphans: OrphanResolver) {
    this.#devices = devices;
    this.#orphans = orphans;
  }

  /** Takes the event at `index`. */
  push(event: GuestEvent, index: number): void {
    switch (event.kind) {
      case 'map':
        this.#thread(event).maps.push({ index, event });
        return;
      case 'unmap':
        this.#unmap({ index, event });
        return;
      case 'flush':
        this.#flush(event);
        return;
      case 'submit':
        this.#submit(event, index);
        return;
      case 'dma_map':
      case 'dma_alloc':
        this.#dmaMap(event, index);
        return;
      case 'dma_unmap':
      case 'dma_free':
        this.#dmaUnmap(event, index);
        return;
      case 'dma_unmap_sg':
        this.#dmaUnmapSg(event);
        return;
      default:
        return;
    }
  }

  /** Ends the input: what no `dma:*` event claimed becomes calls of the device that other evidence points to. */
  end(): void {
    for (const state of this.#threads.values()) {
      for (const unmap of state.unmaps) this.#giveUp(unmap);
      state.unmaps.length = 0;
      this.#orphans.addMaps(state.maps.map(orphanMap));
      state.maps = [];
    }
    for (const call of this.#orphans.resolve()) this.calls.push(call);
  }

  #thread({ thread }: GuestEvent): ThreadState {
    let state = this.#threads.get(thread);
    if (state === undefined) {
      state = { maps: [], unmaps: [], mapSubmits: [], flushesMap: false, expectedSg: undefined };
      this.#threads.set(thread, state);
    }
    return state;
  }

  #unmap(unmap: Indexed<'unmap'>): void {
    const state = this.#thread(unmap.event);
    const open: OpenUnmap = { unmap, submits: [], domainId: -1, claimed: false };
    const expected = state.expectedSg;
    const at = expected?.starts.indexOf(unmap.event.iova) ?? -1;
    if (expected !== undefined && at >= 0) {
      expected.starts.splice(at, 1);
      state.expectedSg = undefined;
      open.claimed = true;
      this.#emitUnmap('dma_unmap', expected.device, expected.direction, open);
    }
    state.unmaps.push(open);
    if (state.unmaps.length > MAX_OPEN_UNMAPS) this.#giveUp(state.unmaps.shift() as OpenUnmap);
  }

  #flush(event: GuestEventOf<'flush'>): void {
    const state = this.#thread(event);
    state.flushesMap = event.afterMap;
    if (event.afterMap) return;
    const open = state.unmaps.at(-1);
    if (open !== undefined && open.domainId < 0) open.domainId = event.domainId;
  }

  /** A page-selective descriptor belongs to the unmap whose range it covers; another one to the latest. */
  #submit(event: GuestEventOf<'submit'>, index: number): void {
    const state = this.#thread(event);
    if (state.flushesMap) {
      state.mapSubmits.push(index);
      return;
    }
    const covered = coveredRange(event.words);
    for (let at = state.unmaps.length - 1; at >= 0; at--) {
      const open = state.unmaps[at] as OpenUnmap;
      const { iova, bytes } = open.unmap.event;
      if (covered !== undefined && (iova + bytes <= covered.start || iova >= covered.end)) continue;
      if (covered === undefined && (open.claimed || at !== state.unmaps.length - 1)) continue;
      open.submits.push(index);
      return;
    }
  }

  #dmaMap(event: GuestEventOf<'dma_map' | 'dma_alloc'>, index: number): void {
    const state = this.#thread(event);
    const ranges = event.kind === 'dma_map' ? event.ranges : [{ iova: event.iova, bytes: event.bytes }];
    const within = ({ event: map }: Indexed<'map'>): boolean =>
      ranges.some(({ iova, bytes }) => map.iova >= pageFloor(iova) && map.iova < iova + Math.max(bytes, 1));
    let claimed = state.maps;
    if (claimed.every(within)) state.maps = [];
    else {
      claimed = state.maps.filter(within);
      // An interrupt may have mapped in between, so what is not claimed stays; what is old has no `dma:*` event.
      state.maps = state.maps.filter((map) => !within(map));
      this.#orphans.addMaps(state.maps.splice(0, Math.max(0, state.maps.length - MAX_OPEN_MAPS)).map(orphanMap));
    }
    let start = Number.POSITIVE_INFINITY;
    let end = Number.NEGATIVE_INFINITY;
    for (const { iova, bytes } of ranges) {
      if (iova < start) start = iova;
      if (iova + bytes > end) end = iova + bytes;
    }
    const first = claimed[0];
    // A map that invalidates (caching mode) counts from its submission: an interrupt may unmap and submit before that.
    const submitted = state.mapSubmits[0];
    this.calls.push(
      controlCall({
        op: event.kind,
        position: submitted ?? first?.index ?? index,
        timeNs: first?.event.timeNs ?? event.timeNs,
        cpu: event.cpu,
        thread: event.thread,
        device: this.#devices.byName(event.device),
        flags: event.direction,
        iova: start,
        length: end - start,
        pasid: 0,
        frames: joinFrames(claimed.map(({ event: map }) => frameOf(map))),
        submits: state.mapSubmits,
      }),
    );
    if (state.mapSubmits.length > 0) state.mapSubmits = [];
    if (event.kind === 'dma_map' && event.scattered) this.#rememberSg(event);
  }

  #rememberSg(event: GuestEventOf<'dma_map'>): void {
    const key = sgKey(event.device, event.phys);
    const start = pageFloor(event.ranges[0]?.iova ?? 0);
    const known = this.#sgStarts.get(key);
    if (known === undefined) this.#sgStarts.set(key, [start]);
    else known.push(start);
  }

  #dmaUnmap(event: GuestEventOf<'dma_unmap' | 'dma_free'>, index: number): void {
    const { unmaps } = this.#thread(event);
    const at = unmaps.findLastIndex((open) => !open.claimed && open.unmap.event.iova === pageFloor(event.iova));
    const device = this.#devices.byName(event.device);
    const open = at < 0 ? undefined : unmaps.splice(at, 1)[0];
    this.calls.push(
      controlCall({
        op: event.kind,
        position: open?.unmap.index ?? index,
        timeNs: open?.unmap.event.timeNs ?? event.timeNs,
        cpu: event.cpu,
        thread: event.thread,
        device,
        flags: event.direction,
        iova: event.iova,
        length: event.bytes,
        pasid: 0,
        submits: open?.submits ?? [],
      }),
    );
  }

  #dmaUnmapSg(event: GuestEventOf<'dma_unmap_sg'>): void {
    const starts = this.#sgStarts.get(sgKey(event.device, event.phys)) ?? [];
    this.#thread(event).expectedSg = { device: event.device, direction: event.direction, starts };
  }

  #emitUnmap(op: 'dma_unmap', deviceName: string, direction: number, open: OpenUnmap): void {
    const { unmap } = open;
    this.calls.push(
      controlCall({
        op,
        position: unmap.index,
        timeNs: unmap.event.timeNs,
        cpu: unmap.event.cpu,
        thread: unmap.event.thread,
        device: this.#devices.byName(deviceName),
        flags: direction,
        iova: unmap.event.iova,
        length: unmap.event.bytes,
        pasid: 0,
        submits: open.submits,
      }),
    );
  }

  #giveUp(open: OpenUnmap): void {
    if (open.claimed) return;
    const { unmap, submits, domainId } = open;
    this.#orphans.addUnmap({ ...orphanRange(unmap), submits, domainId });
  }
}

function orphanMap(map: Indexed<'map'>): OrphanRange & { readonly frame: FrameRun } {
  return { ...orphanRange(map), frame: frameOf(map.event) };
}

function orphanRange({ index, event }: Indexed<'map'> | Indexed<'unmap'>): OrphanRange {
  return { index, timeNs: event.timeNs, cpu: event.cpu, thread: event.thread, iova: event.iova, bytes: event.bytes };
}

function frameOf({
  iova,
  bytes,
  phys,
}: {
  readonly iova: number;
  readonly bytes: number;
  readonly phys: number;
}): FrameRun {
  return { iovaPfn: iova / PAGE_SIZE, pfn: phys / PAGE_SIZE, pageCount: bytes / PAGE_SIZE };
}

function pageFloor(iova: number): number {
  return Math.floor(iova / PAGE_SIZE) * PAGE_SIZE;
}

function sgKey(device: string, phys: readonly number[]): string {
  return `${device} ${phys.join()}`;
}

/** Descriptor types in bits 3:0 of the first word, VT-d spec 6.5.2; granularity in bits 5:4. */
const IOTLB_INVALIDATE = 2;
const PASID_IOTLB_INVALIDATE = 6;
const PAGE_SELECTIVE = 3;

/** [bytes] Range of a page-selective IOTLB descriptor (VT-d spec 6.5.2.3, 6.5.2.4); undefined for any other. */
export function coveredRange(words: readonly bigint[]): { readonly start: number; readonly end: number } | undefined {
  const low = Number((words[0] ?? 0n) & 0xffn);
  const type = low & 15;
  if (type !== IOTLB_INVALIDATE && type !== PASID_IOTLB_INVALIDATE) return undefined;
  if (((low >> 4) & 3) !== PAGE_SELECTIVE) return undefined;
  const word1 = words[1] ?? 0n;
  const inPage = Number(word1 & 0xfffn);
  // Only what a double holds exactly: the page is subtracted first.
  const start = Number(word1 - BigInt(inPage));
  return { start, end: start + PAGE_SIZE * 2 ** (inPage & 63) };
}
