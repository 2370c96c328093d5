/**
 * `pageTables`: modelled tables in memory against the recorder's. Kernel-owned devices: every leaf and every context or
 * PASID entry of the dump after the window. User-space drivers: the table just before a device's last detach against
 * what the recorded map and unmap events leave.
 */
import type { Pfn, SourceId } from '../../address.ts';
import type { PhysicalMemory } from '../../hw/memory.ts';
import {
  forEachTableLeaf,
  type InstalledTable,
  readInstalledTable,
  type TableLeaf,
} from '../../hw/vtd/table-reader.ts';
import type { ReadRow } from '../../trace/columns.ts';
import type { BundleReader } from '../../trace/reader.ts';
import type { OBSERVED_TABLES_SCHEMA } from '../../trace/schema/observed-streams.ts';
import type { PageMap, RecordedTables } from './recorded-tables.ts';
import { CheckCounter, type CheckResult } from './result.ts';

type TableRow = ReadRow<typeof OBSERVED_TABLES_SCHEMA>;

/** Where a device's tables are rooted. */
export interface TableRoot {
  readonly rootTable: Pfn;
  readonly scalable: boolean;
  readonly sourceId: SourceId;
}

/** Compares tables of one recording. */
export class TableChecks {
  readonly #memory: PhysicalMemory;
  readonly #rootOf: (device: number) => TableRoot | undefined;
  readonly #recorded: RecordedTables;
  readonly #counter = new CheckCounter();
  #outsideWindow = 0;
  #withoutDump = 0;

  constructor(memory: PhysicalMemory, recorded: RecordedTables, rootOf: (device: number) => TableRoot | undefined) {
    this.#memory = memory;
    this.#recorded = recorded;
    this.#rootOf = rootOf;
  }

  /** The table of `device` as it stands against the pages that recorded events left in its address space. */
  compareWithEvents(device: number): void {
    const expected = this.#recorded.ofAttached(device);
    if (expected === undefined) return;
    const modelled = expandLeaves(this.#leavesOf(device, 0));
    for (const [iovaPfn, pfn] of expected) {
      const got = modelled.get(iovaPfn);
      this.#counter.compare(
        got === pfn,
        () => `device ${device} before its last detach: page 0x${iovaPfn.toString(16)}: ${pages(pfn, got)}`,
      );
      modelled.delete(iovaPfn);
    }
    for (const [iovaPfn, pfn] of modelled) {
      this.#counter.compare(
        false,
        () => `device ${device} before its last detach: page 0x${iovaPfn.toString(16)}: ${pages(undefined, pfn)}`,
      );
    }
  }

  /** Every row of the dump after the window against the tables as they stand. */
  compareWithDump(bundle: BundleReader): void {
    const leaves = new Map<string, TableRow[]>();
    for (const row of bundle.optionalStream('observed-tables')?.rows() ?? []) {
      if (row.when !== 'after') continue;
      if (row.kind === 'context') {
        this.#compareEntry(row);
        // A device whose dump has no leaf is dumped empty only if its leaves were dumped at all.
        continue;
      }
      const key = `${row.device} ${row.pasid}`;
      const rows = leaves.get(key);
      if (rows === undefined) leaves.set(key, [row]);
      else rows.push(row);
    }
    for (const rows of leaves.values()) this.#compareLeaves(rows);
  }

  /** Domain id installed for a device; undefined when its DMA is blocked. */
  installedDomain(device: number): number | undefined {
    return this.#tableOf(device, 0)?.domainId;
  }

  result(): CheckResult {
    return this.#counter.result({
      outsideWindow: this.#outsideWindow,
      ...(this.#withoutDump > 0 ? { apart: { without_modelled_device: this.#withoutDump } } : {}),
    });
  }

  #compareEntry(row: TableRow): void {
    const table = this.#tableOf(row.device, row.pasid);
    const describe = (): string =>
      `device ${row.device}: entry of domain ${row.domainId} type ${row.translationType}, modelled ${
        table === undefined ? 'not present' : `domain ${table.domainId} type ${table.translationType}`
      }`;
    const agrees = table?.domainId === row.domainId && table.translationType === row.translationType;
    this.#counter.compare(agrees, describe);
  }

  #compareLeaves(rows: readonly TableRow[]): void {
    const { device, pasid } = rows[0] as TableRow;
    const recorded = this.#recorded.ofDevice(device);
    const modelled = new Map(this.#leavesOf(device, pasid).map((leaf) => [leaf.iovaPfn, leaf]));
    for (const row of rows) {
      const iovaPfn = Number(row.iovaPfn);
      const pfn = Number(row.pfn);
      const leaf = modelled.get(iovaPfn);
      modelled.delete(iovaPfn);
      if (leaf?.pfn !== pfn && recorded.get(iovaPfn) === leaf?.pfn) {
        this.#outsideWindow++;
        continue;
      }
      const agrees = leaf !== undefined && leaf.pfn === pfn && leaf.level === row.level && leaf.prot === row.prot;
      this.#counter.compare(
        agrees,
        () =>
          `device ${device}: page 0x${iovaPfn.toString(16)}: dumped ${describeLeaf(row.pfn, row)}, modelled ${
            leaf === undefined ? 'nothing' : describeLeaf(BigInt(leaf.pfn), leaf)
          }`,
      );
    }
    for (const leaf of modelled.values()) {
      if (recorded.get(leaf.iovaPfn) === leaf.pfn) {
        this.#outsideWindow++;
        continue;
      }
      this.#counter.compare(
        false,
        () =>
          `device ${device}: page 0x${leaf.iovaPfn.toString(16)}: not in the dump, modelled ${describeLeaf(BigInt(leaf.pfn), leaf)}`,
      );
    }
  }

  #leavesOf(device: number, pasid: number): TableLeaf[] {
    const table = this.#tableOf(device, pasid);
    const leaves: TableLeaf[] = [];
    if (table !== undefined) forEachTableLeaf(this.#memory, table, (leaf) => leaves.push(leaf));
    return leaves;
  }

  #tableOf(device: number, pasid: number): InstalledTable | undefined {
    const root = this.#rootOf(device);
    if (root === undefined) {
      this.#withoutDump++;
      return undefined;
    }
    return readInstalledTable(this.#memory, root.rootTable, root.scalable, root.sourceId, pasid);
  }
}

function expandLeaves(leaves: readonly TableLeaf[]): PageMap {
  const map: PageMap = new Map();
  for (const { iovaPfn, pfn, level } of leaves) {
    const pageCount = 512 ** (level - 1);
    for (let page = 0; page < pageCount; page++) map.set(iovaPfn + page, pfn + page);
  }
  return map;
}

function describeLeaf(pfn: bigint, { level, prot }: { readonly level: number; readonly prot: number }): string {
  return `page 0x${pfn.toString(16)} level ${level} ${(prot & 1) === 0 ? '-' : 'r'}${(prot & 2) === 0 ? '-' : 'w'}`;
}

function pages(recorded: number | undefined, modelled: number | undefined): string {
  const text = (pfn: number | undefined): string => (pfn === undefined ? 'nothing' : `page 0x${pfn.toString(16)}`);
  return `recorded ${text(recorded)}, modelled ${text(modelled)}`;
}
