/** `report.md`: the report for pull requests and job summaries (GitHub flavoured Markdown); charts are linked. */
import type { Block, Chapter, Check, Head, ReportDocument, Section, Table } from './document/block.ts';
import { plural } from './format.ts';
import type { ReportModel } from './schema/report.ts';

/** What Markdown needs besides the words: which charts lie beside it, by case. */
type MarkdownModel = Pick<ReportModel, 'tool_version'> & {
  readonly cases: readonly { readonly charts: readonly { readonly name: string }[] }[];
};

/** The report as Markdown. `chartLinks` is true when `charts/*.svg` are written beside it. */
export function reportMarkdown(model: MarkdownModel, document: ReportDocument, chartLinks: boolean): string {
  const several = document.chapters.length > 1;
  const parts = [
    `# ${escapeMarkdown(document.title)}`,
    `iommu-replay ${model.tool_version}, ${document.label ?? 'run report'}`,
  ];
  if (document.head !== undefined) parts.push(headMarkdown(document.head));
  for (const block of document.overview) parts.push(blockMarkdown(block, ''));
  for (const [index, chapter] of document.chapters.entries()) {
    const prefix = several ? `case${index + 1}-` : '';
    const names = new Set(chartLinks ? model.cases[index]!.charts.map(({ name }) => name) : []);
    parts.push(chapterMarkdown(chapter, several || document.head !== undefined, prefix, names));
  }
  parts.push(sectionMarkdown(document.modelCard, '', new Set()));
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function headMarkdown({ badges, sentence, checks }: Head): string {
  return [
    `**${badges.map((badge) => escapeMarkdown(badge.text)).join(' · ')}**`,
    escapeMarkdown(sentence),
    checksMarkdown(checks),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function checksMarkdown(checks: readonly Check[]): string {
  return checks.map(({ mark, text }) => `- ${mark} ${escapeMarkdown(text)}`).join('\n');
}

function chapterMarkdown(chapter: Chapter, titled: boolean, prefix: string, charts: ReadonlySet<string>): string {
  return [
    titled ? `# ${escapeMarkdown(chapter.title)}` : '',
    `**${chapter.badges.map((badge) => badge.text).join(' · ')}** (${escapeMarkdown(chapter.subtitle)})`,
    escapeMarkdown(chapter.sentence),
    tableMarkdown({
      kind: 'table',
      caption: '',
      columns: [
        { label: '', align: 'left' },
        { label: '', align: 'right' },
        { label: '', align: 'left' },
      ],
      rows: chapter.tiles.map(({ label, value, detail }) => [label, value, detail]),
    }),
    ...chapter.answers.map(({ question, answer }) => `**${escapeMarkdown(question)}** ${escapeMarkdown(answer)}`),
    ...chapter.sections.map((section) => sectionMarkdown(section, prefix, charts)),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function sectionMarkdown(section: Section, prefix: string, charts: ReadonlySet<string>): string {
  const blocks = section.blocks.map((block) => blockMarkdown(block, prefix, charts)).filter((text) => text !== '');
  return [`## ${escapeMarkdown(section.title)}`, ...blocks].join('\n\n');
}

function blockMarkdown(block: Block, prefix: string, charts: ReadonlySet<string> = new Set()): string {
  switch (block.kind) {
    case 'paragraph':
      return escapeMarkdown(block.text);
    case 'list':
      return block.items.map((item) => `- ${escapeMarkdown(item)}`).join('\n');
    case 'checks':
      return checksMarkdown(block.checks);
    case 'facts':
      return block.facts
        .map(
          ({ label, value, code }) => `- ${escapeMarkdown(label)}: ${code ? codeSpan(value) : escapeMarkdown(value)}`,
        )
        .join('\n');
    case 'table':
      return tableMarkdown(block);
    case 'columns':
      return block.blocks
        .map((inner) => blockMarkdown(inner, prefix, charts))
        .filter((text) => text !== '')
        .join('\n\n');
    case 'charts':
      return block.names
        .filter((name) => charts.has(`${prefix}${name}`))
        .map((name) => `![${name}](charts/${prefix}${name}.svg)`)
        .join('\n');
  }
}

function tableMarkdown(table: Table): string {
  if (table.rows.length === 0) return `${escapeMarkdown(table.caption)}: none.`;
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const lines = [
    row(table.columns.map((column) => escapeMarkdown(column.label))),
    row(table.columns.map((column) => (column.align === 'right' ? '--:' : ':--'))),
    ...table.rows.map((cells) =>
      row(cells.map((cell, i) => (table.columns[i]!.code && cell !== '' ? codeSpan(cell) : escapeMarkdown(cell)))),
    ),
  ];
  const omitted = table.omitted ? `\n\n${plural(table.omitted, 'more row')} not shown.` : '';
  const body = `${lines.join('\n')}${omitted}`;
  if (table.caption === '') return body;
  const caption = escapeMarkdown(table.caption);
  return table.folded ? `<details><summary>${caption}</summary>\n\n${body}\n\n</details>` : `**${caption}**\n\n${body}`;
}

function codeSpan(text: string): string {
  return `\`${text
    .replaceAll('`', "'")
    .replaceAll('|', '\\|')
    .replace(/\s*\n\s*/g, ' ')}\``;
}

/** A code span of one back quote a side, as Markdown reads it: nothing in it is markup. */
const CODE_SPAN = /((?<!`)`[^`\n]+`(?!`))/;

/** Keeps recorded text from being read as markup; back quotes stay, they are the report's own code spans. */
function escapeMarkdown(text: string): string {
  return text
    .split(CODE_SPAN)
    .map((part, index) => (index % 2 === 1 ? part.replaceAll('|', '\\|') : escapeWords(part)))
    .join('');
}

function escapeWords(text: string): string {
  return text
    .replace(/[\\*_[\]|#]/g, '\\$&')
    .replaceAll('<', '&lt;')
    .replace(/\s*\n\s*/g, ' ');
}
