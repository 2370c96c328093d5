/** A run on disk: `run.json` in a run folder, read back by commands that come later. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson } from '../canonical-json.ts';
import { InputError } from '../input-error.ts';
import { RUN_SCHEMA_VERSION, type RunResult } from './protocol.ts';
import { runProblem } from './run-problem.ts';

/** Name of the file in a run folder. */
export const RUN_FILE = 'run.json';

/** Content of the file: canonical JSON, so that equal runs are equal bytes. */
export function serializeRun(run: RunResult): string {
  return `${canonicalJson(run)}\n`;
}

/** Reads the run of a folder; throws {@link InputError} when it is missing, damaged or of another version. */
export function loadRun(folder: string): RunResult {
  const path = join(folder, RUN_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError({ file: path, reason: `cannot be read (${(error as NodeJS.ErrnoException).code})` });
  }
  let run: Partial<RunResult> | null;
  try {
    run = JSON.parse(text) as Partial<RunResult> | null;
  } catch (error) {
    throw new InputError({ file: path, reason: `not JSON: ${(error as Error).message}` });
  }
  if (run?.schemaVersion !== RUN_SCHEMA_VERSION) {
    const reason = `run schema ${String(run?.schemaVersion)}, this version reads ${RUN_SCHEMA_VERSION}`;
    throw new InputError({ file: path, reason });
  }
  const problem = runProblem(run as RunResult);
  if (problem !== undefined) throw new InputError({ file: path, reason: problem });
  return run as RunResult;
}
