/** The profiles of a run, where their numbers come from, and what the model leaves out. */
import { z } from 'zod';
import { count, measure } from './measures.ts';

const profileSchema = z.strictObject({
  name: z.string(),
  kind: z.enum(['hardware', 'kernel']),
  description: z.string(),
  sha256: z.string(),
  overrides: z.array(z.string()),
  number_count: count,
  assumption_count: count,
  numbers: z.array(
    z.strictObject({
      path: z.string(),
      value: z.union([z.number(), z.string(), z.boolean()]),
      unit: z.string(),
      basis: z.string(),
      source: z.string(),
    }),
  ),
});

export const modelCardSchema = z.strictObject({
  profiles: z.array(profileSchema),
  number_count: count,
  by_basis: z.array(z.strictObject({ basis: z.string(), meaning: z.string(), count, share: measure })),
  assumption_share: measure.describe('Numbers that are assumptions over all numbers of the profiles.'),
  assumption_result_share: measure.describe(
    'Share of mean DMA latency that rests on assumptions, of the case with the largest; null when the run did not ask.',
  ),
  assumptions: z
    .strictObject({
      factor: z.number(),
      replays: count,
      moved: count,
      not_moved: z.array(
        z.strictObject({ profile: z.string(), path: z.string(), value: z.string(), reason: z.string() }),
      ),
      missing: count.describe('Replays without a result.'),
    })
    .nullable(),
  limits: z.array(z.string()),
});

export type ModelCardSection = z.infer<typeof modelCardSchema>;
export type AssumptionCardSection = NonNullable<ModelCardSection['assumptions']>;
