/** What happened when: throughput and control plane, faults, divergences, in words and tables. */
import { formatByteRate, formatCount, formatDuration, formatShare, NOT_AVAILABLE } from '../format.ts';
import type { ReportCase } from '../schema/report.ts';
import { shortOpName } from '../sections/control-class.ts';
import { hexByte } from '../sections/faults.ts';
import { type Block, figures, type Section, type Table, words } from './block.ts';
import { LATENCY_COLUMNS, latencyCells } from './latency-columns.ts';

/** Rows of a list of events on the page; the rest is in `report.json`. */
const MAX_LISTED = 20;

function domainChangeTable(changes: ReportCase['timeline']['domain_changes']): Table {
  return {
    kind: 'table',
    caption: 'Domain changes in order',
    columns: [figures('at'), words('call', { code: true }), words('device', { code: true }), figures('took')],
    rows: changes
      .slice(0, MAX_LISTED)
      .map((change) => [
        formatDuration(change.start_ns),
        shortOpName(change.op),
        change.device || NOT_AVAILABLE,
        formatDuration(change.duration_ns),
      ]),
    omitted: Math.max(0, changes.length - MAX_LISTED),
    folded: true,
  };
}

/** Throughput and control plane on one time axis. */
export function timelineChapter({ timeline }: ReportCase): Section {
  const changes = timeline.domain_changes;
  return {
    id: 'timeline',
    title: 'Throughput and control plane',
    blocks: [
      {
        kind: 'facts',
        facts: [
          { label: 'mean throughput', value: formatByteRate(timeline.mean_bytes_per_s) },
          { label: 'peak of a bin', value: formatByteRate(timeline.peak_bytes_per_s) },
          { label: 'bin', value: formatDuration(timeline.bin_ns) },
          {
            label: 'longest time without a completion',
            value: timeline.longest_idle_ns === 0 ? 'less than a bin' : formatDuration(timeline.longest_idle_ns),
          },
        ],
      },
      { kind: 'charts', names: ['throughput', 'control-activity'] },
      {
        kind: 'table',
        caption: 'Duration of control-plane calls',
        columns: [words('call', { code: true }), words('kind', { wideOnly: true }), ...LATENCY_COLUMNS],
        rows: timeline.control.map((op) => [shortOpName(op.op), op.class, ...latencyCells(op.duration_ns)]),
      },
      ...(changes.length === 0 ? [] : [domainChangeTable(changes)]),
      {
        kind: 'paragraph',
        text:
          'Charts mark calls other than map and unmap, which are in the table alone' +
          (timeline.markers_omitted === 0
            ? '.'
            : `; ${formatCount(timeline.markers_omitted)} calls after the first ${formatCount(timeline.markers)} are not marked.`),
      },
    ],
  };
}

/** Faulted DMA. */
export function faultChapter({ faults }: ReportCase): Section {
  const table: Block = {
    kind: 'table',
    caption: 'Faulted DMA by device and reason',
    columns: [
      words('device', { code: true }),
      figures('reason'),
      words('meaning'),
      figures('count'),
      figures('first'),
      figures('last', { wideOnly: true }),
      figures('first IOVA', { code: true, wideOnly: true }),
    ],
    rows: faults.map((fault) => [
      fault.device,
      hexByte(fault.reason),
      fault.reason_text,
      formatCount(fault.count),
      formatDuration(fault.first_ns),
      formatDuration(fault.last_ns),
      fault.first_iova,
    ]),
  };
  return {
    id: 'faults',
    title: 'Faults',
    blocks: faults.length === 0 ? [{ kind: 'paragraph', text: 'No DMA was blocked by a translation fault.' }] : [table],
  };
}

/** Divergences from recorded results. */
export function divergenceChapter({ divergences }: ReportCase): Section {
  const { compared, count, first, share } = divergences;
  const verdict =
    compared === 0
      ? 'The recording holds no control-plane result to compare with.'
      : count === 0
        ? `All ${formatCount(compared)} compared control-plane results are those that were recorded.`
        : `${formatCount(count)} of ${formatCount(compared)} compared control-plane results differ from the recording (${formatShare(share)}).`;
  const table: Block = {
    kind: 'table',
    caption: 'First divergences',
    columns: [figures('control row'), words('call', { code: true }), words('recorded'), words('modelled')],
    rows: first
      .slice(0, MAX_LISTED)
      .map((row) => [formatCount(row.control_row), shortOpName(row.op), row.recorded, row.modelled]),
    omitted: count - Math.min(first.length, MAX_LISTED),
  };
  return {
    id: 'divergences',
    title: 'Divergences from recorded results',
    blocks: [{ kind: 'paragraph', text: verdict }, ...(first.length === 0 ? [] : [table])],
  };
}
