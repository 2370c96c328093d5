/** Writes a study folder, whole or not at all: page, text, Markdown, JSON and charts. */
import type { RunResult } from '../../replay/protocol.ts';
import { reportMarkdown } from '../markdown.ts';
import { reportText } from '../text.ts';
import { checkRunFolder, REPORT_FORMATS, type WriteRunOptions, writeFiles } from '../writer.ts';
import { type StudyDocument, studyDocument } from './document.ts';
import { studyJson } from './json.ts';

/** What is wrong with the folder or the formats is said before any work starts; throws ConfigError. */
export const checkStudyFolder = checkRunFolder;

/** Files of a study by their path in the folder. */
export async function studyFiles(
  run: RunResult,
  study: StudyDocument,
  formats: readonly string[] = REPORT_FORMATS,
): Promise<Map<string, string>> {
  const { document, charts } = study;
  const model = {
    tool_version: run.toolVersion,
    cases: charts.map((own) => ({ charts: own.map(({ name }) => ({ name })) })),
  };
  const files = new Map<string, string>();
  if (formats.includes('html')) {
    const [{ chartFiles, pageCharts }, { reportHtml }] = await Promise.all([
      import('../draw.ts'),
      import('../html.ts'),
    ]);
    for (const [path, content] of await chartFiles({ charts })) files.set(path, content);
    files.set('index.html', reportHtml(model, document, await pageCharts({ charts }), formats));
  }
  if (formats.includes('text')) files.set('study.txt', reportText(model, document));
  if (formats.includes('md')) files.set('study.md', reportMarkdown(model, document, formats.includes('html')));
  if (formats.includes('json')) files.set('study.json', studyJson(run, study));
  return files;
}

/** Writes the folder and returns what was said in it. Throws ConfigError and what the file system throws. */
export async function writeStudyFolder(
  run: RunResult,
  directory: string,
  { formats = REPORT_FORMATS, overwrite = false }: WriteRunOptions = {},
): Promise<StudyDocument> {
  await checkStudyFolder(directory, { formats, overwrite });
  const study = studyDocument(run);
  await writeFiles(directory, await studyFiles(run, study, formats));
  return study;
}
