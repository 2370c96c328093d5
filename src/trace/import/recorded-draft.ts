/** Manifest, initial mappings, observed tables and summary of a merged recording. */

import { NONE_U32 } from '../schema/column-type.ts';
import { InitialOrigin } from '../schema/initial-stream.ts';
import type { DiagnosticEntry, Manifest } from '../schema/manifest.ts';
import type { BundleDraft, ImportSummary, InitialRow, TableRow } from './bundle-draft.ts';
import type { DescriptorMatches } from './descriptor-matching.ts';
import type { DeviceIndex } from './device-index.ts';
import type { DiagnosticCounts } from './diagnostics.ts';
import type { InitialPage, InitialState } from './initial-mappings.ts';
import type { MergedRanks } from './merge-order.ts';
import { isFirstStage, type RecordedFiles } from './recorded-files.ts';
import type { FoundOffset } from './recorded-importer.ts';
import type { OrderedRows } from './recorded-rows.ts';
import { kernelProfileOf, recorderProfileOf } from './recording-meta.ts';
import type { TableDump } from './table-dump.ts';

/** Everything the draft is made of. */
export interface RecordedParts {
  readonly files: RecordedFiles;
  readonly devices: DeviceIndex;
  readonly initial: InitialState;
  readonly offset: FoundOffset;
  readonly matches: DescriptorMatches;
  readonly merged: MergedRanks;
  readonly rows: OrderedRows;
  readonly window: { readonly first: number; readonly end: number };
  readonly diagnostics: DiagnosticCounts;
}

/** Leaves of a dump as initial pages. */
export function dumpedPages(dump: TableDump | undefined, devices: DeviceIndex): InitialPage[] {
  return (dump?.leaves ?? []).map(({ device, iovaPfn, pfn, prot, level }) => ({
    device: devices.byName(device),
    iovaPfn,
    pfn,
    prot,
    leafShift: 12 + 9 * (level - 1),
    origin: InitialOrigin.tableDump,
  }));
}

/** Puts the parts together. */
export function recordedDraft(parts: RecordedParts): BundleDraft {
  const { files, devices, rows, diagnostics } = parts;
  describeDevices(parts);
  const tables = [...tableRows('before', files.before, devices), ...tableRows('after', files.after, devices)];
  crossCheckOffset(parts);
  const entries = diagnostics.entries();
  const spanNs = files.guest.lastNs - files.guest.firstNs;
  const manifest: BundleDraft['manifest'] = {
    name: files.name,
    description: files.meta.description,
    origin: {
      importer: 'recorded',
      tool: files.meta.deviceModel,
      kernel: files.meta.kernel,
      kernelProfile: kernelProfileOf(files.meta.kernel),
      recorderProfile: recorderProfileOf(files.meta.deviceModel),
      clock: files.meta.clock,
      commandLine: files.meta.commandLine,
    },
    time: { originNs: String(files.guest.firstNs), windowStartNs: 0, windowEndNs: spanNs },
    dmaPolicy: { flushMode: flushMode(files) },
    pacing: {
      default: 'closed',
      reason: 'recorded under a software emulator: order and addresses are real, durations are not those of hardware',
    },
    topology: { units: [unitOf(files)], devices: devices.devices },
    // Addresses and order of every request are measured; only sizes and directions are inferred, which each row says.
    provenance: { dma: { measured: rows.dma.length, inferred: 0, synthetic: 0 } },
    lostEvents: files.guest.lostEvents,
    diagnostics: entries,
  };
  return {
    manifest,
    control: rows.control,
    frames: rows.frames,
    initial: initialRows(parts.initial.pages),
    units: [{ dma: rows.dma, observed: true }],
    submissions: rows.submissions,
    hardware: rows.hardware,
    tables,
    summary: summaryOf(parts, entries, spanNs),
  };
}

/** Names default domains, ATS and the drivers that the window shows. */
function describeDevices({ files, devices, rows }: RecordedParts): void {
  for (const { sourceId, domainId, pasid } of files.before?.contexts ?? []) {
    const device = devices.devices[devices.bySourceId(sourceId)];
    if (pasid === 0 && device !== undefined) device.defaultDomainId ??= domainId;
  }
  for (const row of rows.control) {
    const device = row.op === 'open_cdev' ? devices.devices[row.device] : undefined;
    // The list is older than the window: a device opened through VFIO is bound to it by then.
    if (device !== undefined) device.driver = 'vfio-pci';
  }
}

function unitOf(files: RecordedFiles): Manifest['topology']['units'][number] {
  const scalable = files.before?.scalable ?? files.meta.commandLine.includes('sm_on');
  return {
    name: 'dmar0',
    cap: files.meta.cap,
    ecap: files.meta.ecap,
    mode: scalable ? 'scalable' : 'legacy',
    stage: isFirstStage(files.meta) ? 'first' : 'second',
  };
}

