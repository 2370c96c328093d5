/**
 * Threshold files: what a run has to fulfil. Each threshold is one condition on one metric, for all cases or for those
 * that its filters name; `require` must hold, `failOn` must not. The JSON Schema of the file is published in
 * docs/thresholds.schema.json.
 */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { decodeJson } from '../../decode.ts';
import { ConfigError, InputError } from '../../input-error.ts';
import { type Condition, parseCondition } from './condition.ts';

/** Version of the file format. */
export const THRESHOLDS_SCHEMA_VERSION = 1;

/** Schema of one threshold. */
export const THRESHOLD_SCHEMA = z
  .strictObject({
    /** Condition that must hold. */
    require: z.string().min(1).optional(),
    /** Condition that must not hold. */
    failOn: z.string().min(1).optional(),
    /** Only cases of this name; `*` stands for any letters. */
    workload: z.string().min(1).optional(),
    hardware: z.string().min(1).optional(),
    kernel: z.string().min(1).optional(),
    /** Why the threshold is there; printed when it is breached. */
    because: z.string().min(1).optional(),
  })
  .refine(({ require, failOn }) => (require === undefined) !== (failOn === undefined), {
    message: 'needs one of require and failOn',
  })
  // The refinement, for the JSON Schema.
  .meta({
    oneOf: ['require', 'failOn'].map((key) => ({ type: 'object', properties: { [key]: {} }, required: [key] })),
  });

/** Schema of the file. */
export const THRESHOLDS_SCHEMA = z.strictObject({
  schemaVersion: z.literal(THRESHOLDS_SCHEMA_VERSION),
  thresholds: z.array(THRESHOLD_SCHEMA).min(1),
});

/** One threshold, read. */
export interface Threshold {
  readonly condition: Condition;
  /** True: the condition must hold. False: it must not. */
  readonly required: boolean;
  readonly workload?: string | undefined;
  readonly hardware?: string | undefined;
  readonly kernel?: string | undefined;
  readonly because?: string | undefined;
  /** Where it was written, for errors. */
  readonly source: string;
}

/** Reads a file; throws {@link InputError} for one that cannot be read, {@link ConfigError} for what is wrong in it. */
export function readThresholds(file: string): Threshold[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError({ file, reason: `cannot be read (${(error as NodeJS.ErrnoException).code})` });
  }
  return thresholdsOf(decodeJson(THRESHOLDS_SCHEMA, text, file).thresholds, file);
}

/** Decoded thresholds with their conditions read; `file` is where they stand. Throws {@link ConfigError}. */
export function thresholdsOf(written: readonly z.output<typeof THRESHOLD_SCHEMA>[], file: string): Threshold[] {
  return written.map((one, index): Threshold => {
    const { require, failOn, ...filters } = one;
    const source = `${file}: thresholds.${index}`;
    const condition = parseCondition(require ?? failOn ?? '', source);
    return { condition, required: require !== undefined, ...filters, source };
  });
}

/** Conditions of the command line: each must not hold, in any case. */
export function failOnThresholds(texts: readonly string[]): Threshold[] {
  const source = '--fail-on';
  return texts.map((text) => ({ condition: parseCondition(text, source), required: false, source }));
}

/** JSON Schema of the file. */
export function thresholdsJsonSchema(): object {
  return z.toJSONSchema(THRESHOLDS_SCHEMA, { io: 'input' });
}

/** Whether a name is meant by a filter: `*` stands for any letters. */
export function matchesFilter(filter: string | undefined, name: string): boolean {
  if (filter === undefined) return true;
  const pattern = filter.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${pattern.join('.*')}$`, 's').test(name);
}
