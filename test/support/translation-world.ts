/**
 * Software, unit and oracle side by side: devices with entries of every kind, page tables of every stage and depth, and
 * operations on them as plain data. Every DMA is held against the oracle.
 */
import type { CacheGeometry } from '../../src/hw/set-assoc.ts';
import type { VtdConfig } from '../../src/hw/vtd/config.ts';
import { CacheOracle, type OracleSight } from './cache-oracle.ts';
import type { OracleEntry } from './cached-entries.ts';
import { DeviceUnderTest, descriptors, type SubmissionHandle, type TestOutcome } from './device-under-test.ts';
import { GUEST_OFFSET } from './nested-scene.ts';
import type { OracleInvalidation } from './oracle-invalidation.ts';
import { ShadowTable } from './shadow-table.ts';
import type { TableRoot } from './table-builder.ts';

/** [4 KiB pages] Neighbours, other 2 MiB, 1 GiB, 512 GiB and 256 TiB regions. */
export const WORLD_PAGES: readonly number[] = [
  0x2ff, 0x100, 0x101, 0x8ff, 0x40100, 0x3ffff, 0x7ff_fe01, 0x800_0101, 0x10_0000_0103,
];
const DEVICES = 2;
const PASIDS: readonly number[] = [0, 5, 70];
/**
 * Domain ids by kind: those of first-stage and pass-through entries differ from those of others (VT-d spec 6.2.3.1).
 * Tables share them (which no driver does, and which makes every stale tag visible), but not tables of different depth:
 * what is too wide for one of them would be a matter of who came first.
 */
const DOMAIN_IDS = { second: 10, first: 20, nested: 30, pass: 40 } as const;
const DOMAIN_IDS_A_DEPTH = 100;
const TABLES_A_KIND = 2;

/** How a world is built. */
export interface WorldOptions {
  readonly mode: 'legacy' | 'scalable';
  /** Levels of the second-stage tables, in order; the first stage has at least 4. */
  readonly levels: readonly [number, number];
  readonly set: readonly string[];
  readonly caches?: {
    readonly iotlb: CacheGeometry;
    readonly paging: CacheGeometry | undefined;
    readonly entries: CacheGeometry | undefined;
  };
  /** Defects for the tests of the test. */
  readonly defect?: WorldDefect;
}

/** What is wrong with a world that the oracle must notice. */
export interface WorldDefect {
  /** Software believes it submitted these, and did not. */
  readonly forgets?: (invalidation: OracleInvalidation) => boolean;
  /** A unit built differently. */
  readonly breaks?: (dut: DeviceUnderTest) => void;
}

/** One operation; indices are taken modulo what there is. */
export type WorldOperation =
  | { op: 'dma'; device: number; pasid: number; page: number; write: boolean; gap: number }
  /** The page of the last DMA. */
  | { op: 'again'; write: boolean; gap: number }
  | { op: 'map'; table: number; page: number; size: number; prot: number }
  | { op: 'unmap'; table: number; page: number; size: number }
  | { op: 'bind'; device: number; pasid: number; kind: number; table: number; domain: number }
  | { op: 'unbind'; device: number; pasid: number }
  | { op: 'flush'; which: readonly number[]; device: number; pasid: number; page: number; mask: number; hint: boolean }
  | { op: 'wait' };

interface PendingFlush {
  readonly handle: SubmissionHandle;
  readonly invalidations: readonly OracleInvalidation[];
  readonly submitted: number;
}

/** See the file's header. */
export class TranslationWorld {
  readonly dut: DeviceUnderTest;
  readonly oracle: CacheOracle;
  /** DMA by what became of it. */
  readonly seen = { hit: 0, walk: 0, fault: 0, pass: 0 };
  readonly #scalable: boolean;
  readonly #defect: WorldDefect;
  readonly #second: ShadowTable[];
  readonly #first: ShadowTable[];
  readonly #guest: ShadowTable[];
  readonly #tables: ShadowTable[];
  #pending: PendingFlush[] = [];
  #now = 1000;
  #mappings = 0;
  #lastDomainId = 0;
  #last: Extract<WorldOperation, { op: 'dma' }> = { op: 'dma', device: 0, pasid: 0, page: 0, write: false, gap: 0 };