/** Caching mode (CAP bit 7) makes the kernel flush strictly; else `iommu.strict=0` asks for the flush queue. */
function flushMode(files: RecordedFiles): 'strict' | 'lazy' {
  const cachingMode = files.meta.cap !== undefined && ((BigInt(`0x${files.meta.cap}`) >> 7n) & 1n) === 1n;
  if (cachingMode) return 'strict';
  if (files.meta.commandLine.includes('iommu.strict=1')) return 'strict';
  if (files.meta.commandLine.includes('iommu.strict=0')) return 'lazy';
  return files.listed.some(({ defaultDomain }) => defaultDomain === 'dma-fq') ? 'lazy' : 'strict';
}

function initialRows(pages: readonly InitialPage[]): InitialRow[] {
  const sorted = [...pages].sort((a, b) => a.device - b.device || a.iovaPfn - b.iovaPfn);
  const rows: InitialRow[] = [];
  for (const { device, iovaPfn, pfn, prot, leafShift, origin } of sorted) {
    const pageCount = leafShift > 12 && origin === InitialOrigin.tableDump ? 2 ** (leafShift - 12) : 1;
    const last = rows.at(-1);
    const continues =
      last !== undefined &&
      last.device === device &&
      Number(last.iovaPfn) + last.pageCount === iovaPfn &&
      Number(last.pfn) + last.pageCount === pfn &&
      last.prot === prot &&
      last.leafShift === leafShift &&
      last.origin === origin;
    if (continues) rows[rows.length - 1] = { ...last, pageCount: last.pageCount + pageCount };
    else rows.push({ device, pasid: 0, iovaPfn, pfn, pageCount, prot, leafShift, origin });
  }
  return rows;
}

function tableRows(when: 'before' | 'after', dump: TableDump | undefined, devices: DeviceIndex): TableRow[] {
  const blank = { when, pasid: 0, iovaPfn: 0, pfn: 0, prot: 0, level: 0, domainId: 0, translationType: 0 };
  const rows: TableRow[] = [];
  for (const { device, pasid, iovaPfn, pfn, prot, level } of dump?.leaves ?? []) {
    rows.push({ ...blank, kind: 'leaf', device: devices.byName(device), pasid, iovaPfn, pfn, prot, level });
  }
  for (const { sourceId, pasid, domainId, translationType } of dump?.contexts ?? []) {
    const device = devices.findSourceId(sourceId) ?? NONE_U32;
    // An alias of a bridge has an entry of its own and no device of its own.
    if (device === NONE_U32 || devices.devices[device]?.sourceId !== sourceId) continue;
    rows.push({ ...blank, kind: 'context', device, pasid, domainId, translationType });
  }
  return rows;
}

/** [ns] Difference to the recorder's own estimate that is worth a word: ten times the 10 µs to which it was made. */
const OFFSET_TOLERANCE_NS = 100_000;

/** [ns] Our offset minus the stated one; undefined when the recording states none. */
function statedDifferenceNs({ files, offset }: RecordedParts): number | undefined {
  const stated = files.meta.statedOffsetSeconds;
  if (stated === undefined) return undefined;
  return offset.offsetNs - Math.round((stated - files.device.baseSeconds) * 1e9);
}

function crossCheckOffset(parts: RecordedParts): void {
  const differenceNs = statedDifferenceNs(parts);
  if (differenceNs === undefined || Math.abs(differenceNs) <= OFFSET_TOLERANCE_NS) return;
  parts.diagnostics.count('clock_offset_differs', 'info', { file: 'meta.json', text: `by ${differenceNs} ns` });
}

function summaryOf(parts: RecordedParts, entries: readonly DiagnosticEntry[], spanNs: number): ImportSummary {
  const { files, devices, rows, initial, offset, matches, merged, window } = parts;
  const used = rows.dma.devices();
  return {
    importer: 'recorded',
    lines: files.guest.lineCount + files.device.lineCount + (files.control?.lineCount ?? 0),
    parsed: {
      [files.guest.file]: files.guest.eventCount,
      [files.device.file]: files.device.eventCount,
      ...(files.control === undefined ? {} : { [files.control.file]: files.control.calls.length }),
    },
    skipped: Object.fromEntries(entries.map(({ code, count }) => [code, count])),
    lostEvents: files.guest.lostEvents,
    spanNs,
    clock: `${files.meta.clock}, device model ${offset.offsetNs} ns later by ${offset.method}`,
    devices: [...used].sort((a, b) => a - b).map((index) => devices.devices[index]?.name ?? ''),
    controlRows: rows.control.length,
    dmaRows: rows.dma.length,
    learnedRows: rows.dma.learnedCount(),
    outsideWindow: files.device.events.length - (window.end - window.first),
    measures: {
      clockOffsetNs: offset.offsetNs,
      clockPairs: offset.pairs,
      clockSamples: offset.samples,
      statedOffsetDifferenceNs: statedDifferenceNs(parts) ?? 0,
      submissions: rows.submissions.length,
      submissionsExecuted: matches.executionOf.size,
      submissionsUnmatched: matches.unmatched,
      submissionsWithCall: rows.submissions.filter(({ controlRow }) => controlRow > 0).length,
      reorderedGuestEvents: merged.moved,
      orderContradictions: merged.conflicts,
      dumpRowsOutdated: initial.outdated,
      unmappedPagesUnknown: initial.unknown,
    },
  };
}
