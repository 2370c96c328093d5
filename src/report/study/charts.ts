/** Charts of a study. */

import { REFILL_CURVE_ROWS } from '../../replay/study/protocol.ts';
import { BINS_PER_SIDE } from '../../replay/study/window-curves.ts';
import type { Chart, ChartRow } from '../charts/chart.ts';
import { formatDuration, plural } from '../format.ts';
import { nsFromPs, perSecond, ratio } from '../quantities.ts';
import type { PolicyResult, StudyCase } from './study-case.ts';

/** [px] Widths of lines, the widest drawn first: curves that coincide stay visible under each other. */
const LINE_WIDTHS: readonly number[] = [5.5, 4.5, 3.5, 2.75, 2, 1.25];

/** Points of a blackout curve. */
const CDF_POINTS = 200;
/** [ns] Where the logarithmic part of a blackout axis begins. */
const SMALL_NS = 100;

/** All charts of a case; `prefix` is unique in the study. */
export function studyCharts(study: StudyCase, prefix: string): Chart[] {
  const ran = study.policies.filter(({ summary }) => summary.switches > 0);
  if (ran.length === 0) return [];
  return [
    windowChart(study, ran, `${prefix}throughput`, 'Throughput around a switch: the switched device', 'bytes'),
    windowChart(study, ran, `${prefix}latency`, 'Latency around a switch', 'latency'),
    windowChart(
      study,
      ran,
      `${prefix}unit-throughput`,
      'Throughput around a switch: everybody behind the unit',
      'unitBytes',
    ),
    blackoutChart(ran, `${prefix}blackout`),
    refillChart(ran, `${prefix}refill`),
    ...sequenceChart(ran, `${prefix}sequence`),
    ...sensitivityChart(study, `${prefix}sensitivity`),
  ];
}

function windowChart(
  study: StudyCase,
  ran: readonly PolicyResult[],
  name: string,
  title: string,
  what: 'bytes' | 'unitBytes' | 'latency',
): Chart {
  const binNs = nsFromPs(study.binPs);
  const rows: ChartRow[] = ran.flatMap(({ policy, curves, summary }, index) =>
    curves.bytes.map((_, bin) => ({
      policy,
      width: LINE_WIDTHS[index]!,
      time_ns: (bin - BINS_PER_SIDE) * binNs,
      value:
        what === 'latency'
          ? scale(ratio(curves.latencySum[bin]!, curves.requests[bin]!), 1 / 1000)
          : perSecond(curves[what][bin]! / summary.switches, binNs),
    })),
  );
  const unit = what === 'latency' ? 'Mean latency' : 'Bytes completed per second, mean over switches,';
  return {
    name,
    template: what === 'latency' ? 'switch-latency' : 'switch-throughput',
    title,
    description: `${unit} in bins of ${formatDuration(binNs)} from ${formatDuration(nsFromPs(study.windowPs))} before to as long after the call begins, one line a policy.`,
    columns: ['policy', 'time_ns', 'value'],
    rows,
    span: 'full',
    heightPx: 220,
    params: {},
  };
}

function scale(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor;
}

function blackoutChart(ran: readonly PolicyResult[], name: string): Chart {
  const rows = ran.flatMap(({ policy, switches }, index) => {
    const width = LINE_WIDTHS[index]!;
    const sorted = switches.map(({ blackoutPs }) => nsFromPs(blackoutPs)).sort((a, b) => a - b);
    const step = Math.max(1, Math.ceil(sorted.length / CDF_POINTS));
    const points = sorted
      .map((blackout, i) => ({ policy, width, blackout_ns: blackout, share: (i + 1) / sorted.length }))
      .filter((_, i) => i % step === 0 || i === sorted.length - 1);
    return [{ policy, width, blackout_ns: 0, share: 0 }, ...points];
  });
  const longest = Math.max(SMALL_NS, ...rows.map((row) => row.blackout_ns));
  return {
    name,
    template: 'switch-cdf',
    title: 'Blackout of a switch',
    description: `Cumulative share of switches by blackout. ${ran.map(({ policy, summary }) => `${policy}: median ${formatDuration(summary.blackout.p50_ns)}, longest ${formatDuration(summary.blackout.max_ns)}.`).join(' ')}`,
    columns: ['policy', 'blackout_ns', 'share'],
    rows,
    span: 'half',
    heightPx: 260,
    params: { endNs: longest * 1.05 },
  };
}