  constructor(options: WorldOptions) {
    this.#scalable = options.mode === 'scalable';
    this.#defect = options.defect ?? {};
    const { caches } = options;
    this.dut = new DeviceUnderTest({
      scalable: this.#scalable,
      devices: DEVICES,
      set: options.set,
      config: (config) => (caches === undefined ? config : withCaches(config, caches)),
    });
    this.oracle = new CacheOracle(this.#scalable);
    const { memory } = this.dut;
    this.#second = options.levels.map((levels) => new ShadowTable(memory, levels, 'second'));
    const host = this.#second[0] as ShadowTable;
    const named = (page: number, frame: number): void => host.map(page, frame, 3, 0);
    const firstLevels = options.levels.map((levels) => Math.max(levels, 4));
    this.#first = this.#scalable ? firstLevels.map((levels) => new ShadowTable(memory, levels, 'first')) : [];
    // Where the second stage has 3 levels its addresses still reach the guest's table pages.
    this.#guest = this.#scalable
      ? firstLevels.map((levels) => new ShadowTable(memory, levels, 'first', GUEST_OFFSET, named))
      : [];
    this.#tables = [...this.#second, ...this.#first, ...this.#guest];
    for (const table of this.#tables) for (const index of WORLD_PAGES.keys()) this.#map(table, index, 0, 3);
    for (let device = 0; device < DEVICES; device++) {
      for (const pasid of this.#scalable ? PASIDS : [0]) this.#bind(device, pasid, device, device, device);
    }
    this.#defect.breaks?.(this.dut);
  }

  /** Carries out one operation; throws when the unit answers what the oracle cannot explain. */
  run(operation: WorldOperation): void {
    const { dut } = this;
    this.#now = Math.max(this.#now, Math.ceil(dut.timeline.now / 1000)) + 1;
    if (operation.op === 'dma' || operation.op === 'again') this.#now += operation.gap;
    dut.timeline.runUntil(this.#now * 1000);
    this.#complete();
    switch (operation.op) {
      case 'dma':
        this.#dma(operation);
        return;
      case 'again':
        this.#dma({ ...this.#last, write: operation.write });
        return;
      case 'map': {
        const table = pick(this.#tables, operation.table);
        this.#map(table, operation.page, operation.size % 3, 1 + (operation.prot % 3));
        return;
      }
      case 'unmap': {
        const table = pick(this.#tables, operation.table);
        table.unmap(pageOf(table, operation.page), operation.size % 3);
        return;
      }
      case 'bind':
        this.#bind(
          operation.device % DEVICES,
          this.#scalable ? pick(PASIDS, operation.pasid) : 0,
          operation.kind,
          operation.table,
          operation.domain,
        );
        return;
      case 'unbind':
        this.#unbind(operation.device % DEVICES, pick(PASIDS, operation.pasid));
        return;
      case 'flush':
        this.#flush(operation);
        return;
      case 'wait':
        dut.settle();
        this.#now = Math.max(this.#now, Math.ceil(dut.timeline.now / 1000) + 1);
        this.#complete();
        return;
    }
  }

  #complete(): void {
    const open: PendingFlush[] = [];
    for (const flush of this.#pending) {
      const { doneNs } = flush.handle;
      if (doneNs === undefined || doneNs > this.#now || open.length > 0) open.push(flush);
      else for (const each of flush.invalidations) this.oracle.completed(each, flush.submitted);
    }
    this.#pending = open;
  }

  #map(table: ShadowTable, index: number, size: number, prot: number): void {
    const pages = 512 ** size;
    const page = pageOf(table, index);
    // Guests map pages that the host's table translates, others pages that nobody else names.
    const target = pick(WORLD_PAGES.slice(0, 6), this.#mappings++);
    const own = (1 + (this.#mappings % 700)) * 2 ** 18 + (size === 0 ? 7 : 0);
    const pfn = this.#guest.includes(table) ? target - (target % pages) : own;
    // First-stage tables have no write-only mapping.
    table.map(page - (page % pages), pfn, table.stage === 'first' ? prot | 1 : prot, size);
  }

  #bind(device: number, pasid: number, kindIndex: number, tableIndex: number, domain: number): void {
    const { contexts, sourceIds } = this.dut;
    const source = sourceIds[device] as number;
    const kinds = this.#scalable ? (['second', 'first', 'nested', 'pass'] as const) : (['second', 'pass'] as const);
    const kind = kinds[kindIndex % kinds.length] as OracleEntry['kind'];
    const of = kind === 'second' ? this.#second : kind === 'first' ? this.#first : this.#guest;
    const table = kind === 'pass' ? undefined : pick(of, tableIndex);
    const host = this.#second[0] as ShadowTable;
    const domainId = DOMAIN_IDS[kind] + (domain % TABLES_A_KIND) + (table?.levels ?? 0) * DOMAIN_IDS_A_DEPTH;
    const entry: OracleEntry = {
      kind,
      domainId,
      ...(table === undefined ? {} : { table }),
      ...(kind === 'nested' ? { host } : {}),
    };
    this.#lastDomainId = domainId;
    if (!this.#scalable) {
      contexts.setLegacy(source, rootOf(table ?? host), domainId, kind === 'pass' ? 2 : 0);
      this.oracle.setContext(device, entry);
      return;
    }
    if (kind === 'nested') {
      const first = table as ShadowTable;
      contexts.setNested(source, pasid, { root: first.namedRoot, levels: first.levels }, rootOf(host), domainId);
    } else {
      contexts.setPasid(source, pasid, table === undefined ? undefined : rootOf(table), domainId);
    }
    this.oracle.setEntry(device, pasid, entry);
    if (this.oracle.entry(device, pasid) !== entry) throw new Error('the entry was not kept');
    this.oracle.setContext(device, this.#directory(device));
  }

  readonly #directories = new Map<number, OracleEntry>();

  /** The context entry of scalable mode never changes once it is there. */
  #directory(device: number): OracleEntry {
    const known = this.#directories.get(device) ?? { kind: 'pass', domainId: -1 };
    this.#directories.set(device, known);
    return known;
  }

  #unbind(device: number, pasid: number): void {
    const { contexts, sourceIds } = this.dut;
    const source = sourceIds[device] as number;
    if (this.#scalable) {
      contexts.clearPasid(source, pasid);
      this.oracle.setEntry(device, pasid, undefined);
    } else {
      contexts.clearContext(source);
      this.oracle.setContext(device, undefined);
    }
  }

  #flush(operation: Extract<WorldOperation, { op: 'flush' }>): void {
    const { dut } = this;
    const device = operation.device % DEVICES;
    const pasid = this.#scalable ? pick(PASIDS, operation.pasid) : 0;
    const bound = this.oracle.entry(device, pasid);
    const domainId = bound?.domainId ?? this.#lastDomainId;
    const words: number[][] = [];
    const invalidations: OracleInvalidation[] = [];
    for (const which of operation.which) {
      const made = this.#descriptor(which, device, domainId, pasid, operation);
      invalidations.push(made.invalidation);
      if (this.#defect.forgets?.(made.invalidation) !== true) words.push(made.words);
    }
    const handle = dut.submit(this.#now, words);
    this.#pending.push({ handle, invalidations, submitted: this.#now });
  }

  #descriptor(
    which: number,
    device: number,
    domainId: number,
    pasid: number,
    operation: Extract<WorldOperation, { op: 'flush' }>,
  ): { readonly words: number[]; readonly invalidation: OracleInvalidation } {
    const { mask, hint } = operation;
    const source = this.dut.sourceIds[device] as number;
    const page = pick(WORLD_PAGES, operation.page);
    const pages = 2 ** mask;
    const range = { page: page - (page % pages), pages, hint };
    const kinds = this.#scalable ? 11 : 6;
    switch (which % kinds) {
      case 0:
        return {
          words: descriptors.iotlbPages(domainId, page, mask, hint),
          invalidation: { kind: 'pages', domainId, ...range },
        };
      case 1:
        return { words: descriptors.iotlbDomain(domainId), invalidation: { kind: 'domain', domainId } };
      case 2:
        return { words: descriptors.iotlbGlobal(), invalidation: { kind: 'global' } };
      case 3:
        return { words: descriptors.contextDevice(source), invalidation: { kind: 'context', device } };
      case 4:
        return { words: descriptors.contextDomain(domainId), invalidation: { kind: 'context', domainId } };
      case 5:
        return { words: descriptors.contextGlobal(), invalidation: { kind: 'context' } };
      case 6:
        return {
          words: descriptors.pasidIotlbPages(domainId, pasid, page, mask, hint),
          invalidation: { kind: 'pasidPages', domainId, pasid, ...range },
        };
      case 7:
        return { words: descriptors.pasidIotlb(domainId, pasid), invalidation: { kind: 'pasidAll', domainId, pasid } };
      case 8:
        return { words: descriptors.pasidCache(domainId, pasid), invalidation: { kind: 'pasid', domainId, pasid } };
      case 9:
        return { words: descriptors.pasidCacheDomain(domainId), invalidation: { kind: 'pasid', domainId } };
      default:
        return { words: descriptors.pasidCacheGlobal(), invalidation: { kind: 'pasid' } };
    }
  }

  #dma(row: Extract<WorldOperation, { op: 'dma' }>): void {
    const device = row.device % DEVICES;
    const pasid = pick(PASIDS, row.pasid);
    this.#last = row;
    const page = pick(WORLD_PAGES, row.page);
    const outcome = this.dut.issue({ at: this.#now, device, pasid, page, write: row.write });
    const sight = sightOf(outcome);
    this.seen[sight.how]++;
    if (!this.oracle.sees(device, pasid, page, row.write, sight, this.#now)) {
      const what = `device ${device} PASID ${pasid} page ${page.toString(16)} ${row.write ? 'write' : 'read'}`;
      const allowed = this.oracle.allowed(device, pasid, page, row.write);
      throw new Error(`${what} at ${this.#now} ns: ${sight.how} ${sight.pfn}, which none of [${allowed}] explains`);
    }
    if (outcome.ready < outcome.arrive || outcome.done < outcome.ready) throw new Error('time runs backwards');
  }
}

/** What the oracle has to explain. */
function sightOf({ outcome, pfn }: TestOutcome): OracleSight {
  if (outcome === 'fault') return { how: 'fault', pfn: -1 };
  if (outcome === 'passThrough') return { how: 'pass', pfn };
  return { how: outcome === 'miss' ? 'walk' : 'hit', pfn };
}

function withCaches(config: VtdConfig, caches: NonNullable<WorldOptions['caches']>): VtdConfig {
  const { iotlb, paging, entries } = caches;
  const pagingCaches = config.pagingCaches.map((_, level) => (level < 2 ? undefined : paging));
  return { ...config, iotlb, pagingCaches, contextCache: entries, pasidCache: entries };
}

/** A page that the table's address width reaches. */
function pageOf(table: ShadowTable, index: number): number {
  const page = pick(WORLD_PAGES, index);
  return page < 512 ** table.levels ? page : (WORLD_PAGES[0] as number);
}

function pick<T>(list: readonly T[], index: number): T {
  return list[index % list.length] as T;
}

function rootOf(table: ShadowTable): TableRoot {
  return { root: table.root.frame, levels: table.levels, stage: table.stage };
}
