/** The metrics that a plan follows, found by name in the cases of an entry. */
import { metricsMeant, resolveMetric } from '../report/metrics/metric-name.ts';

/** What a tracked name means in one case. */
export interface TrackedMetric {
  /** As the plan has it. */
  readonly name: string;
  /** Whole name in report.json. */
  readonly metric: string;
}

/** A case whose metrics are known by name. */
interface NamedMetrics {
  readonly key: string;
  readonly metrics: Readonly<Record<string, unknown>>;
}

/**
 * Tracked metrics of each case by its key. A metric need not be in every case (only devices with ATS have device TLBs);
 * throws {@link ConfigError} for one that is in none, or whose name could mean several.
 */
export function trackedMetrics(
  track: readonly string[],
  cases: readonly NamedMetrics[],
  source: string,
): Map<string, TrackedMetric[]> {
  const known = cases.map(({ key, metrics }) => ({ key, names: Object.keys(metrics) }));
  const tracked = new Map<string, TrackedMetric[]>(known.map(({ key }) => [key, []]));
  for (const name of track) {
    const having = known.filter(({ names }) => metricsMeant(name, names).length > 0);
    // With no case at all there is nothing to find a name in.
    if (having.length === 0 && known.length > 0)
      resolveMetric(
        name,
        known.flatMap(({ names }) => names),
        source,
      );
    for (const { key, names } of having) {
      const metric = resolveMetric(name, names, source);
      const list = tracked.get(key)!;
      if (!list.some((other) => other.metric === metric)) list.push({ name, metric });
    }
  }
  return tracked;
}
