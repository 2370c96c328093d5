/** Metrics of two cases held against each other, number by number. */
import { type CaseMetrics, caseMetrics } from '../metrics/case-metrics.ts';
import { directionOf } from '../metrics/direction.ts';
import { perSecond, ratio } from '../quantities.ts';
import type { ReportCase } from '../schema/report.ts';
import type { ChangeVerdict, ComparedDevice, MetricChange } from './schema.ts';

/** Every metric that either case has, in the order of report.json. */
export function metricChanges(base: ReportCase, run: ReportCase): MetricChange[] {
  const [before, after] = [caseMetrics(base), caseMetrics(run)];
  return [...new Set([...after.keys(), ...before.keys()])].map((metric) =>
    changeOf(metric, valueIn(before, metric), valueIn(after, metric)),
  );
}

function valueIn(metrics: CaseMetrics, metric: string): number | null {
  return metrics.get(metric) ?? null;
}

/** One metric. Equal is equal to the last bit: a replay has no noise to allow for. */
export function changeOf(metric: string, base: number | null, run: number | null): MetricChange {
  const delta = base === null || run === null ? null : run - base;
  return {
    metric,
    base,
    new: run,
    delta,
    change_share: delta === null || base === null ? null : delta === 0 ? 0 : ratio(delta, Math.abs(base)),
    verdict: verdictOf(metric, base, run),
  };
}

function verdictOf(metric: string, base: number | null, run: number | null): ChangeVerdict {
  if (base === run) return 'no change';
  const direction = directionOf(metric);
  if (base === null || run === null || direction === 'neutral') return 'changed';
  return run < base === (direction === 'lower') ? 'improved' : 'regressed';
}

/** Devices of both cases that changed, by the larger relative change of mean latency and throughput; names break ties. */
export function deviceChanges(base: ReportCase, run: ReportCase): { devices: ComparedDevice[]; equal: number } {
  const before = new Map(base.latency.devices.map((device) => [device.device, device]));
  const rate = (one: ReportCase, bytes: number): number | null => perSecond(bytes, one.headline.span_ns);
  const all = run.latency.devices.flatMap((device): ComparedDevice[] => {
    const name = device.device;
    const other = before.get(name);
    if (other === undefined) return [];
    const path = `latency.devices[${name}]`;
    return [
      {
        device: name,
        mean_latency: changeOf(`${path}.dma_latency_ns.mean`, other.dma_latency_ns.mean, device.dma_latency_ns.mean),
        throughput_bytes_per_s: changeOf(
          `${path}.throughput_bytes_per_s`,
          rate(base, other.dma_bytes),
          rate(run, device.dma_bytes),
        ),
      },
    ];
  });
  const moved = all.filter(({ mean_latency, throughput_bytes_per_s }) =>
    [mean_latency, throughput_bytes_per_s].some(({ verdict }) => verdict !== 'no change'),
  );
  moved.sort((a, b) => reach(b) - reach(a) || (a.device < b.device ? -1 : 1));
  return { devices: moved, equal: all.length - moved.length };
}

/** Larger relative change; from nothing to something is the largest. */
function reach({ mean_latency, throughput_bytes_per_s }: ComparedDevice): number {
  return Math.max(
    ...[mean_latency, throughput_bytes_per_s].map(({ change_share: share, verdict }) =>
      verdict === 'no change' ? 0 : share === null ? Number.MAX_VALUE : Math.abs(share),
    ),
  );
}
