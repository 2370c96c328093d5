/**
 * A VT-d unit on a bench: memory, timeline, queue and tables, driven as hardware and software would, with a profile of
 * round numbers so that expected ticks can be written down. Times in the harness are nanoseconds.
 */
import { addressHigh, addressLow, type Pfn, sourceId } from '../../src/address.ts';
import { PhysicalMemory } from '../../src/hw/memory.ts';
import { ATS_ENABLE, PciRegister, PRI_ENABLE } from '../../src/hw/pci-function.ts';
import { resolveHardwareProfile } from '../../src/hw/profile.ts';
import { VTD_BDW } from '../../src/hw/profiles/vtd-bdw.ts';
import { type DmaColumns, DmaOutcome, type ResultColumns } from '../../src/hw/unit.ts';
import type { VtdConfig } from '../../src/hw/vtd/config.ts';
import { Descriptor, DescriptorType } from '../../src/hw/vtd/layout.ts';
import {
  GCMD_REG,
  GlobalCommand,
  IQA_DW,
  IQA_REG,
  IQT_REG,
  RTADDR_REG,
  TranslationTableMode,
} from '../../src/hw/vtd/registers.ts';
import { VtdUnit } from '../../src/hw/vtd/unit.ts';
import { Timeline } from '../../src/timeline.ts';
import { NEVER, type Tick } from '../../src/units.ts';
import { TestContextTables, TestPageTable } from './table-builder.ts';

/**
 * Capabilities as Broadwell, and in addition tables of 3 and 5 levels of the second stage, 5 levels and 1 GiB pages of the
 * first, 57 bits of address.
 */
export const FULL_CAP = '19d2078c10780e66';

/** Round numbers: hit 2, walk 20 + 100 a read, four walkers, link 100 one way with next to no wire time. */
export const ROUND_NUMBERS: readonly string[] = [
  `registers.cap=${FULL_CAP}`,
  'translation.hitNs=2',
  'translation.walkFixedNs=20',
  'translation.walkReadNs=100',
  'translation.walkers=4',
  'translation.busyExtraNs=0',
  'translation.walkIntervalNs=0',
  'pasidCache.entries=64',
  'queue.doorbellNs=200',
  'queue.fetchNs=200',
  'queue.executeNs=100',
  'queue.statusNs=200',
  'link.oneWayNs=100',
  'link.memoryWriteNs=50',
  'link.readRoundTripNs=400',
  'link.readPortLineNs=0',
  'link.readPortLeastNs=0',
  'link.readPortDelayNs=0',
  'link.dllpBytes=0',
  'endpoint.lookupNs=3',
  'endpoint.translationExtraNs=40',
  'endpoint.invalidationNs=50',
  'endpoint.invalidationTimeoutNs=100000',
  'endpoint.pageRequestWriteNs=10',
  'device.readWindow=[1000,1000,1000,1000]',
  'device.writeWindow=[1000,1000,1000,1000]',
  'device.readIntervalNs=[0,0,0,0]',
  'device.writeIntervalNs=[0,0,0,0]',
];

/** One DMA of a test. */
export interface TestDma {
  /** [ns] Earliest issue. */
  readonly at?: number;
  /** [ps] Earliest issue, exactly; instead of {@link at}. */
  readonly atTick?: number;
  readonly device?: number;
  readonly pasid?: number;
  /** [4 KiB pages] */
  readonly page: number;
  readonly offset?: number;
  readonly bytes?: number;
  readonly write?: boolean;
  /** DmaFlag bits besides `write`. */
  readonly flags?: number;
}

/** Outcome of one DMA; times in nanoseconds. */
export interface TestOutcome {
  readonly outcome: keyof typeof DmaOutcome;
  readonly fault: number;
  readonly pfn: number;
  readonly pageShift: number;
  readonly reads: number;
  readonly issue: number;
  readonly arrive: number;
  readonly ready: number;
  readonly done: number;
}

/** A {@link TestOutcome} with exact ticks. */
export interface ArrivedOutcome extends TestOutcome {
  /** [ps] */
  readonly readyTick: number;
  readonly doneTick: number;
}

const OUTCOMES = Object.keys(DmaOutcome) as (keyof typeof DmaOutcome)[];

