/**
 * Transcripts: one JSON object a line, sequences of system calls with the real result of every step. A line with step 0
 * opens a sequence.
 */
import { z } from 'zod';
import { InputError } from '../../input-error.ts';

const BEGIN = z.object({ seq: z.string(), step: z.literal(0), op: z.literal('begin'), setup: z.string() });

const STEP = z.object({
  seq: z.string(),
  step: z.int().positive(),
  op: z.string(),
  args: z.record(z.string(), z.string()).default({}),
  as: z.array(z.string()).nullish(),
  ret: z.number(),
  errno: z.string().nullish(),
  out: z.record(z.string(), z.unknown()).nullish(),
});

/** One recorded call. */
export type TranscriptStep = z.output<typeof STEP>;

/** Calls of one process on a booted machine. */
export interface TranscriptSequence {
  readonly name: string;
  /** Machine preset. */
  readonly setup: string;
  readonly steps: readonly TranscriptStep[];
}

/** Parses a transcript; throws {@link InputError} with the line of the first thing that is wrong. */
export function parseTranscript(file: string, text: string): TranscriptSequence[] {
  const sequences: { name: string; setup: string; steps: TranscriptStep[] }[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const record = parseLine(file, index, line);
    if (record.op === 'begin' && record.step === 0) {
      const begin = BEGIN.safeParse(record);
      if (!begin.success) throw new InputError({ file, row: index + 1, reason: z.prettifyError(begin.error) });
      sequences.push({ name: begin.data.seq, setup: begin.data.setup, steps: [] });
      continue;
    }
    const step = STEP.safeParse(record);
    if (!step.success) throw new InputError({ file, row: index + 1, reason: z.prettifyError(step.error) });
    const sequence = sequences.at(-1);
    if (sequence === undefined || sequence.name !== step.data.seq) {
      throw new InputError({ file, row: index + 1, reason: `step of sequence ${step.data.seq} outside that sequence` });
    }
    sequence.steps.push(step.data);
  }
  return sequences;
}

function parseLine(file: string, index: number, line: string): { readonly op?: unknown; readonly step?: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new InputError({
      file,
      row: index + 1,
      reason: `not JSON: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
  if (typeof value !== 'object' || value === null)
    throw new InputError({ file, row: index + 1, reason: 'not a JSON object' });
  return value;
}
