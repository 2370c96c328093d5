/** Filling plain text: words to lines, cells to columns. */

/** A number and its unit, which stay on one line. */
const QUANTITY = /(\d) (?=(?:%|[nµm]?s|[KMGT]?i?B|[kMG]?B\/s)(?![\w/]))/g;

/** Stands for a space that no line is broken at. */
const JOINT = '\u00a0';

/**
 * Breaks `text` at spaces so that no line passes `columns`; a longer word is broken behind its last punctuation that fits,
 * else where the line ends. Numbers stay with their units.
 */
export function wrapText(text: string, columns: number): string[] {
  return fillLines(text.replace(QUANTITY, `$1${JOINT}`), columns).map((line) => line.replaceAll(JOINT, ' '));
}

function fillLines(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    let rest = word;
    if (line !== '' && line.length + 1 + rest.length <= columns) {
      line += ` ${rest}`;
      continue;
    }
    if (line !== '') lines.push(line);
    while (rest.length > columns) {
      const at = breakIn(rest.slice(0, columns));
      lines.push(rest.slice(0, at));
      rest = rest.slice(at);
    }
    line = rest;
  }
  if (line !== '' || lines.length === 0) lines.push(line);
  return lines;
}

/** Where a word that fills the line is broken: behind punctuation, unless that leaves most of the line empty. */
function breakIn(line: string): number {
  const at = Math.max(...['.', '/', '_', '-'].map((mark) => line.lastIndexOf(mark))) + 1;
  return at * 4 >= line.length ? at : line.length;
}

/** `text` in a column of `columns` characters. */
export function padCell(text: string, columns: number, align: 'left' | 'right'): string {
  return align === 'right' ? text.padStart(columns) : text.padEnd(columns);
}
