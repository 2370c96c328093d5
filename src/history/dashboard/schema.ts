/** `dashboard.json`: the dashboard as data, and its published JSON Schema (docs/nightly-dashboard.schema.json). */
import * as z from 'zod';
import { ENTRY_SCHEMA } from '../entry.ts';

/** Version of the format; raised when a key changes meaning or leaves. New keys do not raise it. */
export const DASHBOARD_SCHEMA_VERSION = 1;

const count = z.number().int().nonnegative();
const measure = z.number().nullable();
const moment = z.strictObject({ entry: z.string(), date: z.string() });
const entry = ENTRY_SCHEMA.shape;
const verdict = entry.verdict;
const gateCounts = z.strictObject({ pass: count, breach: count, unknown: count, first: count });

const identity = {
  entry: z.string(),
  date: z.string(),
  label: z.string().nullable(),
  commit: z.string().nullable(),
  tool_version: z.string(),
};

const status = z.strictObject({
  ...identity,
  verdict,
  sentence: z.string(),
  since: moment.describe('First of the unbroken row of entries with this verdict.'),
  last_pass: moment.nullable(),
  gates: gateCounts,
  failed_gates: z.array(
    z.strictObject({
      ...entry.gates.element.shape,
      since: moment.describe('First of the unbroken row of entries that fail it.'),
    }),
  ),
  failures: entry.failures,
  tool_changed_from: z.string().nullable(),
  configuration_changes: z.array(z.strictObject({ case: z.string(), changes: z.array(z.string()) })),
  unexplained: z
    .array(
      z.strictObject({
        case: z.string(),
        against: z.string(),
        metrics: entry.cases.element.shape.change.shape.metrics,
      }),
    )
    .describe('Metrics of the newest entry that differ although profiles, workload and tool version are the same.'),
});

const trend = z
  .strictObject({
    entries: count,
    s: z.number().describe('Pairs of values that rise less pairs that fall.'),
    p_value: z.number(),
    slope_per_entry: z.number().describe('Median slope of all pairs, in the unit of the metric.'),
    changes: count,
    flagged: z.boolean(),
  })
  .describe(
    'Mann-Kendall test and Theil-Sen slope since the last change of the configuration; null with too few entries.',
  );

const series = z.strictObject({
  run: z.string(),
  case: z.string(),
  label: z.string().describe('What tells the case from the others of its run.'),
  name: z.string().describe('As the plan tracks it.'),
  metric: z.string().describe('Whole name in report.json.'),
  unit: z.enum(['ns', 'bytes/s', '1/s', 'bytes', 'share', 'count']),
  direction: z.enum(['lower', 'higher', 'neutral']).describe('Which way it gets better.'),
  newest: measure.describe('Of the newest entry; null when that has no result.'),
  previous: measure.describe('Of the newest earlier entry that has one.'),
  change_share: measure.describe('Newest less previous over previous.'),
  best: measure.describe('Best since the last change of the configuration; null for neutral metrics.'),
  best_entry: moment.nullable(),
  versus_best_share: measure,
  unchanged_since: moment.nullable(),
  trend: trend.nullable(),
  points: z.array(
    z.strictObject({
      entry: z.string(),
      date: z.string(),
      value: measure,
      verdict: z.enum(['pass', 'breach', 'unknown']).describe('Of the gates on this metric of this case.'),
    }),
  ),
  marks: z
    .array(z.strictObject({ entry: z.string(), date: z.string(), changes: z.array(z.string()) }))
    .describe('Entries at which the configuration or the tool changed, of the points.'),
});

const recentEntry = z.strictObject({
  ...identity,
  verdict,
  gates: gateCounts,
  failed_gates: z.array(z.strictObject({ case: z.string(), text: z.string(), verdict: z.string() })),
  unexplained: count.describe('Metrics that changed without a reason.'),
});

/** Schema of the file. */
export const DASHBOARD_SCHEMA = z.strictObject({
  schemaVersion: z.literal(DASHBOARD_SCHEMA_VERSION),
  kind: z.literal('nightly-dashboard'),
  tool_version: z.string(),
  plan: z.strictObject({ name: z.string(), sha256: z.string() }),
  entries: count,
  status,
  series: z.array(series),
  recent: z.array(recentEntry).describe('Newest first.'),
});

/** The dashboard. */
export type Dashboard = z.output<typeof DASHBOARD_SCHEMA>;
export type DashboardStatus = Dashboard['status'];
export type DashboardSeries = Dashboard['series'][number];
export type RecentEntry = Dashboard['recent'][number];
/** An entry by id and date. */
export type Moment = z.output<typeof moment>;

/** JSON Schema of the file. */
export function dashboardJsonSchema(): object {
  return z.toJSONSchema(DASHBOARD_SCHEMA);
}
