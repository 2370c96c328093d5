/** Run folders read back as reports: what commands that compare and judge start from. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ZodError } from 'zod';
import { ConfigError, InputError } from '../input-error.ts';
import type { RunResult } from '../replay/protocol.ts';
import { loadRun, RUN_FILE } from '../replay/run-folder.ts';
import { buildReport } from './model.ts';
import { type ReportModel, reportSchema } from './schema/report.ts';

/** A run of a folder and its report. */
export interface LoadedReport {
  readonly run: RunResult;
  readonly model: ReportModel;
}

/** Reads a run folder; throws {@link InputError} for anything else, a damaged one included. */
export function loadReport(folder: string): LoadedReport {
  if (statSync(folder, { throwIfNoEntry: false })?.isFile() === true) {
    throw new InputError({ file: folder, reason: `a file, not a run folder (which holds ${RUN_FILE})` });
  }
  const run = loadRun(folder);
  try {
    // The schema finds what a damaged run can still be added up to: a mean that is no number, for one.
    return { run, model: reportSchema.parse(buildReport(run).model) };
  } catch (error) {
    if (error instanceof InputError || error instanceof ConfigError) throw error;
    throw new InputError({ file: join(folder, RUN_FILE), reason: `holds no whole run: ${reasonOf(error)}` });
  }
}

function reasonOf(error: unknown): string {
  // Adding up what is not there fails somewhere inside; where exactly says nothing to a reader.
  if (error instanceof TypeError) return 'parts of its jobs are missing';
  if (!(error instanceof ZodError)) return error instanceof Error ? error.message : String(error);
  const [issue] = error.issues;
  return issue === undefined ? 'invalid' : `${issue.path.map(String).join('.')}: ${issue.message}`;
}
