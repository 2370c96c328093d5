/** What happened when: the timeline, faults, and calls that ended otherwise than recorded. */
import { z } from 'zod';
import { count, distributionSchema, measure } from './measures.ts';

const controlOpSchema = z.strictObject({ op: z.string(), class: z.string(), duration_ns: distributionSchema });

export const timelineSchema = z.strictObject({
  bin_ns: z.number(),
  peak_bytes_per_s: measure,
  mean_bytes_per_s: measure,
  idle_bins: count.describe('Bins between the first and the last completion in which none fell.'),
  longest_idle_ns: measure.describe('Longest run of such bins; resolution is one bin.'),
  domain_changes: z.array(
    z.strictObject({ start_ns: z.number(), duration_ns: z.number(), op: z.string(), device: z.string() }),
  ),
  markers: count,
  markers_omitted: count,
  control: z.array(controlOpSchema),
});

export const faultSchema = z.strictObject({
  device: z.string(),
  reason: count,
  reason_text: z.string(),
  count,
  first_ns: z.number(),
  last_ns: z.number(),
  first_iova: z.string(),
});

export const divergenceSchema = z.strictObject({
  compared: count,
  count,
  share: measure,
  first: z.array(z.strictObject({ control_row: count, op: z.string(), recorded: z.string(), modelled: z.string() })),
});

export type TimelineSection = z.infer<typeof timelineSchema>;
export type FaultSection = z.infer<typeof faultSchema>;
export type DivergenceSection = z.infer<typeof divergenceSchema>;
