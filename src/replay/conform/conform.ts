/**
 * Replays transcripts of real system calls against the modelled stack and lists every difference: the `conform`
 * command.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ConfigError, InputError } from '../../input-error.ts';
import { runSequence, type StepMismatch } from './run-sequence.ts';
import { bootMachine } from './setups.ts';
import { parseTranscript, type TranscriptSequence } from './transcript.ts';

/** Result of one transcript file. */
export interface ConformFileResult {
  readonly file: string;
  readonly kernel: string;
  readonly setup: string;
  readonly sequences: number;
  readonly steps: number;
  readonly matched: number;
  readonly mismatches: readonly StepMismatch[];
}

/** Result of a run; JSON as it stands. */
export interface ConformResult {
  readonly schemaVersion: 1;
  readonly files: readonly ConformFileResult[];
  readonly totals: {
    readonly files: number;
    readonly sequences: number;
    readonly steps: number;
    readonly matched: number;
    readonly mismatches: number;
  };
}

/** Options of {@link conformFiles}. */
export interface ConformOptions {
  /** Kernel profile for every file; by default it follows from each file's folder. */
  readonly kernel?: string;
}

/** Kernel profile of the folders the recordings came in. */
const KERNEL_BY_FOLDER: Readonly<Record<string, string>> = { conformance: 'v6.12', 'conformance-v7': 'v7.3' };

/**
 * Replays files (`.jsonl`, `.jsonl.gz`), each on a freshly booted machine. Throws {@link ConfigError} when a file's
 * kernel is unknown and {@link InputError} for unreadable or malformed input.
 */
export function conformFiles(files: readonly string[], options: ConformOptions = {}): ConformResult {
  const results = files.map((file) => conformText(file, readTranscript(file), options.kernel ?? kernelOf(file)));
  const sum = (count: (result: ConformFileResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  return {
    schemaVersion: 1,
    files: results,
    totals: {
      files: results.length,
      sequences: sum((result) => result.sequences),
      steps: sum((result) => result.steps),
      matched: sum((result) => result.matched),
      mismatches: sum((result) => result.steps - result.matched),
    },
  };
}

/** {@link conformFiles} for one transcript already read. */
export function conformText(file: string, text: string, kernel: string): ConformFileResult {
  const sequences = parseTranscript(file, text);
  const setup = setupOf(file, sequences);
  const machine = bootMachine(file, setup, kernel);
  const mismatches: StepMismatch[] = [];
  let matched = 0;
  let steps = 0;
  for (const sequence of sequences) {
    const result = runSequence(machine, file, sequence);
    matched += result.matched;
    steps += sequence.steps.length;
    mismatches.push(...result.mismatches);
  }
  return { file: basename(file), kernel, setup, sequences: sequences.length, steps, matched, mismatches };
}

/** Kernel profile of a file: the folder's `kernel` file, else the folder's name. */
export function kernelOf(file: string): string {
  const folder = dirname(resolve(file));
  const marker = join(folder, 'kernel');
  if (existsSync(marker)) return readFileSync(marker, 'utf8').trim();
  const kernel = KERNEL_BY_FOLDER[basename(folder)];
  if (kernel === undefined) {
    throw new ConfigError({
      source: file,
      reason: 'the kernel does not follow from the folder; name it with --kernel',
    });
  }
  return kernel;
}

function setupOf(file: string, sequences: readonly TranscriptSequence[]): string {
  const first = sequences[0];
  if (first === undefined) throw new InputError({ file, reason: 'no sequence' });
  const other = sequences.find((sequence) => sequence.setup !== first.setup);
  if (other !== undefined) {
    throw new InputError({ file, reason: `${other.name} has setup ${other.setup} in a file of setup ${first.setup}` });
  }
  return first.setup;
}

function readTranscript(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new InputError({ file, reason: reasonOf(error) });
  }
  try {
    return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  } catch (error) {
    throw new InputError({ file, reason: `not a gzip file: ${reasonOf(error)}` });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
