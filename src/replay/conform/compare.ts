/**
 * Whether a step's result equals the recorded one: return value, errno and every output field. Descriptor numbers are
 * not compared, only that there is one; lines with physical addresses are compared in shape.
 */
import { isDeepStrictEqual } from 'node:util';
import { errnoName } from '../../errno.ts';
import type { StepOutcome } from './machine.ts';
import type { TranscriptStep } from './transcript.ts';

/** One difference. */
export interface StepDifference {
  /** `ret`, `errno`, `out.<name>`; `op` for an operation the machine does not have. */
  readonly field: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

/** Output fields that hold a descriptor. */
const DESCRIPTOR_FIELDS: ReadonlySet<string> = new Set(['fault_fd', 'veventq_fd', 'access', 'fd', 'dmabuf']);
/** Operations whose text output contains physical addresses. */
const SHAPE_OPERATIONS: ReadonlySet<string> = new Set(['pasid_table']);

/** Differences between what was recorded and what the model did, in the order ret, errno, out. */
export function compareStep(step: TranscriptStep, outcome: StepOutcome): StepDifference[] {
  const differences: StepDifference[] = [];
  const ret = outcome.rc < 0 ? -1 : outcome.rc;
  const errno = outcome.rc < 0 ? errnoName(outcome.rc) : null;
  if (step.ret !== ret) differences.push({ field: 'ret', expected: step.ret, actual: ret });
  if ((step.errno ?? null) !== errno) differences.push({ field: 'errno', expected: step.errno ?? null, actual: errno });
  const expected = step.out ?? {};
  const actual = outcome.out ?? {};
  for (const name of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const field = `out.${name}`;
    if (!sameField(step.op, name, expected[name], actual[name])) {
      differences.push({ field, expected: expected[name], actual: actual[name] });
    }
  }
  return differences;
}

/** Stands for a byte in hex whose value the transcript does not determine. */
export const UNSPECIFIED = 'xx';

function sameField(op: string, name: string, expected: unknown, actual: unknown): boolean {
  if (DESCRIPTOR_FIELDS.has(name)) return typeof expected === typeof actual;
  if (op === 'peek' && typeof expected === 'string' && typeof actual === 'string') return sameBytes(expected, actual);
  if (SHAPE_OPERATIONS.has(op)) return isDeepStrictEqual(shapeOf(expected), shapeOf(actual));
  return isDeepStrictEqual(expected, actual);
}

/** The value with every hex number of a text replaced by its presence (zero or not). */
function shapeOf(value: unknown): unknown {
  if (typeof value === 'string')
    return value.replace(/0x[0-9a-fA-F]+/g, (number) => (BigInt(number) === 0n ? '0' : 'x'));
  if (Array.isArray(value)) return value.map(shapeOf);
  return value;
}

/** Equal hex bytes, where {@link UNSPECIFIED} ones agree with anything. */
function sameBytes(expected: string, actual: string): boolean {
  if (expected.length !== actual.length) return false;
  for (let at = 0; at < actual.length; at += 2) {
    const byte = actual.slice(at, at + 2);
    if (byte !== UNSPECIFIED && byte !== expected.slice(at, at + 2)) return false;
  }
  return true;
}
