/** A comparison in sentences, in the manner of hyperfine: how many times the time of the other. */
import { formatByteRate, formatDuration, plural } from '../format.ts';
import { acrossSentence, tracesClause } from '../metrics/pairing-words.ts';
import type { ComparedCase, ComparedTrace, CompareModel, MetricChange } from './schema.ts';

/** What the two runs are called. */
export interface RunNames {
  readonly base: string;
  readonly run: string;
}

const MEAN = 'latency.dma_latency_ns.mean';
const P99 = 'latency.dma_latency_ns.p99';
const THROUGHPUT = 'headline.throughput_bytes_per_s';

/** A pair of cases in one sentence. */
export function caseSentence(metrics: readonly MetricChange[], { base, run }: RunNames): string {
  const [mean, p99, rate] = [MEAN, P99, THROUGHPUT].map((name) => metrics.find(({ metric }) => metric === name));
  if (metrics.every(({ verdict }) => verdict === 'no change')) {
    return `${run} and ${base} give the same result: all ${plural(metrics.length, 'number')} are equal.`;
  }
  const times = timesOf(mean);
  if (times === null) {
    const idle = [mean?.base === null ? base : '', mean?.new === null ? run : ''].filter((name) => name !== '');
    return `No DMA was served in ${idle.join(' and ')}, so there is no latency to compare.`;
  }
  const latencies = `mean ${both(mean!, formatDuration)}${p99 === undefined ? '' : `; p99 ${both(p99, formatDuration)}`}`;
  const how = times === 1 ? `the same mean time as ${base}` : `${timesText(times)} times the time of ${base}`;
  return `${run} serves a DMA in ${how} (${latencies})${throughput(rate)}.`;
}

/** The comparison in sentences. What makes it another comparison than the user may think is in the first. */
export function leadSentence(facts: Omit<CompareModel, 'sentence'>): string {
  const { configuration, cases, base, new: run } = facts;
  const { traces, only_base, only_new } = configuration;
  const others = [
    ...traces.flatMap(traceRemark),
    ...acrossRemark(cases, configuration.differences),
    ...aloneRemark(only_base.length, base.name, run.name),
    ...aloneRemark(only_new.length, run.name, base.name),
    ...[base, run].flatMap(({ name, complete }) =>
      complete ? [] : [`${name} is incomplete: it covers only what was replayed.`],
    ),
  ];
  // Different traces are never compared in silence.
  const clause = tracesClause(traces);
  return [`${clause === '' ? '' : `${clause}: `}${mainClause(facts)}`, ...others].join(' ');
}

function aloneRemark(cases: number, name: string, other: string): string[] {
  return cases === 0 ? [] : [`${plural(cases, 'case')} of ${name} ${cases === 1 ? 'is' : 'are'} not in ${other}.`];
}

function mainClause({ cases, base, new: run }: Omit<CompareModel, 'sentence'>): string {
  const [first] = cases;
  if (first === undefined) return `No case of ${run.name} has a counterpart in ${base.name}, so nothing was compared.`;
  if (cases.length === 1) return first.sentence;
  if (cases.every((one) => one.no_change === one.metrics.length)) {
    return `${run.name} and ${base.name} give the same result in all ${cases.length} cases.`;
  }
  const means = cases
    .map(({ metrics }) => timesOf(metrics.find(({ metric }) => metric === MEAN)))
    .filter((times) => times !== null)
    .sort((a, b) => a - b);
  if (means.length === 0) return `No DMA was served in any of ${cases.length} cases.`;
  const [least, most] = [means[0]!, means[means.length - 1]!];
  const range = least === most ? timesText(least) : `${timesText(least)} to ${timesText(most)}`;
  const how = least === 1 && most === 1 ? 'the same mean time as' : `${range} times the time of`;
  return `${run.name} serves a DMA in ${how} ${base.name}, over ${plural(cases.length, 'case')}.`;
}

function traceRemark({ base_workload: a, new_workload: b, relation, differs_in }: ComparedTrace): string[] {
  switch (relation) {
    case 'renamed':
      return [`The workloads ${a} and ${b} differ in name only: their streams are the same.`];
    case 'other manifest': {
      const what = differs_in.length === 0 ? 'differ' : `differ in ${differs_in.join(', ')}`;
      return [`The streams of ${b} are the same in both runs; the manifests ${what}.`];
    }
    case 'same':
    case 'different':
    case 'unknown':
      return [];
  }
}

/** What cases are paired across, with the two choices. */
function acrossRemark(
  cases: readonly ComparedCase[],
  differences: CompareModel['configuration']['differences'],
): string[] {
  const across = [...new Set(cases.flatMap((one) => one.across))].filter((dimension) => dimension !== 'workload');
  return across.map((dimension) => {
    const { base, new: run } = differences.find(({ what }) => what === dimension)!;
    return acrossSentence(dimension, base, run);
  });
}

function throughput(rate: MetricChange | undefined): string {
  const times = timesOf(rate);
  if (times === null || rate === undefined) return '';
  return times === 1
    ? ` at the same throughput (${formatByteRate(rate.new)})`
    : ` at ${timesText(times)} times the throughput (${both(rate, formatByteRate)})`;
}

/** New over base; null where that is no number. */
function timesOf(change: MetricChange | undefined): number | null {
  if (change === undefined || change.base === null || change.new === null) return null;
  return change.base === change.new ? 1 : change.base === 0 ? null : change.new / change.base;
}

/** Three significant digits, or as many as it takes to differ from 1. */
export function timesText(times: number): string {
  for (let digits = 3; digits <= 6; digits++) {
    const text = times.toPrecision(digits);
    if (Number(text) !== 1 || times === 1) return Number(text) >= 1000 ? String(Math.round(times)) : text;
  }
  return times > 1 ? 'hardly more than 1' : 'hardly less than 1';
}

/** New against base; once when they are the same. */
function both({ base, new: run }: MetricChange, format: (value: number | null) => string): string {
  return base === run ? `${format(run)} in both` : `${format(run)} against ${format(base)}`;
}
