/**
 * One VT-d remapping unit: registers, invalidation queue, fault recording, and the data plane of the devices behind it;
 * and what checking recordings needs: single accesses outside of time, probes, start state.
 */
import type { Pasid, SourceId } from '../../address.ts';
import { assert } from '../../assert.ts';
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import type { PhysicalMemory } from '../memory.ts';
import type { PciFunction } from '../pci-function.ts';
import {
  allocateBatch,
  type CounterSnapshot,
  type DmaBatch,
  type DmaColumns,
  type IommuUnit,
  type ResultColumns,
} from '../unit.ts';
import { AtsEndpoints } from './ats-endpoints.ts';
import { Bindings } from './binding.ts';
import type { VtdConfig } from './config.ts';
import { type TimeSums, UnitCounters } from './counters.ts';
import { DataPlane } from './data-plane.ts';
import type { EndpointCounts, EndpointSpec } from './endpoint.ts';
import type { EndpointTimes } from './endpoint-times.ts';
import { FaultRecorder } from './faults.ts';
import { InvalidationExecutor } from './invalidation.ts';
import { InvalidationQueue, type QueueMode, type QueueStatistics } from './invalidation-queue.ts';
import { packValue1, VALUE_PROT_SHIFT } from './iotlb.ts';
import { PageRequestQueue } from './page-request-queue.ts';
import { probe } from './prober.ts';
import { RegisterFile } from './register-file.ts';
import { Cap } from './registers.ts';
import { Result } from './translation-result.ts';
import { Translator } from './translator.ts';
import { WalkTick } from './walk-schedule.ts';

/** What a unit needs besides its profile. */
export interface VtdUnitOptions {
  readonly name: string;
  readonly config: VtdConfig;
  readonly memory: PhysicalMemory;
  readonly timeline: Timeline;
  /** Requester id of every device of the machine, by device index; devices of other units never issue here. */
  readonly deviceSourceIds: readonly SourceId[];
  readonly queueMode?: QueueMode;
  /** Whether plain rows are replayed by the compiled loop; the result is the same. Default true. */
  readonly plainRows?: boolean;
  /** Devices with ATS behind this unit. Without time (deferred mode) there are none. */
  readonly endpoints?: readonly EndpointSpec[];
}

/** Answer of {@link VtdUnit.access} and {@link VtdUnit.probe}. */
export interface AccessResult {
  /** A DmaOutcome. */
  readonly outcome: number;
  /** Fault reason, 0 = none. */
  readonly fault: number;
  /** [4 KiB pages] Page behind the address; the address's own page when it was not translated. */
  readonly pfn: number;
  /** log2 of the page size; 0 when not translated. */
  readonly pageShift: number;
}

/** An IOMMU unit after Intel VT-d. */
export class VtdUnit implements IommuUnit {
  readonly name: string;

  readonly #config: VtdConfig;
  readonly #bindings: Bindings;
  readonly #counters: UnitCounters;
  readonly #faults: FaultRecorder;
  readonly #translator: Translator;
  readonly #executor: InvalidationExecutor;
  readonly #queue: InvalidationQueue;
  readonly #registers: RegisterFile;
  readonly #dataPlane: DataPlane;
  readonly #memory: PhysicalMemory;
  readonly #pages: PageRequestQueue;
  /** Only where a device has ATS. */
  readonly #ats: AtsEndpoints | undefined;

