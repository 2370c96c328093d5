/** From the entries of a history to its dashboard: two passes, one entry at a time. */
import { ConfigError } from '../../input-error.ts';
import type { EntryCase } from '../entry.ts';
import { readPast } from '../past.ts';
import type { NightlyPlan } from '../plan.ts';
import { entryIds, readEntries, readEntry } from '../store.ts';
import { type TrackedMetric, trackedMetrics } from '../track.ts';
import { caseLabels } from './case-labels.ts';
import { DASHBOARD_SCHEMA_VERSION, type Dashboard } from './schema.ts';
import { SeriesFold } from './series-fold.ts';
import { StatusFold } from './status-fold.ts';

/**
 * The dashboard of a history by the metrics that the plan tracks, of the cases of the newest entry. Throws InputError for
 * a damaged entry, ConfigError for a history without entries and for a tracked name that means no metric.
 */
export function buildDashboard(
  history: string,
  plan: Pick<NightlyPlan, 'file' | 'name' | 'sha256' | 'track'>,
  toolVersion: string,
  ids: readonly string[] = entryIds(history),
): Dashboard {
  const newestId = ids.at(-1);
  if (newestId === undefined) throw new ConfigError({ source: history, reason: 'the history has no entries yet' });
  const { cases } = readEntry(history, newestId);
  const tracked = trackedMetrics(plan.track, namedCases(history, cases), plan.file);
  const labels = caseLabels(cases);
  const series = plannedSeries(cases, tracked).map(({ one, metric }) => {
    const identity = { ...metric, run: one.run, case: one.key, label: labels.get(one.key)! };
    return { key: one.key, fold: new SeriesFold(identity) };
  });
  const status = new StatusFold();
  for (const entry of readEntries(history, ids)) {
    status.add(entry);
    const byKey = new Map(entry.cases.map((one) => [one.key, one]));
    for (const { key, fold } of series) fold.add(entry, byKey.get(key));
  }
  const full = new Map(cases.map(({ key, run }) => [key, `${run} ${labels.get(key)}`]));
  return {
    schemaVersion: DASHBOARD_SCHEMA_VERSION,
    kind: 'nightly-dashboard',
    tool_version: toolVersion,
    plan: { name: plan.name, sha256: plan.sha256 },
    entries: status.entries,
    status: status.finish(full)!,
    series: series.map(({ fold }) => fold.finish()),
    recent: status.recent,
  };
}

/** Names of metrics of each case: of its newest result, where the newest entry has none. */
function namedCases(history: string, cases: readonly EntryCase[]): Pick<EntryCase, 'key' | 'metrics'>[] {
  const past = cases.some(({ error }) => error !== null) ? readPast(history).latest : new Map();
  return cases.flatMap((one) => {
    const known: EntryCase | undefined = one.error === null ? one : past.get(one.key)?.case;
    return known === undefined ? [] : [{ key: one.key, metrics: known.metrics }];
  });
}

/** Run by run, metric by metric, case by case: what is compared stands side by side. */
function plannedSeries(
  cases: readonly EntryCase[],
  tracked: ReadonlyMap<string, readonly TrackedMetric[]>,
): { readonly one: EntryCase; readonly metric: TrackedMetric }[] {
  const runs = [...new Set(cases.map(({ run }) => run))];
  return runs.flatMap((run) => {
    const own = cases.filter((one) => one.run === run);
    const names = [...new Set(own.flatMap(({ key }) => tracked.get(key) ?? []).map(({ name }) => name))];
    return names.flatMap((name) =>
      own.flatMap((one) => {
        const metric = tracked.get(one.key)?.find((candidate) => candidate.name === name);
        return metric === undefined ? [] : [{ one, metric }];
      }),
    );
  });
}
