/** What the values of a report are made of. */
import { z } from 'zod';

/** A whole number of things. */
export const count = z.number().int().nonnegative();

/** A number in the unit of its key; null where the run does not say. */
export const measure = z.number().nullable();

/** Percentiles are upper bounds of histogram buckets: never below the exact value, above it by less than 1 %. */
export const distributionSchema = z
  .strictObject({
    count,
    min: measure,
    mean: measure,
    p50: measure,
    p90: measure,
    p99: measure,
    p99_9: measure,
    max: measure,
  })
  .describe('All values in the unit of the key that holds this object; null without records.');

export type Distribution = z.infer<typeof distributionSchema>;
