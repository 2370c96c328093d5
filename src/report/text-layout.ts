/** Filling plain text: words to lines, cells to columns. */

/** A number and its unit, which stay on one line. */
const QUANTITY = /(\d) (?=(?:%|[nµm]?s|[KMGT]?i?B|[kMG]?B\/s)(?![\w/]))/g;

/** Stands for a space that no line is broken at. */
const JOINT = '\u00a0';

/**
 * Breaks `text` at spaces so that no line passes `columns`; a longer word is broken where the line ends. Numbers stay
 * with their units.
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
      lines.push(rest.slice(0, columns));
      rest = rest.slice(columns);
    }
    line = rest;
  }
  if (line !== '' || lines.length === 0) lines.push(line);
  return lines;
}

/** `text` in a column of `columns` characters. */
export function padCell(text: string, columns: number, align: 'left' | 'right'): string {
  return align === 'right' ? text.padStart(columns) : text.padEnd(columns);
}
