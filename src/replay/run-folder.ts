/** A run on disk: `run.json` in a folder, written whole or not at all, read back by commands that come later. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson } from '../canonical-json.ts';
import { InputError } from '../input-error.ts';
import { RUN_SCHEMA_VERSION, type RunResult } from './protocol.ts';

/** Name of the file in a run folder. */
export const RUN_FILE = 'run.json';

/** Writes `folder/run.json` as canonical JSON: equal runs are equal bytes. Throws {@link InputError}. */
export function saveRun(run: RunResult, folder: string): void {
  const path = join(folder, RUN_FILE);
  const partial = `${path}.partial`;
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(partial, `${canonicalJson(run)}\n`);
    renameSync(partial, path);
  } catch (error) {
    throw new InputError({ file: path, reason: `cannot be written (${(error as NodeJS.ErrnoException).code})` });
  }
}

/** Reads what {@link saveRun} wrote; throws {@link InputError} when it is missing, damaged or of another version. */
export function loadRun(folder: string): RunResult {
  const path = join(folder, RUN_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError({ file: path, reason: `cannot be read (${(error as NodeJS.ErrnoException).code})` });
  }
  let run: Partial<RunResult>;
  try {
    run = JSON.parse(text) as Partial<RunResult>;
  } catch (error) {
    throw new InputError({ file: path, reason: `not JSON: ${(error as Error).message}` });
  }
  if (run.schemaVersion !== RUN_SCHEMA_VERSION) {
    const reason = `run schema ${String(run.schemaVersion)}, this version reads ${RUN_SCHEMA_VERSION}`;
    throw new InputError({ file: path, reason });
  }
  if (!Array.isArray(run.jobs)) throw new InputError({ file: path, reason: 'no list of jobs' });
  return run as RunResult;
}
