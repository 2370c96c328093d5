/**
 * The values of a swept parameter: `a,b,c` as they stand (commas in brackets do not split), `from..to:xN` each N times the
 * last, `from..to:+N` each N more. `to` is included when it is hit. Decimal arithmetic is exact: 0.1..0.3:+0.1 ends at 0.3.
 */
import { ConfigError } from '../../input-error.ts';
import type { Spacing } from './protocol.ts';

/** Most values of one range: more are a slip of the pen. */
export const MOST_VALUES = 4096;
/** Digits that a product keeps where ends are fractions; doubles hold 15. */
const FRACTION_DIGITS = 12;

/** A parsed range. */
export interface Range {
  readonly spacing: Spacing;
  /** As an override takes them, without repeats. */
  readonly values: readonly string[];
}

/** Parses the right side of `--param PATH=RANGE`; throws {@link ConfigError} that names `source`. */
export function parseRange(text: string, source: string): Range {
  if (!text.includes('..')) return { spacing: 'list', values: unique(splitList(text, source).map(plainNumber)) };
  const fail = (reason: string): ConfigError => new ConfigError({ source, reason });
  const match = /^([^,]*?)\.\.([^,]*?)(?::(.*))?$/.exec(text);
  if (match === null) throw fail(`'${text}' mixes a list with a range from..to`);
  const [, fromText = '', toText = '', step] = match;
  const operator = step?.[0];
  if (step === undefined || (operator !== 'x' && operator !== '+')) {
    throw fail(`'${text}' does not say its step: from..to:xN (each N times the last) or from..to:+N (each N more)`);
  }
  const decimal = (part: string): Decimal => {
    const parsed = parseDecimal(part);
    if (parsed === undefined) throw fail(`'${part}' of '${text}' is not a number`);
    return parsed;
  };
  const [from, to, by] = [decimal(fromText), decimal(toText), decimal(step.slice(1))];
  if (compare(from, to) > 0) throw fail(`'${text}' goes down: ${fromText} is above ${toText}`);
  const geometric = operator === 'x';
  if (geometric && compare(from, ZERO) <= 0) throw fail(`'${text}' cannot grow by a factor from ${fromText}`);
  if (geometric && compare(by, ONE) <= 0) throw fail(`the factor of '${text}' must be above 1`);
  if (!geometric && compare(by, ZERO) <= 0) throw fail(`the step of '${text}' must be above 0`);
  const whole = isWhole(from) && isWhole(to);
  const values: string[] = [];
  for (let value = from; compare(value, to) <= 0; ) {
    if (values.length === MOST_VALUES) throw fail(`'${text}' has more than ${MOST_VALUES} values`);
    values.push(formatDecimal(geometric && whole ? roundTo(value, 0) : value));
    value = geometric ? roundTo(multiply(value, by), FRACTION_DIGITS) : add(value, by);
  }
  return { spacing: geometric ? 'geometric' : 'arithmetic', values: unique(values) };
}

/** Splits at commas outside brackets and quotes; throws {@link ConfigError}. */
function splitList(text: string, source: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let item = '';
  for (const letter of text) {
    if (letter === '[') depth++;
    if (letter === ']') depth--;
    if (letter === ',' && depth === 0) {
      items.push(item.trim());
      item = '';
    } else item += letter;
    if (depth < 0) break;
  }
  items.push(item.trim());
  if (depth !== 0) throw new ConfigError({ source, reason: `brackets of '${text}' do not match` });
  if (items.includes('')) throw new ConfigError({ source, reason: `'${text}' has an empty value` });
  return items;
}

/** `1e3`, `0.50` and `64.0` as a model card writes them; anything that is no such number as it stands. */
function plainNumber(text: string): string {
  const value = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER ? String(value) : text;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

/** `digits / 10^places`. */
interface Decimal {
  readonly digits: bigint;
  readonly places: number;
}

const ZERO: Decimal = { digits: 0n, places: 0 };
const ONE: Decimal = { digits: 1n, places: 0 };

function parseDecimal(text: string): Decimal | undefined {
  const match = /^(-?\d+)(?:\.(\d+))?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, whole = '', fraction = ''] = match;
  return { digits: BigInt(whole + fraction), places: fraction.length };
}

function power(places: number): bigint {
  return 10n ** BigInt(places);
}

/** Digits of `value` with at least as many places. */
function widen({ digits, places }: Decimal, to: number): bigint {
  return digits * power(to - places);
}

function compare(a: Decimal, b: Decimal): number {
  const places = Math.max(a.places, b.places);
  const [left, right] = [widen(a, places), widen(b, places)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function add(a: Decimal, b: Decimal): Decimal {
  const places = Math.max(a.places, b.places);
  return { digits: widen(a, places) + widen(b, places), places };
}

function multiply(a: Decimal, b: Decimal): Decimal {
  return { digits: a.digits * b.digits, places: a.places + b.places };
}

/** Half up; values are not negative where this is used. */
function roundTo(value: Decimal, places: number): Decimal {
  if (value.places <= places) return value;
  const unit = power(value.places - places);
  return { digits: (value.digits + unit / 2n) / unit, places };
}

function isWhole({ digits, places }: Decimal): boolean {
  return digits % power(places) === 0n;
}

function formatDecimal({ digits, places }: Decimal): string {
  const sign = digits < 0n ? '-' : '';
  const text = String(digits < 0n ? -digits : digits).padStart(places + 1, '0');
  const cut = text.length - places;
  const fraction = text.slice(cut).replace(/0+$/, '');
  return `${sign}${text.slice(0, cut)}${fraction === '' ? '' : `.${fraction}`}`;
}
