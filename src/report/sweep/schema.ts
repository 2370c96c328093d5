/**
 * `sweep.json`: what each value of each swept parameter does to a workload. Keys carry their unit; `null` means that the
 * replays do not say.
 */
import { z } from 'zod';
import { identitySchema } from '../schema/identity.ts';
import { modelCardSchema } from '../schema/model-card.ts';
import { COMPARISON_METRICS, type ComparisonMetric } from '../sections/comparison-metrics.ts';

/** Version of `sweep.json`; raised when a key changes meaning or leaves. New keys do not raise it. */
export const SWEEP_SCHEMA_VERSION = 1;

const count = z.number().int().nonnegative();
const measure = z.number().nullable();
const byMetric = z.strictObject(
  Object.fromEntries(COMPARISON_METRICS.map((metric) => [metric, measure])) as Record<ComparisonMetric, typeof measure>,
);
const changes = z.array(z.strictObject({ path: z.string(), value: z.string() }));
const missing = z
  .array(z.strictObject({ replay: z.string(), error: z.string().nullable() }))
  .describe('Replays without a result, and why they failed; an error of null = not finished.');

const effectSchema = z.strictObject({
  metric: z.enum(COMPARISON_METRICS),
  min: measure,
  min_at: z.string().nullable(),
  max: measure,
  max_at: z.string().nullable(),
  ratio: measure.describe(
    'max over min: the effect size; null when the smallest is 0 or fewer than two points are known.',
  ),
  others: changes.describe('In a grid: the values that the other parameters have on the line with the largest ratio.'),
});

const plateauSchema = z
  .strictObject({
    metric: z.enum(COMPARISON_METRICS),
    within_share: z.number(),
    best: z.number(),
    best_at: z.string(),
    value: z.string().describe('Where the metric is within that share of its best.'),
    value_metric: z.number(),
    side: z.enum(['smallest', 'largest', 'any']).describe('Of the values that are; any = all of them are.'),
  })
  .describe('Point of diminishing returns; null for values that have no order, and in grids.');

const paramSchema = z.strictObject({
  path: z.string(),
  kind: z.enum(['hardware', 'kernel', 'scenario']),
  unit: z.string(),
  spacing: z.enum(['list', 'geometric', 'arithmetic']),
  numeric: z.boolean(),
  values: z.array(z.string()),
  own_value: z.string().nullable().describe('What the profile has; null = the profile leaves it out, or as recorded.'),
  basis: z.string().nullable().describe('Basis tag of the own value, as in the model card; null for scenarios.'),
  source: z.string().nullable(),
  is_assumption: z.boolean(),
  effects: z
    .array(effectSchema)
    .describe(
      'Over all points of the parameter, the profile’s own value among them, but not those at which more DMA faults (they count for `faulted_dma` alone); in a grid along the line with the largest ratio.',
    ),
  diminishing_returns: plateauSchema.nullable(),
});

const pointSchema = z.strictObject({
  changes,
  status: z.enum(['ok', 'failed', 'unfinished']),
  same_as: z.string().nullable().describe('The point, or `profile`, that comes to the same replay.'),
  missing,
  metrics: byMetric.nullable(),
  ratio_to_base: byMetric.nullable().describe('Each metric over that of the profiles as they are.'),
});

const rankedSchema = z.strictObject({
  changes,
  helps: z.boolean().describe('By 1 % or more.'),
  metric: z.enum(COMPARISON_METRICS),
  value: z.number(),
  ratio_to_base: z.number(),
  dma_latency_mean_ratio: measure,
  throughput_ratio: measure,
});

const caseSchema = z.strictObject({
  key: z.string(),
  workload: z.string(),
  hardware_profile: z.string(),
  kernel_profile: z.string(),
  pacing: z.string(),
  identity: identitySchema.nullable(),
  ranked_by: z.enum(['dma_latency_mean_ns', 'throughput_bytes_per_s']).describe('Throughput under closed pacing.'),
  base: z.strictObject({ status: z.enum(['ok', 'failed', 'unfinished']), missing, metrics: byMetric.nullable() }),
  params: z.array(paramSchema),
  points: z.array(pointSchema),
  ranking: z
    .array(rankedSchema)
    .describe(
      'Which single change helps most: the best point of each parameter but the profile’s own (of a grid: its best points), best first. Not ranked: other pacings, and points at which more DMA faults.',
    ),
  charts: z.array(z.strictObject({ name: z.string(), title: z.string(), rows: count })),
});

/** `sweep.json`. */
export const sweepSchema = z.strictObject({
  schemaVersion: z.literal(SWEEP_SCHEMA_VERSION),
  kind: z.literal('sweep'),
  tool_version: z.string(),
  mode: z.enum(['one-at-a-time', 'grid']),
  complete: z.boolean(),
  replays: count.describe('Jobs replayed: points that come to the same are one, each shard is one.'),
  cases: z.array(caseSchema),
  model_card: modelCardSchema,
});

export type SweepModel = z.infer<typeof sweepSchema>;
export type SweepCaseModel = z.infer<typeof caseSchema>;
export type SweepParamModel = z.infer<typeof paramSchema>;
export type SweepPointModel = z.infer<typeof pointSchema>;
export type SweepRanked = z.infer<typeof rankedSchema>;
export type SweepEffect = z.infer<typeof effectSchema>;
export type SweepPlateau = z.infer<typeof plateauSchema>;
export type PointMetrics = z.infer<typeof byMetric>;

/** JSON Schema (draft 2020-12) of `sweep.json`. */
export function sweepJsonSchema(): object {
  return z.toJSONSchema(sweepSchema);
}

/** The sweep as JSON text, keys in the order of the schema. Throws `ZodError` when the model does not satisfy it. */
export function sweepJson(model: SweepModel): string {
  return `${JSON.stringify(sweepSchema.parse(model), null, 2)}\n`;
}