  constructor(options: VtdUnitOptions) {
    const mode = options.queueMode ?? 'timed';
    const config = mode === 'deferred' ? withoutTime(options.config) : options.config;
    this.name = options.name;
    this.#config = config;
    const { linear } = options.memory;
    this.#memory = options.memory;
    this.#counters = new UnitCounters(linear);
    this.#bindings = new Bindings(options.deviceSourceIds, linear);
    this.#faults = new FaultRecorder(Cap.faultRecords(config.cap[1]), this.#counters);
    this.#translator = new Translator(config, options.memory, this.#bindings, this.#counters, this.#faults);
    this.#executor = new InvalidationExecutor(this.#translator);
    this.#pages = new PageRequestQueue(options.memory);
    const specs = mode === 'deferred' ? [] : (options.endpoints ?? []);
    const { timeline } = options;
    this.#ats =
      specs.length === 0 || config.endpoint.deviceTlb === undefined
        ? undefined
        : new AtsEndpoints(this.#translator, timeline, this.#pages, specs, config.endpoint.deviceTlb);
    this.#queue = new InvalidationQueue(
      options.memory,
      timeline,
      config.queue,
      this.#executor,
      mode,
      Cap.mamv(config.cap[1]),
      this.#ats?.messages,
    );
    this.#registers = new RegisterFile(
      config.cap,
      config.ecap,
      this.#translator,
      this.#queue,
      this.#faults,
      this.#pages,
    );
    const { length } = options.deviceSourceIds;
    this.#dataPlane = new DataPlane(this.#translator, this.#queue, options.memory, length, options.plainRows ?? true);
    this.#ats?.connect(this.#dataPlane, this.#queue, timeline);
  }

  translate(input: DmaColumns, from: number, to: number, limit: Tick, out: ResultColumns): number {
    const plane = this.#ats?.plane;
    if (plane === undefined) return this.#dataPlane.translate(input, from, to, limit, out);
    return plane.translate(input, from, to, limit, out);
  }

  /** Configuration registers of a device with ATS, by its index. */
  functionAt(device: number): PciFunction | undefined {
    return this.#ats?.endpointAt(device)?.function;
  }

  /** What the endpoints with ATS counted, in device order, and how long things took. */
  endpointStatistics(): { readonly counts: readonly EndpointCounts[]; readonly times: EndpointTimes } | undefined {
    return this.#ats?.statistics();
  }

  /** Registers the handler of the page request event interrupt. */
  onPageRequestEvent(handler: (atTick: Tick) => void): void {
    this.#pages.onEvent = handler;
  }

  /** Registers what is to happen when the invalidation queue reports an error (FSTS.IQE, FSTS.ITE). */
  onQueueError(handler: (atTick: Tick) => void): void {
    this.#queue.onError = handler;
  }

  columns(capacityRows: number): DmaBatch {
    const { linear } = this.#memory;
    return allocateBatch(capacityRows, linear, linear);
  }

  mmioWrite(register: number, lo: number, hi: number, atTick: Tick): void {
    this.#registers.write(register, lo, hi, atTick);
  }

  mmioRead(register: number): number {
    return this.#registers.read(register);
  }

  counters(): CounterSnapshot {
    const { clockTicks } = this.#config.translation;
    const { cache } = this.#translator.iotlb;
    cache.settle();
    return {
      iommu_clocks: Math.floor(this.#dataPlane.lastDoneTick / clockTicks),
      ...this.#counters.snapshot(clockTicks),
      'model.iotlb_evicted_capacity': cache.evictedByCapacity,
      'model.iotlb_evicted_conflict': cache.evictedByConflict,
      'model.iotlb_invalidated': cache.evictedByInvalidation,
      'model.iotlb_resets': cache.resets,
      'model.spaces_exhausted': this.#translator.spaces.exhausted,
      ...this.#ats?.counters(clockTicks),
    };
  }

  /** Where the time of all DMA went, in sums over page pieces. */
  get times(): TimeSums {
    return this.#translator.times;
  }

  /** What the invalidation queue did. */
  queueStatistics(): QueueStatistics {
    return this.#queue.statistics();
  }

  /** Registers the handler of the fault event interrupt; called when the pending bit turns on. */
  onFaultEvent(handler: (atTick: Tick) => void): void {
    this.#faults.onEvent = handler;
  }

  /** Caches with their current contents, for analyses: valid translations, evictions by cause. */
  get translator(): Translator {
    return this.#translator;
  }

  /**
   * Translates one request outside of time (deferred mode), with all effects on caches and tables. `sourceId` must
   * belong to a device of the machine.
   */
  access(sourceId: SourceId, pasid: Pasid, iovaPfn: number, flags: number): AccessResult {
    this.#translator.ticks[WalkTick.arrival] = 0;
    this.#translator.translate(this.#slot(sourceId, pasid), iovaPfn | 0, highWord(iovaPfn), flags, 1);
    return this.#answer();
  }

  /** What {@link access} would answer now; changes nothing. */
  probe(sourceId: SourceId, pasid: Pasid, iovaPfn: number, flags: number): AccessResult {
    probe(this.#translator, this.#slot(sourceId, pasid), iovaPfn | 0, highWord(iovaPfn), flags);
    return this.#answer();
  }

  /**
   * Permission of the cached translation of a page (bit 0 read, bit 1 write), or -1 when none is cached. Where hits do
   * not check permission (recorder profiles), whoever models memory has to: such an access fails without a fault.
   */
  cachedPermission(sourceId: SourceId, pasid: Pasid, iovaPfn: number): number {
    const { iotlb } = this.#translator;
    const entry = iotlb.peek(this.#bindings.space[this.#slot(sourceId, pasid)]!, iovaPfn | 0, highWord(iovaPfn));
    return entry < 0 ? -1 : (iotlb.cache.values[(entry << 1) + 1]! >>> VALUE_PROT_SHIFT) & 3;
  }

  /** Carries out one descriptor now (deferred mode): its first four u32 words. */
  executeDescriptor(w0: number, w1: number, w2: number, w3: number): void {
    this.#executor.execute(w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0);
  }

  /** Puts a translation into the IOTLB: start state of a recording. Requester-tagged IOTLBs only. */
  seedIotlb(sourceId: SourceId, domainId: number, iovaPfn: number, pageShift: number, pfn: number, prot: number): void {
    assert(this.#config.iotlbRules.tag === 'source', 'only a recorder profile can be seeded');
    const size = (pageShift - 12) / 9;
    const space = this.#translator.spaces.of(this.#slot(sourceId, 0 as Pasid), -1);
    const value1 = packValue1(domainId, size, prot, highWord(pfn));
    const high = highWord(iovaPfn);
    const { iotlb } = this.#translator;
    const known = iotlb.peek(space, iovaPfn | 0, high);
    if (known >= 0) iotlb.cache.drop(known);
    const entry = iotlb.fill(space, size, iovaPfn | 0, high, pfn | 0, value1);
    iotlb.cache.readyTick[entry] = 0;
  }

  /** Puts a context entry (u32 words as in memory) into the context cache: start state of a recording. */
  seedContext(sourceId: SourceId, words: readonly number[]): void {
    const requester = this.#bindings.requesterOfSource(sourceId);
    assert(requester >= 0, `source id ${sourceId} is not a device of the machine`);
    this.#translator.resolver.contexts.seed(sourceId, requester, words);
    this.#bindings.dropRequester(requester);
  }

  /** Empties the IOTLB. */
  resetIotlb(): void {
    this.#translator.iotlb.cache.clear();
  }

  #slot(sourceId: SourceId, pasid: Pasid): number {
    const requester = this.#bindings.requesterOfSource(sourceId);
    assert(requester >= 0, `source id ${sourceId} is not a device of the machine`);
    return this.#bindings.slotOf(requester, pasid);
  }

  #answer(): AccessResult {
    const { result } = this.#translator;
    return {
      outcome: result[Result.outcome]!,
      fault: result[Result.fault]!,
      pfn: (result[Result.pfnHigh]! >>> 0) * 4294967296 + (result[Result.pfnLow]! >>> 0),
      pageShift: result[Result.pageShift]!,
    };
  }
}

/** A profile whose translation takes no time, so that fills are valid at once. */
function withoutTime(config: VtdConfig): VtdConfig {
  const translation = {
    ...config.translation,
    hitTicks: 0,
    walkFixedTicks: 0,
    walkReadTicks: 0,
    busyExtraTicks: 0,
    walkIntervalTicks: 0,
  };
  return { ...config, translation };
}

function highWord(pageNumber: number): number {
  return Math.floor(pageNumber / 4294967296);
}
