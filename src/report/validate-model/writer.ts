/** Writes a model validation: page, text, Markdown, JSON and charts, whole or not at all. */
import type { ModelValidation } from '../../replay/validate-model/result.ts';
import { reportMarkdown } from '../markdown.ts';
import { reportText } from '../text.ts';
import { checkRunFolder, REPORT_FORMATS, type WriteRunOptions, writeFiles } from '../writer.ts';
import { tableCharts } from './charts.ts';
import { validationDocument } from './document.ts';
import { shownTables } from './table-section.ts';

/** What is wrong with the folder or the formats is said before any work starts; throws ConfigError. */
export const checkValidationFolder = checkRunFolder;

/** The validation as text of at most 72 columns. */
export function validationText(validation: ModelValidation, toolVersion: string): string {
  return reportText({ tool_version: toolVersion }, validationDocument(validation));
}

/** The validation as Markdown; charts are linked when they lie beside it. */
export function validationMarkdown(validation: ModelValidation, toolVersion: string, chartLinks: boolean): string {
  return reportMarkdown(model(validation, toolVersion), validationDocument(validation), chartLinks);
}

/** The validation as JSON. */
export function validationJson(validation: ModelValidation): string {
  return `${JSON.stringify(validation, null, 2)}\n`;
}

/** Files of the folder by their path. */
export async function validationFiles(
  validation: ModelValidation,
  toolVersion: string,
  formats: readonly string[] = REPORT_FORMATS,
): Promise<Map<string, string>> {
  const charts = [shownTables(validation).flatMap(tableCharts)];
  const files = new Map<string, string>();
  if (formats.includes('html')) {
    const [{ chartFiles, pageCharts }, { reportHtml }] = await Promise.all([
      import('../draw.ts'),
      import('../html.ts'),
    ]);
    for (const [path, content] of await chartFiles({ charts })) files.set(path, content);
    const page = reportHtml(
      { tool_version: toolVersion },
      validationDocument(validation),
      await pageCharts({ charts }),
      formats,
    );
    files.set('index.html', page);
  }
  if (formats.includes('text')) files.set('model-validation.txt', validationText(validation, toolVersion));
  if (formats.includes('md')) {
    files.set('model-validation.md', validationMarkdown(validation, toolVersion, formats.includes('html')));
  }
  if (formats.includes('json')) files.set('model-validation.json', validationJson(validation));
  return files;
}

/** Writes the folder. Throws ConfigError and what the file system throws. */
export async function writeValidationFolder(
  validation: ModelValidation,
  toolVersion: string,
  directory: string,
  { formats = REPORT_FORMATS, overwrite = false }: WriteRunOptions = {},
): Promise<void> {
  await checkValidationFolder(directory, { formats, overwrite });
  await writeFiles(directory, await validationFiles(validation, toolVersion, formats));
}

function model(validation: ModelValidation, toolVersion: string) {
  const names = shownTables(validation)
    .flatMap(tableCharts)
    .map(({ name }) => ({ name }));
  return { tool_version: toolVersion, cases: [{ charts: names }] };
}
