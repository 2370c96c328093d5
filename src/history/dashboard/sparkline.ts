/** A line of values in a table cell. */

const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** Values that a cell has room for: the newest. */
const SHOWN = 24;

/** One character a value, lowest to highest; a constant is a flat line, entries without a value are left out. */
export function sparkline(all: readonly (number | null)[]): string {
  const values = all.filter((value) => value !== null).slice(-SHOWN);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const level = (value: number): number => Math.round(((value - low) / (high - low)) * (LEVELS.length - 1));
  return values.map((value) => LEVELS[high === low ? 0 : level(value)]).join('');
}
