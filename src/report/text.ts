/** `report.txt`: the report for mailing lists and terminals, at most 72 columns, no colour. */
import type { Block, Chapter, Check, Column, Fact, Head, ReportDocument, Section, Table } from './document/block.ts';
import { plural } from './format.ts';
import type { ReportModel } from './schema/report.ts';
import { padCell, wrapText } from './text-layout.ts';

/** Widest line. */
export const TEXT_COLUMNS = 72;

/** Labels of facts are padded to this, or to the longest of them. */
const LABEL_COLUMNS = 22;

/** Space between the columns of a table, and the narrowest that a column of words may become. */
const GAP = '  ';
const MIN_WORDS_COLUMN = 9;

/** The report as lines of at most {@link TEXT_COLUMNS} characters; charts are left out. */
export function reportText(model: Pick<ReportModel, 'tool_version'>, document: ReportDocument): string {
  const lines = [`iommu-replay ${model.tool_version}: ${document.label ?? 'run report'}`, ''];
  if (document.head !== undefined) lines.push(...headLines(document.head));
  for (const block of document.overview) lines.push(...blockLines(block));
  for (const chapter of document.chapters) lines.push(...chapterLines(chapter));
  lines.push(...sectionLines(document.modelCard));
  return `${lines
    .map((line) => line.trimEnd())
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`;
}

function headLines({ badges, sentence, checks }: Head): string[] {
  return [
    ...wrapText(badges.map(({ text }) => text).join(', '), TEXT_COLUMNS),
    ...wrapText(sentence, TEXT_COLUMNS),
    '',
    ...checkLines(checks),
    '',
  ];
}

function checkLines(checks: readonly Check[]): string[] {
  return checks.flatMap(({ mark, text }) =>
    wrapText(text, TEXT_COLUMNS - 2).map((line, i) => `${i === 0 ? mark : ' '} ${line}`),
  );
}

/** One table as lines of at most {@link TEXT_COLUMNS} characters where its figures allow. */
export function tableText(table: Table): string {
  return tableLines(table)
    .map((line) => line.trimEnd())
    .join('\n');
}

function chapterLines(chapter: Chapter): string[] {
  const lines = [
    ...wrapText(chapter.title, TEXT_COLUMNS),
    ...wrapText(chapter.subtitle, TEXT_COLUMNS),
    '='.repeat(TEXT_COLUMNS),
    ...wrapText(chapter.badges.map((badge) => badge.text).join(', '), TEXT_COLUMNS),
    '',
    ...wrapText(chapter.sentence, TEXT_COLUMNS),
    '',
    ...factLines(chapter.tiles.map(({ label, value, detail }) => ({ label, value: `${value} (${detail})` }))),
    '',
  ];
  for (const { question, answer } of chapter.answers) {
    lines.push(question, ...wrapText(answer, TEXT_COLUMNS - 2).map((line) => `  ${line}`));
  }
  lines.push('');
  for (const section of chapter.sections) lines.push(...sectionLines(section));
  return lines;
}

function sectionLines(section: Section): string[] {
  return [
    section.title.toUpperCase(),
    '-'.repeat(section.title.length),
    ...section.blocks.flatMap((block) => blockLines(block)),
    '',
  ];
}

function blockLines(block: Block): string[] {
  switch (block.kind) {
    case 'paragraph':
      return [...wrapText(block.text, TEXT_COLUMNS), ''];
    case 'list':
      return [
        ...block.items.flatMap((item) =>
          wrapText(item, TEXT_COLUMNS - 2).map((line, i) => `${i === 0 ? '- ' : '  '}${line}`),
        ),
        '',
      ];
    case 'checks':
      return [...checkLines(block.checks), ''];
    case 'facts':
      return [...factLines(block.facts), ''];
    case 'table':
      return [...tableLines(block), ''];
    case 'columns':
      return block.blocks.flatMap(blockLines);
    case 'charts':
      return [];
  }
}

function factLines(facts: readonly Fact[]): string[] {
  const columns = Math.max(LABEL_COLUMNS, ...facts.map(({ label }) => label.length));
  return facts.flatMap(({ label, value }) =>
    wrapText(value, TEXT_COLUMNS - columns - 1).map((line, i) => `${(i === 0 ? label : '').padEnd(columns)} ${line}`),
  );
}

function tableLines(table: Table): string[] {
  if (table.rows.length === 0) return wrapText(`${table.caption}: none.`, TEXT_COLUMNS);
  const kept = table.columns.map((column, index) => ({ column, index })).filter(({ column }) => !column.wideOnly);
  const columns = kept.map(({ column }) => column);
  const rows = table.rows.map((row) => kept.map(({ index }) => row[index] ?? ''));
  const widths = fitWidths(columns, rows);
  const lines = [...wrapText(table.caption, TEXT_COLUMNS)];
  lines.push(
    ...rowLines(
      columns.map((column) => column.label),
      columns,
      widths,
    ),
  );
  lines.push(widths.map((width) => '-'.repeat(width)).join(GAP));
  for (const row of rows) lines.push(...rowLines(row, columns, widths));
  if (table.omitted) lines.push(`(${plural(table.omitted, 'more row')} not shown)`);
  return lines;
}

/** Natural widths, then the widest column of words gives way until the line fits. */
function fitWidths(columns: readonly Column[], rows: readonly (readonly string[])[]): number[] {
  const widths = columns.map((column, i) => Math.max(column.label.length, ...rows.map((row) => row[i]!.length)));
  const total = () => widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1));
  while (total() > TEXT_COLUMNS) {
    let widest = -1;
    for (const [i, column] of columns.entries()) {
      const gives = column.align === 'left' && widths[i]! > MIN_WORDS_COLUMN;
      if (gives && (widest < 0 || widths[i]! > widths[widest]!)) widest = i;
    }
    if (widest < 0) break;
    widths[widest] = widths[widest]! - 1;
  }
  return widths;
}

function rowLines(cells: readonly string[], columns: readonly Column[], widths: readonly number[]): string[] {
  const wrapped = cells.map((cell, i) => (columns[i]!.align === 'left' ? wrapText(cell, widths[i]!) : [cell]));
  const height = Math.max(1, ...wrapped.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    wrapped.map((lines, i) => padCell(lines[line] ?? '', widths[i]!, columns[i]!.align)).join(GAP),
  );
}
