/** What an import tells about itself, as data and as text. */
import type { ImportSummary } from './bundle-draft.ts';
import type { DeviceIndex } from './device-index.ts';
import type { DiagnosticCounts } from './diagnostics.ts';
import type { OrderedRows } from './recorded-rows.ts';

/** Makes the summary; counts rows and names the devices that issue DMA, or all when none does. */
export function summarize(parts: {
  readonly importer: string;
  readonly lines: number;
  readonly parsed: Readonly<Record<string, number>>;
  readonly diagnostics: DiagnosticCounts;
  readonly lostEvents: number;
  readonly spanNs: number;
  readonly clock: string;
  readonly devices: DeviceIndex;
  readonly rows: OrderedRows;
  readonly outsideWindow?: number;
  readonly measures: Readonly<Record<string, number>>;
}): ImportSummary {
  const { rows, devices } = parts;
  const active = [...rows.dma.devices()].sort((a, b) => a - b);
  const named = active.length === 0 ? devices.devices.map((_, index) => index) : active;
  return {
    importer: parts.importer,
    lines: parts.lines,
    parsed: parts.parsed,
    skipped: Object.fromEntries(parts.diagnostics.entries().map(({ code, count }) => [code, count])),
    lostEvents: parts.lostEvents,
    spanNs: parts.spanNs,
    clock: parts.clock,
    devices: named.map((index) => devices.devices[index]?.name ?? ''),
    controlRows: rows.control.length,
    dmaRows: rows.dma.length,
    learnedRows: rows.dma.learnedCount(),
    outsideWindow: parts.outsideWindow ?? 0,
    measures: parts.measures,
  };
}

/** The summary as lines of text. */
export function formatImportSummary(summary: ImportSummary): string {
  const events = Object.values(summary.parsed).reduce((sum, count) => sum + count, 0);
  const share = summary.dmaRows === 0 ? 0 : (100 * summary.learnedRows) / summary.dmaRows;
  const lines = [
    `importer       ${summary.importer}`,
    `lines          ${summary.lines}, of which events ${events} (${listCounts(summary.parsed)})`,
    `span           ${(summary.spanNs / 1e9).toFixed(6)} s, clock: ${summary.clock}`,
    `devices        ${summary.devices.join(', ') || 'none'}`,
    `control rows   ${summary.controlRows}`,
    `dma rows       ${summary.dmaRows}, learned ${summary.learnedRows} (${share.toFixed(3)} %)`,
    `outside window ${summary.outsideWindow}`,
    `lost events    ${summary.lostEvents}`,
    `diagnostics    ${listCounts(summary.skipped) || 'none'}`,
  ];
  const measures = listCounts(summary.measures);
  if (measures !== '') lines.push(`measures       ${measures}`);
  return lines.join('\n');
}

function listCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
