/** The words of the `conform` command: one line a file, one line a difference, totals. */
import type { ConformFileResult, ConformResult } from './conform.ts';
import type { StepMismatch } from './run-sequence.ts';

/** A whole run as text. */
export function formatConformance(result: ConformResult): string {
  const lines = result.files.flatMap((file) => [fileLine(file), ...file.mismatches.map(mismatchLine)]);
  const { files, sequences, steps, matched } = result.totals;
  return [...lines, `total  ${matched}/${steps} steps in ${sequences} sequences of ${files} files`].join('\n');
}

function fileLine(file: ConformFileResult): string {
  const verdict = file.matched === file.steps ? 'pass' : 'FAIL';
  return `${verdict}  ${file.matched}/${file.steps} steps  ${file.file}  ${file.kernel}, ${file.setup}, ${file.sequences} sequences`;
}

function mismatchLine({ seq, step, op, field, expected, actual }: StepMismatch): string {
  return `      ${seq} step ${step} ${op}: ${field} expected ${text(expected)}, got ${text(actual)}`;
}

function text(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
