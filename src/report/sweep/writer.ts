/** Writes a sweep folder, whole or not at all: page, text, Markdown, JSON and charts. */
import type { SweepResult } from '../../replay/sweep/protocol.ts';
import { reportMarkdown } from '../markdown.ts';
import { reportText } from '../text.ts';
import { checkRunFolder, REPORT_FORMATS, type WriteRunOptions, writeReportFolder } from '../writer.ts';
import { sweepDocument } from './document.ts';
import { buildSweep, type Sweep } from './model.ts';
import { sweepJson } from './schema.ts';

/** What is wrong with the folder or the formats is said before any work starts; throws ConfigError. */
export const checkSweepFolder = checkRunFolder;

/** Files of a sweep by their path in the folder. */
export async function sweepFiles(
  { model, charts }: Sweep,
  formats: readonly string[] = REPORT_FORMATS,
): Promise<Map<string, string>> {
  const document = sweepDocument(model);
  const files = new Map<string, string>();
  if (formats.includes('html')) {
    const [{ chartFiles, pageCharts }, { reportHtml }] = await Promise.all([
      import('../draw.ts'),
      import('../html.ts'),
    ]);
    for (const [path, content] of await chartFiles({ charts })) files.set(path, content);
    files.set('index.html', reportHtml(model, document, await pageCharts({ charts }), formats));
  }
  if (formats.includes('text')) files.set('sweep.txt', reportText(model, document));
  if (formats.includes('md')) files.set('sweep.md', reportMarkdown(model, document, formats.includes('html')));
  if (formats.includes('json')) files.set('sweep.json', sweepJson(model));
  return files;
}

/** A folder that was written. */
export interface WrittenSweep {
  readonly sweep: Sweep;
  /** Paths in the folder. */
  readonly paths: readonly string[];
}

/** Writes the folder. Throws ConfigError and what the file system throws. */
export async function writeSweepFolder(
  result: SweepResult,
  directory: string,
  { formats = REPORT_FORMATS, overwrite = false }: WriteRunOptions = {},
): Promise<WrittenSweep> {
  await checkSweepFolder(directory, { formats, overwrite });
  const sweep = buildSweep(result);
  const files = await sweepFiles(sweep, formats);
  await writeReportFolder(directory, files);
  return { sweep, paths: [...files.keys()] };
}
