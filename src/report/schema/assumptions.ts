/** What a case rests on. */
import { z } from 'zod';
import { count, measure } from './measures.ts';

const assumptionMetricSchema = z.strictObject({
  metric: z.string(),
  base: measure,
  all_slow: measure.describe(
    'With every assumed number that has a scale on its slower side at once; null when that replay has no result.',
  ),
  all_fast: measure,
  share: measure.describe(
    'How far the metric follows all assumed numbers: |log(all_slow / all_fast)| over 2 log(factor), at most 1.',
  ),
  numbers: count.describe('Assumed numbers that move it when moved alone.'),
});

export const assumptionSchema = z
  .strictObject({
    metrics: z.array(assumptionMetricSchema),
    numbers: z
      .array(
        z.strictObject({
          profile: z.string(),
          path: z.string(),
          value: z.string(),
          unit: z.string(),
          slow_value: z.string().nullable(),
          fast_value: z.string().nullable(),
          effects: z.array(
            z.strictObject({
              metric: z.string(),
              slow_change: measure.describe(
                'Share of the metric by which it changes; 0 = not at all, null = that replay has no result.',
              ),
              fast_change: measure,
            }),
          ),
        }),
      )
      .describe('Moved one at a time; largest effect first.'),
    missing: z
      .array(z.strictObject({ replay: z.string(), error: z.string().nullable() }))
      .describe('Replays without a result, and why they failed; an error of null = not finished.'),
  })
  .describe('What the case rests on, from replays with assumed numbers moved; null when the run did not ask for it.');

export type AssumptionSection = z.infer<typeof assumptionSchema>;
