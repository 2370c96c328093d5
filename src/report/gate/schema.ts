/** Gates as data: `gate --format json`, and the gates of a comparison. */
import { z } from 'zod';
import { OPERATORS } from '../metrics/condition.ts';
import type { Gate } from '../metrics/gates.ts';
import { DIMENSIONS } from '../metrics/pairing.ts';
import { TRACE_RELATION_WORDS, TRACE_RELATIONS } from '../metrics/trace-relation.ts';

/** Version of the document of `gate`; raised when a key changes meaning or leaves. New keys do not raise it. */
export const GATE_SCHEMA_VERSION = 1;

const count = z.number().int().nonnegative();
const measure = z.number().nullable();

/** One threshold in one case. */
export const gateSchema = z.strictObject({
  case: z.string().nullable().describe('Key in report.json; null when no case is left to evaluate it in.'),
  base_case: z.string().nullable().describe('Key of the case of the base that it was held against.'),
  across: z.array(z.enum(DIMENSIONS)).describe('In what the two cases differ, each being the only choice of its run.'),
  base_trace: z
    .enum(TRACE_RELATIONS)
    .nullable()
    .describe(`Trace of the case to that of base_case; null without one. ${TRACE_RELATION_WORDS}`),
  condition: z.string(),
  must: z.enum(['hold', 'not hold']),
  metric: z.string(),
  operator: z.enum(OPERATORS),
  against: z
    .enum(['value', 'change', 'share'])
    .describe('What is held against the limit: the value, its change from the base, or that change over the base.'),
  limit: measure.describe('In the unit of the metric, or as a share; null when no case is left to tell its unit.'),
  value: measure,
  base: measure,
  observed: measure.describe('null also for a share of a base of 0.'),
  verdict: z.enum(['pass', 'breach', 'unknown']),
  unknown_because: z.string().nullable(),
  because: z.string().nullable(),
});

/** The document of `gate`. */
export const gateReportSchema = z.strictObject({
  schemaVersion: z.literal(GATE_SCHEMA_VERSION),
  kind: z.literal('gate'),
  tool_version: z.string(),
  run: z.string(),
  base: z.string().nullable(),
  across: z
    .array(z.strictObject({ what: z.enum(DIMENSIONS), base: z.string(), run: z.string() }))
    .describe('What cases were paired across, and the choices of both sides.'),
  traces: z
    .array(
      z.strictObject({
        base_workload: z.string(),
        new_workload: z.string(),
        relation: z.enum(TRACE_RELATIONS).describe(TRACE_RELATION_WORDS),
      }),
    )
    .describe('Traces of the cases that were paired; new = of the run.'),
  complete: z.boolean().describe('Of the run, and of the base where there is one.'),
  pass: z.boolean(),
  passed: count,
  breached: count,
  unknown: count,
  gates: z.array(gateSchema),
});

export type GateRow = z.infer<typeof gateSchema>;
export type GateReport = z.infer<typeof gateReportSchema>;

/** A gate as the documents hold it. */
export function gateRow({ condition, required, unknownBecause, because, pair, ...gate }: Gate): GateRow {
  return {
    case: gate.case,
    base_case: pair?.case ?? null,
    across: [...(pair?.across ?? [])],
    base_trace: pair?.trace ?? null,
    condition: condition.text,
    must: required ? 'hold' : 'not hold',
    metric: gate.metric,
    operator: condition.operator,
    against: condition.against,
    limit: gate.limit,
    value: gate.value,
    base: gate.base,
    observed: gate.observed !== null && Number.isFinite(gate.observed) ? gate.observed : null,
    verdict: gate.verdict,
    unknown_because: unknownBecause ?? null,
    because: because ?? null,
  };
}

/** JSON Schema (draft 2020-12) of the document of `gate`. */
export function gateJsonSchema(): object {
  return z.toJSONSchema(gateReportSchema);
}