function refillChart(ran: readonly PolicyResult[], name: string): Chart {
  const rows = ran.flatMap(({ policy, refill }, index) =>
    refillPoints(refill).map((point) => ({ policy, width: LINE_WIDTHS[index]!, ...point })),
  );
  const most = Math.max(REFILL_CURVE_ROWS, ...rows.map((row) => row.requests));
  const ticks: number[] = [];
  for (let tick = REFILL_CURVE_ROWS; tick <= most; tick *= 2) ticks.push(tick);
  return {
    name,
    template: 'switch-refill',
    title: 'Refill: hit rate after a switch',
    description: `IOTLB hit rate of the switched device in blocks of ${REFILL_CURVE_ROWS} requests and more, counted from the first that the new table served.`,
    columns: ['policy', 'requests', 'hit_share'],
    rows,
    span: 'half',
    heightPx: 260,
    params: { ticks },
  };
}

/** Blocks of the refill curve; later ones are joined until they are a quarter as long as what lies before them. */
function refillPoints(refill: PolicyResult['refill']): { requests: number; hit_share: number | null }[] {
  const points: { requests: number; hit_share: number | null }[] = [];
  let [hits, rows, blocks] = [0, 0, 0];
  for (let block = 0; block < refill.rows.length; block++) {
    hits += refill.hits[block]!;
    rows += refill.rows[block]!;
    blocks++;
    if (4 * blocks <= block && block + 1 < refill.rows.length) continue;
    points.push({ requests: (block + 1) * REFILL_CURVE_ROWS, hit_share: ratio(hits, rows) });
    [hits, rows, blocks] = [0, 0, 0];
  }
  return points;
}

/** Steps of the first switch under each policy on one time axis. */
function sequenceChart(ran: readonly PolicyResult[], name: string): Chart[] {
  const rows: ChartRow[] = ran.flatMap(({ policy, success }) =>
    success === undefined
      ? []
      : [
          {
            policy,
            kind: 'call',
            step: 'call',
            start_ns: 0,
            end_ns: nsFromPs(success.outcome.endTick - success.outcome.startTick),
          },
          ...success.steps
            .filter(({ lane }) => lane !== 'call')
            .map((step) => ({
              policy,
              kind: step.lane,
              step: step.text.replace(/ piece \d+$/, ' piece'),
              start_ns: nsFromPs(step.fromTick),
              end_ns: nsFromPs(step.toTick),
            })),
        ],
  );
  if (rows.length === 0) return [];
  const policies = ran.filter(({ success }) => success !== undefined).map(({ policy }) => policy);
  return [
    {
      name,
      template: 'switch-sequence',
      title: 'Driver steps of one switch',
      description: `Steps of the first successful switch under ${plural(policies.length, 'policy', 'policies')}: the call, waits for invalidations, changes of the entry and submissions, over time from the start of the call.`,
      columns: ['policy', 'kind', 'step', 'start_ns', 'end_ns'],
      rows,
      span: 'full',
      heightPx: 60 + 42 * policies.length,
      params: { policies },
    },
  ];
}

function sensitivityChart(study: StudyCase, name: string): Chart[] {
  if (study.variants.length === 0) return [];
  const rows = [...study.policies, ...study.variants]
    .filter(({ summary }) => summary.switches > 0)
    .map(({ policy, queue, summary }) => ({ policy, queue, blackout_ns: summary.blackout.mean_ns }));
  return [
    {
      name,
      template: 'switch-sensitivity',
      title: 'Mean blackout by invalidation latency',
      description:
        'Mean blackout of a switch with the invalidation queue of the profile, with half and double its latencies, and with the exit of a nested guest at every tail write.',
      columns: ['policy', 'queue', 'blackout_ns'],
      rows,
      span: 'full',
      heightPx: 240,
      params: {},
    },
  ];
}
