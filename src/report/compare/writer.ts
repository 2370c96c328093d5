/** Writes a comparison: page, text, Markdown, JSON and charts, whole or not at all. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../input-error.ts';
import { RUN_FILE } from '../../replay/run-folder.ts';
import { reportMarkdown } from '../markdown.ts';
import { reportText } from '../text.ts';
import { checkRunFolder, REPORT_FORMATS, writeFiles } from '../writer.ts';
import type { Comparison } from './comparison.ts';
import { compareDocument } from './document.ts';
import { type CompareModel, compareJson } from './schema.ts';

/** The comparison as text of at most 72 columns. */
export function compareText(model: CompareModel): string {
  return reportText(model, compareDocument(model));
}

/** The comparison as Markdown; `chartLinks` when `charts/*.svg` are written beside it. */
export function compareMarkdown(model: CompareModel, chartLinks: boolean): string {
  return reportMarkdown(model, compareDocument(model), chartLinks);
}

/** Files of the folder by their path. */
export async function compareFiles(comparison: Comparison): Promise<Map<string, string>> {
  const { model } = comparison;
  const [{ chartFiles, pageCharts }, { reportHtml }] = await Promise.all([import('../draw.ts'), import('../html.ts')]);
  const files = await chartFiles(comparison);
  files.set('index.html', reportHtml(model, compareDocument(model), await pageCharts(comparison), REPORT_FORMATS));
  files.set('compare.txt', compareText(model));
  files.set('compare.md', compareMarkdown(model, true));
  files.set('compare.json', compareJson(model));
  return files;
}

/** What is wrong with the folder is said before any work starts; throws ConfigError. A run is never replaced. */
export async function checkCompareFolder(directory: string, overwrite: boolean): Promise<void> {
  if (existsSync(join(directory, RUN_FILE))) {
    throw new ConfigError({ source: directory, reason: 'the folder holds a run; it will not be replaced' });
  }
  await checkRunFolder(directory, { overwrite });
}

/** Writes the folder. Throws ConfigError and what the file system throws. */
export async function writeCompareFolder(comparison: Comparison, directory: string, overwrite: boolean): Promise<void> {
  await checkCompareFolder(directory, overwrite);
  const files = await compareFiles(comparison);
  await writeFiles(directory, files);
  // Charts of cases that a replaced comparison had.
  const charts = join(directory, 'charts');
  for (const name of existsSync(charts) ? readdirSync(charts) : []) {
    if (!files.has(`charts/${name}`)) rmSync(join(charts, name), { recursive: true, force: true });
  }
}
