/**
 * Maps and unmaps without a `dma:*` event (the kernel's dma_iova_* interface emits none): which pieces form one call,
 * and whose they are. A later unmap tells which maps belong together; the owner follows from the mapping it removes, the
 * domain id of its flush, the requester that was seen to use the page, or there being one device only.
 */
import { PAGE_SIZE } from '../../address.ts';
import { DmaDirection } from '../schema/control-ops.ts';
import { type ControlCall, controlCall, type FrameRun, joinFrames } from './control-call.ts';

/** A map or unmap event in need of an owner. */
export interface OrphanRange {
  /** Index of the guest event. */
  readonly index: number;
  readonly timeNs: number;
  readonly cpu: number;
  readonly thread: number;
  /** [bytes] */
  readonly iova: number;
  readonly bytes: number;
}

type OrphanMap = OrphanRange & { readonly frame: FrameRun };
type OrphanUnmap = OrphanRange & { readonly submits: readonly number[]; readonly domainId: number };

/** Evidence on owners, given by the importer. */
export interface OwnerEvidence {
  /** Device whose default domain has this id; undefined when unknown. */
  deviceOfDomain(domainId: number): number | undefined;
  /** The one device seen to reach `pfn` at `iovaPfn`; undefined when none or several were. */
  deviceUsingPage(iovaPfn: number, pfn: number): number | undefined;
  /** Device that `thread` attached last; undefined when it attached none. */
  deviceOfThread(thread: number): number | undefined;
  /** The one device that can be meant when nothing else tells; undefined when there are several. */
  onlyDevice(): number | undefined;
}

/** Collects orphans, then turns them into `dma_map` and `dma_unmap` calls. */
export class OrphanResolver {
  /** Ranges for which no owner was found; they are left out. */
  unattributed = 0;
  /** Orphans that became part of a call. */
  attributed = 0;
  readonly #evidence: OwnerEvidence;
  readonly #maps: OrphanMap[] = [];
  readonly #unmaps: OrphanUnmap[] = [];

  constructor(evidence: OwnerEvidence) {
    this.#evidence = evidence;
  }

  addMaps(maps: readonly OrphanMap[]): void {
    for (const map of maps) this.#maps.push(map);
  }

  addUnmap(unmap: OrphanUnmap): void {
    this.#unmaps.push(unmap);
  }

  /** The calls. */
  resolve(): ControlCall[] {
    const events: (OrphanMap | OrphanUnmap)[] = [...this.#maps, ...this.#unmaps].sort((a, b) => a.index - b.index);
    /** Maps not yet taken by an unmap, by IOVA page number of their start. */
    const live = new Map<number, OrphanMap[]>();
    const calls: ControlCall[] = [];
    for (const event of events) {
      if ('frame' in event) {
        const start = event.iova / PAGE_SIZE;
        live.set(start, [...(live.get(start) ?? []), event]);
      } else calls.push(...this.#resolveUnmap(event, live));
    }
    const left = [...live.values()].flat().sort((a, b) => a.index - b.index);
    for (const run of contiguousRuns(left)) calls.push(...this.#mapCall(run, this.#ownerOfMaps(run)));
    return calls;
  }

  #resolveUnmap(unmap: OrphanUnmap, live: Map<number, OrphanMap[]>): ControlCall[] {
    const taken: OrphanMap[] = [];
    for (let at = unmap.iova; at < unmap.iova + unmap.bytes; ) {
      const candidates = live.get(at / PAGE_SIZE);
      const map = candidates?.shift();
      if (candidates?.length === 0) live.delete(at / PAGE_SIZE);
      if (map !== undefined) taken.push(map);
      at += map?.bytes ?? PAGE_SIZE;
    }
    const owner = this.#evidence.deviceOfDomain(unmap.domainId) ?? this.#ownerOfMaps(taken);
    const calls = this.#mapCall(taken, owner);
    if (owner === undefined) {
      this.unattributed++;
      return calls;
    }
    this.attributed++;
    const { index, timeNs, cpu, thread, iova, bytes, submits } = unmap;
    const flags = DmaDirection.bidirectional;
    calls.push(
      controlCall({
        op: 'dma_unmap',
        position: index,
        timeNs,
        cpu,
        thread,
        device: owner,
        flags,
        iova,
        length: bytes,
        pasid: 0,
        submits,
      }),
    );
    return calls;
  }

  #mapCall(maps: readonly OrphanMap[], owner: number | undefined): ControlCall[] {
    const [first] = maps;
    if (first === undefined) return [];
    if (owner === undefined) {
      this.unattributed += maps.length;
      return [];
    }
    this.attributed += maps.length;
    const iova = maps.reduce((lowest, map) => Math.min(lowest, map.iova), first.iova);
    const length = maps.reduce((sum, map) => sum + map.bytes, 0);
    const frames = joinFrames(maps.map((map) => map.frame));
    const { index, timeNs, cpu, thread } = first;
    const flags = DmaDirection.bidirectional;
    return [
      controlCall({
        op: 'dma_map',
        position: index,
        timeNs,
        cpu,
        thread,
        device: owner,
        flags,
        iova,
        length,
        pasid: 0,
        frames,
      }),
    ];
  }

  #ownerOfMaps(maps: readonly OrphanMap[]): number | undefined {
    for (const { frame } of maps) {
      const device = this.#evidence.deviceUsingPage(frame.iovaPfn, frame.pfn);
      if (device !== undefined) return device;
    }
    const [first] = maps;
    const attached = first === undefined ? undefined : this.#evidence.deviceOfThread(first.thread);
    return attached ?? this.#evidence.onlyDevice();
  }
}

/** Cuts maps in event order into runs of one thread that continue each other's IOVA. */
function contiguousRuns(maps: readonly OrphanMap[]): OrphanMap[][] {
  const runs: OrphanMap[][] = [];
  for (const map of maps) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last?.thread === map.thread && last.iova + last.bytes === map.iova) run.push(map);
    else runs.push([map]);
  }
  return runs;
}
