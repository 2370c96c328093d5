/** Reads numbers and words out of one line of bytes without regular expressions and without copying. */
import { decodeText, WordTable } from './word-table.ts';

const SPACE = 32;
const DOT = 46;
const ZERO = 48;
const LOWER_X = 120;

/** Value of each byte as a hex digit, or -1. */
const HEX_DIGITS = Int8Array.from({ length: 256 }, (_, code) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase());
  return digit;
});
/** Powers of ten up to that of a nanosecond. */
const POWERS_OF_TEN = Array.from({ length: 10 }, (_, exponent) => Number(`1e${exponent}`));

/** `value` times ten to the power of `exponent`, exact as far as doubles are. */
export function timesPowerOfTen(value: number, exponent: number): number {
  return value * (POWERS_OF_TEN[exponent] ?? 10 ** exponent);
}

/** True for `0` .. `9`. */
export function isDigit(code: number | undefined): boolean {
  return code !== undefined && code >= ZERO && code <= 57;
}

/**
 * A position in a line. Readers return NaN (or undefined) when what they look for is not there, and leave the position
 * behind what they read. Numbers are doubles: exact below 2^53, and for page-aligned addresses at any 64-bit size.
 */
export class TextCursor {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** End of the line in {@link bytes}. */
  end = 0;
  readonly #words = new WordTable();

  /** Starts on another line. @hot */
  set(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Byte here, 0 at the end of the line. @hot */
  peek(): number {
    return this.at < this.end ? this.bytes[this.at]! : 0;
  }

  /** Moves behind the next `token`; false, and no move, when there is none. @hot */
  seek(token: Uint8Array): boolean {
    const { bytes } = this;
    const first = token[0]!;
    const last = this.end - token.length;
    for (let at = this.at; at <= last; at++) {
      if (bytes[at] !== first) continue;
      let same = 1;
      while (same < token.length && bytes[at + same] === token[same]) same++;
      if (same < token.length) continue;
      this.at = at + same;
      return true;
    }
    return false;
  }

  /** Hex number here, with or without `0x`; NaN when there is none. @hot */
  hex(): number {
    const { bytes, end } = this;
    let at = this.at;
    if (at + 1 < end && bytes[at] === ZERO && bytes[at + 1] === LOWER_X) at += 2;
    const start = at;
    let value = 0;
    for (; at < end; at++) {
      const digit = HEX_DIGITS[bytes[at]!]!;
      if (digit < 0) break;
      value = value * 16 + digit;
    }
    if (at === start) return Number.NaN;
    this.at = at;
    return value;
  }

  /** Hex number behind the next `token`; NaN when either is missing. */
  hexAfter(token: Uint8Array): number {
    return this.seek(token) ? this.hex() : Number.NaN;
  }

  /** 64-bit hex number behind the next `token`, exact; undefined when either is missing. */
  hex64After(token: Uint8Array): bigint | undefined {
    return this.seek(token) ? this.hex64() : undefined;
  }

  /** 64-bit hex number here, with or without `0x`, exact. */
  hex64(): bigint | undefined {
    const from = this.at;
    const value = this.hex();
    if (Number.isNaN(value)) return undefined;
    if (value <= Number.MAX_SAFE_INTEGER) return BigInt(value);
    const digits = this.slice(from, this.at);
    return BigInt(digits.charCodeAt(1) === LOWER_X ? digits : `0x${digits}`);
  }

  /** Decimal number here; NaN when there is none. @hot */
  decimal(): number {
    const { bytes, end } = this;
    let at = this.at;
    const start = at;
    let value = 0;
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === start) return Number.NaN;
    this.at = at;
    return value;
  }

  /** Decimal number behind the next `token`; NaN when either is missing. */
  decimalAfter(token: Uint8Array): number {
    return this.seek(token) ? this.decimal() : Number.NaN;
  }

  /** Number of either base: hex when it starts with `0x`, else decimal. */
  number(): number {
    const { bytes, at, end } = this;
    return at + 1 < end && bytes[at] === ZERO && bytes[at + 1] === LOWER_X ? this.hex() : this.decimal();
  }

  /** Seconds with a fraction, as in `8.390503`, in [ns]; NaN when there is none. Fractions of 1 to 9 digits. @hot */
  secondsAsNs(): number {
    const seconds = this.decimal();
    if (Number.isNaN(seconds) || this.peek() !== DOT) return Number.NaN;
    const start = ++this.at;
    const fraction = this.decimal();
    const digits = this.at - start;
    if (Number.isNaN(fraction) || digits > 9) return Number.NaN;
    return seconds * 1e9 + timesPowerOfTen(fraction, 9 - digits);
  }

  /** Text up to the next space or the end of the line. */
  word(): string {
    const start = this.at;
    this.skipWord();
    return this.#words.text(this.bytes, start, this.at);
  }

  /** Moves to the next space or the end of the line. @hot */
  skipWord(): void {
    const { bytes, end } = this;
    let at = this.at;
    while (at < end && bytes[at] !== SPACE) at++;
    this.at = at;
  }

  /** Moves behind spaces. @hot */
  skipSpaces(): void {
    const { bytes, end } = this;
    let at = this.at;
    while (at < end && bytes[at] === SPACE) at++;
    this.at = at;
  }

  /** Text from here to the end of the line. */
  rest(): string {
    return this.slice(this.at, this.end);
  }

  /** A word that recurs, given by its place. @hot */
  wordAt(start: number, end: number): string {
    return this.#words.text(this.bytes, start, end);
  }

  /** Text given by its place. */
  slice(start: number, end: number): string {
    return decodeText(this.bytes, start, end);
  }
}
