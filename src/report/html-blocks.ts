/** Blocks of a report as HTML. Every text goes through {@link escapeHtml}. */
import type { Block, Check, Column, Fact, Table } from './document/block.ts';
import { escapeHtml } from './escape-html.ts';
import { plural } from './format.ts';

/** A drawn chart, ready for the page; `charts/<name>.*` lie beside it. */
export interface PageChart {
  readonly name: string;
  readonly title: string;
  readonly span: 'half' | 'full';
  readonly wideSvg: string;
  readonly narrowSvg: string;
}

/** Text with `code` spans of backquotes, and numbers kept on one line with their units. */
export function inlineHtml(text: string): string {
  return escapeHtml(text)
    .replace(/`([^`]+)`/g, '<code>$1</code>')
    .replace(/(\d) (%|ns|µs|ms|s|B|KiB|MiB|GiB|B\/s|kB\/s|MB\/s|GB\/s|M\/s|k\/s)(?![\w/])/g, '$1\u00a0$2');
}

/** One block; `charts` are those of the chapter by their unprefixed name. */
export function blockHtml(block: Block, charts: ReadonlyMap<string, PageChart>): string {
  switch (block.kind) {
    case 'paragraph':
      return `<p>${inlineHtml(block.text)}</p>`;
    case 'list':
      return `<ul>${block.items.map((item) => `<li>${inlineHtml(item)}</li>`).join('')}</ul>`;
    case 'checks':
      return checksHtml(block.checks);
    case 'facts':
      return factsHtml(block.facts);
    case 'table':
      return tableHtml(block);
    case 'columns':
      return `<div class="columns">${block.blocks.map((inner) => `<div>${blockHtml(inner, charts)}</div>`).join('\n')}</div>`;
    case 'charts': {
      const drawn = block.names.map((name) => charts.get(name)).filter((chart) => chart !== undefined);
      return drawn.length === 0 ? '' : `<div class="charts">${drawn.map(chartHtml).join('\n')}</div>`;
    }
  }
}

const CHECK_CLASS = { '✓': 'good', '✗': 'bad', '?': 'warn' } as const;

/** Conditions with their marks. */
export function checksHtml(checks: readonly Check[]): string {
  const items = checks.map(
    ({ mark, text }) => `<li class="${CHECK_CLASS[mark]}"><span>${mark}</span><div>${inlineHtml(text)}</div></li>`,
  );
  return `<ul class="checks">${items.join('')}</ul>`;
}

function factsHtml(facts: readonly Fact[]): string {
  const rows = facts.map(({ label, value, code }) => {
    const text = code ? `<code>${escapeHtml(value)}</code>` : inlineHtml(value);
    return `<dt>${escapeHtml(label)}</dt><dd>${text}</dd>`;
  });
  return `<dl class="facts">${rows.join('\n')}</dl>`;
}

function chartHtml(chart: PageChart): string {
  const link = (extension: string, label: string) => `<a href="charts/${chart.name}.${extension}">${label}</a>`;
  const files = `<span class="files">${[link('csv', 'data'), link('svg', 'SVG'), link('vl.json', 'Vega-Lite')].join(' · ')}</span>`;
  return `<figure class="chart ${chart.span}"><figcaption><h3>${escapeHtml(chart.title)}</h3>${files}</figcaption>
${chart.wideSvg}
${chart.narrowSvg}</figure>`;
}

/** Words longer than this get room to wrap in instead of one narrow column. */
const LONG_CELL = 30;

function tableHtml(table: Table): string {
  const head = table.columns.map(
    (column) => `<th scope="col"${column.align === 'right' ? ' class="n"' : ''}>${escapeHtml(column.label)}</th>`,
  );
  const rows = table.rows.map(
    (row) => `<tr>${row.map((cell, i) => cellHtml(cell, table.columns[i]!, i)).join('')}</tr>`,
  );
  const omitted = table.omitted ? `<p class="note">${plural(table.omitted, 'more row')} not shown.</p>` : '';
  const caption = escapeHtml(table.caption);
  if (rows.length === 0) return `<p class="note">${caption}: none.</p>`;
  const body = `<thead><tr>${head.join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
  const open = `<div class="scroll${table.columns.length <= 4 ? ' fit' : ''}" tabindex="0" role="region" aria-label="${caption}">`;
  if (table.folded) {
    const count = `<span class="count">(${plural(table.rows.length, 'row')})</span>`;
    return `<details><summary>${caption} ${count}</summary>${open}<table aria-label="${caption}">${body}</div>${omitted}</details>`;
  }
  return `<div><h4>${caption}</h4>${open}<table aria-label="${caption}">${body}</div>${omitted}</div>`;
}

function classOf(column: Column, extra = ''): string {
  const names = [column.align === 'right' ? 'n' : '', column.code ? 'code' : '', extra].filter((name) => name !== '');
  return names.length === 0 ? '' : ` class="${names.join(' ')}"`;
}

function cellHtml(cell: string, column: Column, index: number): string {
  const wraps = column.align === 'left' && cell.length > LONG_CELL ? 'wrap' : '';
  const tag = index === 0 ? 'th scope="row"' : 'td';
  return `<${tag}${classOf(column, wraps)}>${inlineHtml(cell)}</${index === 0 ? 'th' : 'td'}>`;
}
