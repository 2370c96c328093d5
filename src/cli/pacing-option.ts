/** Counts, names and repeatable options, as several commands have them. */
import { availableParallelism } from 'node:os';
import { ConfigError } from '../input-error.ts';

/** Parses a positive whole number given to `option`. */
export function parseCount(option: string, text: string): number {
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new ConfigError({ source: option, reason: `'${text}' is not a positive whole number` });
}

/** Collects a repeatable option. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

/** Splits a comma-separated list of names; empty parts are refused. */
export function parseNames(option: string, text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === ''))
    throw new ConfigError({ source: option, reason: `'${text}' has an empty name` });
  return names;
}

/** Worker threads of `--workers`: 0 replays in this thread, all cores when left out. */
export function parseWorkers(text: string | undefined): number {
  if (text === undefined) return availableParallelism();
  if (text === '0') return 0;
  const count = parseCount('--workers', text);
  if (count > 256) throw new ConfigError({ source: '--workers', reason: `${count} threads are more than 256` });
  return count;
}
