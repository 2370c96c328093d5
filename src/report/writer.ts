/** Writes a report into a folder, whole or not at all. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ConfigError } from '../input-error.ts';
import type { RunResult } from '../replay/protocol.ts';
import { RUN_FILE, serializeRun } from '../replay/run-folder.ts';
import { reportDocument } from './document/document.ts';
import { reportJson } from './json.ts';
import { reportMarkdown } from './markdown.ts';
import { buildReport } from './model.ts';
import { reportText } from './text.ts';

/** Formats that {@link writeReport} knows; `html` brings the folder `charts` with it. */
export const REPORT_FORMATS = ['html', 'json', 'text', 'md'] as const;

/** A name in {@link REPORT_FORMATS}. */
export type ReportFormat = (typeof REPORT_FORMATS)[number];

/** What to write; everything unless told otherwise. */
export interface WriteReportOptions {
  readonly formats?: readonly ReportFormat[];
}

/** What to write, in the words of the command line, and whether an existing run may be replaced. */
export interface WriteRunOptions {
  readonly formats?: readonly string[];
  readonly overwrite?: boolean;
  /** Keep the result itself as `run.json`, so that later commands can read the folder; default true. */
  readonly keepRun?: boolean;
}

/** Files of a report by their path in the folder, in the order in which they are written. */
export async function reportFiles(
  result: RunResult,
  { formats = REPORT_FORMATS }: WriteReportOptions = {},
): Promise<Map<string, string>> {
  const report = buildReport(result);
  const document = reportDocument(report.model);
  const wants = (format: ReportFormat) => formats.includes(format);
  const files = new Map<string, string>();
  if (wants('html')) {
    // Vega is loaded only where something is drawn: a run that asks for JSON alone starts fast.
    const [{ chartFiles, pageCharts }, { reportHtml }] = await Promise.all([import('./draw.ts'), import('./html.ts')]);
    for (const [path, content] of await chartFiles(report)) files.set(path, content);
    files.set('index.html', reportHtml(report.model, document, await pageCharts(report), formats));
  }
  if (wants('text')) files.set('report.txt', reportText(report.model, document));
  if (wants('md')) files.set('report.md', reportMarkdown(report.model, document, wants('html')));
  if (wants('json')) files.set('report.json', reportJson(report.model));
  return files;
}

/**
 * Writes the report of `result` into `directory` (made when missing) and returns the paths written, relative to it. All
 * content exists before the first file does; files are written to a folder of their own and then moved into place, so
 * that a crash leaves no half-written file. Throws what the file system throws.
 */
export async function writeReport(
  result: RunResult,
  directory: string,
  options: WriteReportOptions = {},
): Promise<string[]> {
  const files = await reportFiles(result, options);
  await writeFiles(directory, files);
  return [...files.keys()];
}

/** Writes files by their path in `directory`; every one of them is whole. Throws what the file system throws. */
export async function writeFiles(directory: string, files: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(directory, { recursive: true });
  const staging = await mkdtemp(join(directory, '.report-'));
  try {
    for (const [path, content] of files) {
      await mkdir(dirname(join(staging, path)), { recursive: true });
      await writeFile(join(staging, path), content);
    }
    for (const path of files.keys()) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await rename(join(staging, path), join(directory, path));
    }
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/**
 * Writes the run folder of the command line: a new or empty folder, or with `overwrite` one that holds a report. Throws
 * {@link ConfigError} for a format that does not exist and for a folder that may not be written.
 */
export async function writeRunFolder(
  result: RunResult,
  directory: string,
  { formats = REPORT_FORMATS, overwrite = false, keepRun = true }: WriteRunOptions = {},
): Promise<string[]> {
  await checkRunFolder(directory, { formats, overwrite });
  const files = await reportFiles(result, { formats: formats.filter(isReportFormat) });
  if (keepRun) files.set(RUN_FILE, serializeRun(result));
  await writeReportFolder(directory, files);
  return [...files.keys()];
}

/** {@link writeFiles}, then removes what is left of the report that lay there: it would tell of another run. */
export async function writeReportFolder(directory: string, files: ReadonlyMap<string, string>): Promise<void> {
  const names = (await entries(directory)).filter((name) => REPORT_FILE.test(name));
  const charts = (await entries(join(directory, 'charts'))).map((name) => `charts/${name}`);
  await writeFiles(directory, files);
  const stale = [...names, ...charts].filter((path) => !files.has(path));
  if (!files.has('index.html')) stale.push('charts');
  for (const path of stale) await rm(join(directory, path), { recursive: true, force: true });
}

/** The checks of {@link writeRunFolder} without writing: what is wrong is said before any work starts. */
export async function checkRunFolder(
  directory: string,
  { formats = REPORT_FORMATS, overwrite = false }: WriteRunOptions = {},
): Promise<void> {
  for (const format of formats) {
    if (!isReportFormat(format)) {
      throw new ConfigError({ source: '--format', reason: `"${format}" is none of ${REPORT_FORMATS.join(', ')}` });
    }
  }
  const names = await entries(directory);
  if (names.length > 0 && !overwrite) {
    throw new ConfigError({ source: directory, reason: 'the folder exists and is not empty' });
  }
  // Never write into a folder that is something else than a report.
  if (names.length > 0 && !names.some((name) => REPORT_FILE.test(name))) {
    throw new ConfigError({ source: directory, reason: 'the folder holds no report; it will not be replaced' });
  }
  await checkWritable(directory);
}

/** Files by which a folder is known to hold a report, a study, a validation, a comparison or a sweep. */
const REPORT_FILE = /^(run\.json|index\.html|(report|study|model-validation|compare|sweep)\.(json|txt|md))$/;

/** Throws {@link ConfigError} when the folder, or the nearest one above it that exists, may not be written. */
export async function checkWritable(directory: string): Promise<void> {
  let path = resolve(directory);
  while (!existsSync(path) && dirname(path) !== path) path = dirname(path);
  try {
    // Only trying tells: below /proc nothing can be made, whatever the permissions say.
    await rmdir(await mkdtemp(join(path, '.report-')));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError({ source: directory, reason: `cannot be written (${code})` });
  }
}

function isReportFormat(name: string): name is ReportFormat {
  return REPORT_FORMATS.some((format) => format === name);
}

/** Names in a folder; none when there is no such folder. */
async function entries(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new ConfigError({ source: directory, reason: error instanceof Error ? error.message : String(error) });
  }
}