/** Options of {@link DeviceUnderTest}. */
export interface DeviceUnderTestOptions {
  readonly scalable?: boolean;
  readonly set?: readonly string[];
  readonly devices?: number;
  readonly deferred?: boolean;
  readonly profile?: unknown;
  /** See VtdUnitOptions. */
  readonly plainRows?: boolean;
  /** Rows in columns of the unit's own memory, as in a replay. */
  readonly unitColumns?: boolean;
  /** Changes the resolved profile: geometries that need no decoding. */
  readonly config?: (resolved: VtdConfig) => VtdConfig;
  /** Devices with ATS, and whether they can ask for pages; ATS is on once {@link DeviceUnderTest.enableAts} was called. */
  readonly endpoints?: readonly { readonly device: number; readonly pri?: boolean }[];
}

/** The bench. */
export class DeviceUnderTest {
  readonly memory = new PhysicalMemory();
  readonly timeline = new Timeline();
  readonly unit: VtdUnit;
  readonly config: VtdConfig;
  readonly contexts: TestContextTables;
  readonly sourceIds: readonly number[];
  readonly #ring: Pfn;
  readonly #status: Pfn;
  readonly #words: number;
  readonly #unitColumns: boolean;
  #tail = 0;
  #waits = 0;

  constructor(options: DeviceUnderTestOptions = {}) {
    const overrides = options.profile === undefined ? [...ROUND_NUMBERS, ...(options.set ?? [])] : options.set;
    const resolved = resolveOnce(options.profile ?? VTD_BDW, overrides ?? []);
    const config = options.config?.(resolved) ?? resolved;
    this.config = config;
    this.sourceIds = Array.from({ length: options.devices ?? 2 }, (_, index) => sourceId(1, index, 0));
    this.unit = new VtdUnit({
      name: 'dmar0',
      config,
      memory: this.memory,
      timeline: this.timeline,
      deviceSourceIds: this.sourceIds,
      queueMode: options.deferred === true ? 'deferred' : 'timed',
      plainRows: options.plainRows ?? true,
      endpoints: (options.endpoints ?? []).map(({ device, pri }) => ({
        device,
        sourceId: this.sourceIds[device] as number,
        pri: pri ?? false,
      })),
    });
    this.config = config;
    const scalable = options.scalable === true;
    this.#unitColumns = options.unitColumns ?? false;
    this.contexts = new TestContextTables(this.memory, scalable);
    this.#words = scalable ? 8 : 4;
    this.#ring = this.memory.allocContiguous(scalable ? 2 : 1);
    this.#status = this.memory.allocFrame();
    const { unit } = this;
    const mode = scalable ? TranslationTableMode.scalable : TranslationTableMode.legacy;
    unit.mmioWrite(IQA_REG, addressLow(this.#ring) + (scalable ? IQA_DW + 1 : 0), addressHigh(this.#ring), 0);
    unit.mmioWrite(GCMD_REG, GlobalCommand.qie, 0, 0);
    const root = this.contexts.root;
    unit.mmioWrite(RTADDR_REG, addressLow(root) + mode, addressHigh(root), 0);
    unit.mmioWrite(GCMD_REG, GlobalCommand.qie | GlobalCommand.srtp, 0, 0);
    unit.mmioWrite(GCMD_REG, (GlobalCommand.qie | GlobalCommand.te) >>> 0, 0, 0);
  }

  /** A new page table. */
  table(levels = 4, stage: 'first' | 'second' = 'second'): TestPageTable {
    return new TestPageTable(this.memory, levels, stage);
  }

  /** Runs DMA rows in order, events in between at their ticks. */
  run(rows: readonly TestDma[]): TestOutcome[] {
    const { input, out } = this.#unitColumns ? inColumnsOf(this.unit, rows) : columns(rows);
    let at = 0;
    while (at < rows.length) {
      at = this.unit.translate(input, at, rows.length, this.timeline.next, out);
      if (at < rows.length) this.timeline.run();
    }
    return rows.map((_, row) => outcomeOf(out, row));
  }

  /** Runs one DMA. */
  issue(row: TestDma): TestOutcome {
    return this.run([row])[0] as TestOutcome;
  }

  /**
   * [ps] Issues one DMA so that it reaches the unit at `arriveTick`: its device's link and window must be free. Answers
   * with ticks relative to arrival.
   */
  issueToArrive(arriveTick: number, row: TestDma): ArrivedOutcome {
    const flight = this.#flightTicks(row);
    const { input, out } = columns([{ ...row, atTick: arriveTick - flight }]);
    while (this.unit.translate(input, 0, 1, this.timeline.next, out) === 0) this.timeline.run();
    const arrived = out.arriveTick[0] as number;
    if (arrived !== arriveTick) throw new Error(`arrived at ${arrived} ps instead of ${arriveTick} ps`);
    return { ...outcomeOf(out, 0), readyTick: out.readyTick[0] as number, doneTick: out.doneTick[0] as number };
  }

  /** [ps] From issue to arrival of the first TLP: one TLP on the wire, and the way. */
  #flightTicks(row: TestDma): number {
    const { link } = this.config;
    const bytes = row.bytes ?? 64;
    const payload = row.write === true ? Math.min(bytes, link.maxPayloadBytes) : link.dllpBytes;
    return Math.round((link.requestHeaderBytes + payload) * link.psPerByte) + link.oneWayTicks;
  }

  /** Submits descriptors (u32 words each) and a wait descriptor at `atNs`; returns when the status was written [ns]. */
  submit(atNs: number, descriptors: readonly (readonly number[])[], waitFlags = 0): SubmissionHandle {
    const slot = this.#waits++ % 1024;
    const address = addressLow(this.#status) + slot * 4;
    this.memory.writeWord(this.#status, slot, 1);
    const flags = DescriptorType.wait | Descriptor.waitStatusWrite | waitFlags;
    const wait = [flags, 2, address, addressHigh(this.#status)];
    for (const words of [...descriptors, wait]) this.#push(words);
    const handle: SubmissionHandle = { doneNs: undefined };
    this.memory.watch(this.#status, slot, (_value, atTick) => {
      handle.doneNs = atTick / 1000;
    });
    const bytes = this.#tail * this.#words * 4;
    const atTick = (atNs * 1000) as Tick;
    if (this.timeline.now < atTick) {
      this.timeline.schedule(atTick, (at) => this.unit.mmioWrite(IQT_REG, bytes, 0, at));
    } else {
      this.unit.mmioWrite(IQT_REG, bytes, 0, atTick);
    }
    return handle;
  }

  /** Configuration writes as a driver makes them: PRI where there is, then ATS. */
  enableAts(device: number): void {
    const config = this.unit.functionAt(device);
    config?.write(PciRegister.priControl, PRI_ENABLE, 0);
    config?.write(PciRegister.atsControl, ATS_ENABLE, 0);
  }

  /** [ns] Wire time of so many bytes, rounded to picoseconds. */
  wire(bytes: number): number {
    return Math.round(bytes * this.config.link.psPerByte) / 1000;
  }

  /** Runs all pending events. */
  settle(): void {
    while (this.timeline.next < NEVER) this.timeline.run();
  }

  #push(words: readonly number[]): void {
    const first = this.#tail * this.#words;
    for (let at = 0; at < this.#words; at++) {
      const word = first + at;
      this.memory.writeWord((this.#ring + Math.floor(word / 1024)) as Pfn, word % 1024, words[at] ?? 0);
    }
    this.#tail = (this.#tail + 1) % 256;
  }
}

const RESOLVED = new Map<unknown, Map<string, VtdConfig>>();

/** Properties build thousands of units of a few profiles. */
function resolveOnce(profile: unknown, overrides: readonly string[]): VtdConfig {
  const known = RESOLVED.get(profile) ?? new Map<string, VtdConfig>();
  RESOLVED.set(profile, known);
  const key = overrides.join(' ');
  const config = known.get(key) ?? resolveHardwareProfile(profile, overrides).config;
  known.set(key, config);
  return config;
}

/** Becomes known when the status word has been written. */
export interface SubmissionHandle {
  doneNs: number | undefined;
}

/** Columns of rows, and room for their outcomes. */
export function columns(rows: readonly TestDma[]): { input: DmaColumns; out: ResultColumns } {
  const count = rows.length;
  const input: DmaColumns = {
    rowCount: count,
    notBefore: Float64Array.from(rows, (row) => row.atTick ?? (row.at ?? 0) * 1000),
    device: Uint16Array.from(rows, (row) => row.device ?? 0),
    pasid: Uint32Array.from(rows, (row) => row.pasid ?? 0),
    iova: new Uint32Array(count * 2),
    bytes: Uint32Array.from(rows, (row) => row.bytes ?? 64),
    flags: Uint8Array.from(rows, (row) => (row.write === true ? 1 : 0) | (row.flags ?? 0)),
  };
  rows.forEach((row, at) => {
    input.iova[2 * at] = (row.page % 1048576) * 4096 + (row.offset ?? 0);
    input.iova[2 * at + 1] = Math.floor(row.page / 1048576);
  });
  return { input, out: emptyResults(count) };
}

/** As {@link columns}, in the unit's memory. */
function inColumnsOf(unit: VtdUnit, rows: readonly TestDma[]): { input: DmaColumns; out: ResultColumns } {
  const { input: heap } = columns(rows);
  const { input, results } = unit.columns(rows.length);
  input.rowCount = rows.length;
  input.notBefore.set(heap.notBefore);
  input.device.set(heap.device);
  input.pasid.set(heap.pasid);
  input.iova.set(heap.iova);
  input.bytes.set(heap.bytes);
  input.flags.set(heap.flags);
  return { input, out: results };
}

/** Room for outcomes. */
export function emptyResults(count: number): ResultColumns {
  return {
    issueTick: new Float64Array(count),
    arriveTick: new Float64Array(count),
    readyTick: new Float64Array(count),
    doneTick: new Float64Array(count),
    outcome: new Uint8Array(count),
    fault: new Uint8Array(count),
    walkReads: new Uint8Array(count),
    pageShift: new Uint8Array(count),
    pfn: new Uint32Array(count * 2),
  };
}

function outcomeOf(out: ResultColumns, row: number): TestOutcome {
  return {
    outcome: OUTCOMES[out.outcome[row] as number] as keyof typeof DmaOutcome,
    fault: out.fault[row] as number,
    pfn: (out.pfn[2 * row + 1] as number) * 4294967296 + (out.pfn[2 * row] as number),
    pageShift: out.pageShift[row] as number,
    reads: out.walkReads[row] as number,
    issue: (out.issueTick[row] as number) / 1000,
    arrive: (out.arriveTick[row] as number) / 1000,
    ready: (out.readyTick[row] as number) / 1000,
    done: (out.doneTick[row] as number) / 1000,
  };
}

/** Descriptors as u32 words. */
export const descriptors = {
  contextGlobal: (): number[] => [0x11, 0, 0, 0],
  contextDevice: (source: number): number[] => [0x31, source, 0, 0],
  contextDomain: (did: number): number[] => [(did << 16) | 0x21, 0, 0, 0],
  iotlbGlobal: (): number[] => [0xd2, 0, 0, 0],
  iotlbDomain: (did: number): number[] => [((did << 16) | 0xe2) >>> 0, 0, 0, 0],
  iotlbPages: (did: number, page: number, mask = 0, hint = false): number[] => [
    ((did << 16) | 0xf2) >>> 0,
    0,
    addressLow(page) + mask + (hint ? 64 : 0),
    addressHigh(page),
  ],
  pasidIotlb: (did: number, pasid: number): number[] => [((did << 16) | 0x26) >>> 0, pasid, 0, 0],
  pasidIotlbPages: (did: number, pasid: number, page: number, mask = 0, hint = false): number[] => [
    ((did << 16) | 0x36) >>> 0,
    pasid,
    addressLow(page) + mask + (hint ? 64 : 0),
    addressHigh(page),
  ],
  deviceTlb: (source: number, page: number, order = 0): number[] => deviceTlbWords(source, page, order),
  pasidDeviceTlb: (source: number, pasid: number, page: number, order = 0): number[] =>
    pasidDeviceTlbWords(source, pasid, page, order),
  /** Page-group response: code 0 success, 1 invalid, 15 failure. */
  pageResponse: (source: number, group: number, code: number, pasid = 0): number[] => [
    ((source << 16) | (code << 12) | (pasid === 0 ? 0 : 0x10) | 0x9) >>> 0,
    pasid,
    (group << 3) | 4,
    0,
  ],
  pasidCache: (did: number, pasid: number): number[] => [((did << 16) | 0x17) >>> 0, pasid, 0, 0],
  pasidCacheDomain: (did: number): number[] => [((did << 16) | 0x07) >>> 0, 0, 0, 0],
  pasidCacheGlobal: (): number[] => [0x37, 0, 0, 0],
} as const;

/** Everything of a device TLB. */
export const WHOLE_DEVICE = 52;

/** Address words of a block of 2^order pages as PCIe ATS writes it: ones below the highest bit of the size, that one 0. */
function blockAddress(page: number, order: number): readonly [number, number] {
  const ones = order < 2 ? 0n : ((1n << BigInt(order - 1)) - 1n) << 12n;
  const address = (BigInt(page) << 12n) | ones;
  return [Number(address & 0xffff_ffffn), Number(address >> 32n)];
}

function deviceTlbWords(source: number, page: number, order: number): number[] {
  const [low, high] = blockAddress(page, order);
  return [0x3, source, low + (order > 0 ? 1 : 0), high];
}

function pasidDeviceTlbWords(source: number, pasid: number, page: number, order: number): number[] {
  const [low, high] = blockAddress(page, order);
  return [((source << 16) | 0x8) >>> 0, pasid, low + (order > 0 ? 0x800 : 0), high];
}
