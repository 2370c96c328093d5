/** `--pace recorded|closed|scale=N` and the other options that select what a job is. */
import { ConfigError } from '../input-error.ts';
import { parsePacingText } from '../replay/pacing.ts';
import type { Pacing } from '../replay/protocol.ts';

/** Parses the value of `--pace`; throws {@link ConfigError} on anything else. */
export function parsePacing(text: string): Pacing {
  return parsePacingText(text, '--pace');
}

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
