/** What was replayed: the recording, where it came from, and how it was paced. */
import { z } from 'zod';
import { count, measure } from './measures.ts';

export const pacingSchema = z.strictObject({
  mode: z.enum(['recorded', 'closed', 'scale']),
  factor: measure,
  is_bundle_default: z.boolean().nullable(),
  reason: z.string(),
});

const provenanceSchema = z.strictObject({
  measured: count,
  inferred: count,
  synthetic: count,
  measured_share: measure,
  inferred_share: measure,
  synthetic_share: measure,
  inferred_columns: z
    .strictObject({ size: count, direction: count, time: count })
    .nullable()
    .describe('Measured rows of which one column was inferred; null when the bundle does not say.'),
});

export const identitySchema = z.strictObject({
  manifest_sha256: z.string(),
  description: z.string(),
  importer: z.string(),
  tool: z.string(),
  kernel: z.string(),
  recorder_profile: z.string().nullable(),
  clock: z.string(),
  command_line: z.string().nullable(),
  flush_mode: z.string(),
  link: z
    .strictObject({ bytes_per_s: z.number(), max_payload_bytes: count, max_read_request_bytes: count })
    .nullable()
    .describe('Of every device, each way; null when the run does not say.'),
  window: z
    .array(z.strictObject({ request_bytes: count, reads: count, writes: count }))
    .nullable()
    .describe('Requests that a device keeps outstanding at most, by their size.'),
  recorded_window_ns: measure,
  units: z.array(z.strictObject({ name: z.string(), mode: z.string(), stage: z.string() })),
  devices: z.array(
    z.strictObject({
      name: z.string(),
      kind: z.string(),
      driver: z.string(),
      unit: z.string().nullable(),
      default_domain: z.string(),
      ats: z.boolean(),
    }),
  ),
  streams: z.array(z.strictObject({ file: z.string(), rows: count, sha256: z.string() })),
  provenance: provenanceSchema,
  lost_events: count.nullable(),
  import_diagnostics: z.array(z.strictObject({ code: z.string(), severity: z.string(), count, first: z.string() })),
  replay_diagnostics: z.array(z.strictObject({ code: z.string(), count })),
});

export type IdentitySection = z.infer<typeof identitySchema>;
export type PacingSection = z.infer<typeof pacingSchema>;
