/** Reads numbers and words out of one line without regular expressions. */

const ZERO = 48;
const NINE = 57;
const LOWER_A = 97;
const LOWER_F = 102;
const UPPER_A = 65;
const UPPER_F = 70;

/** Value of a hex digit's char code, or -1. */
function hexDigit(code: number): number {
  if (code >= ZERO && code <= NINE) return code - ZERO;
  if (code >= LOWER_A && code <= LOWER_F) return code - LOWER_A + 10;
  if (code >= UPPER_A && code <= UPPER_F) return code - UPPER_A + 10;
  return -1;
}

/**
 * A position in a line. Readers return NaN (or undefined) when what they look for is not there, and leave the position
 * behind what they read. Numbers are doubles: exact below 2^53, and for page-aligned addresses at any 64-bit size.
 */
export class TextCursor {
  line = '';
  at = 0;

  /** Starts on another line. */
  set(line: string, at: number): void {
    this.line = line;
    this.at = at;
  }

  /** Moves behind the next `token`; false, and no move, when there is none. */
  seek(token: string): boolean {
    const found = this.line.indexOf(token, this.at);
    if (found < 0) return false;
    this.at = found + token.length;
    return true;
  }

  /** Hex number here, with or without `0x`; NaN when there is none. @hot */
  hex(): number {
    const { line } = this;
    let at = this.at;
    if (line.charCodeAt(at) === ZERO && line.charCodeAt(at + 1) === 120) at += 2;
    const start = at;
    let value = 0;
    for (;;) {
      const digit = hexDigit(line.charCodeAt(at));
      if (digit < 0) break;
      value = value * 16 + digit;
      at++;
    }
    if (at === start) return Number.NaN;
    this.at = at;
    return value;
  }

  /** Hex number behind the next `token`; NaN when either is missing. */
  hexAfter(token: string): number {
    return this.seek(token) ? this.hex() : Number.NaN;
  }

  /** 64-bit hex number behind the next `token`, exact; undefined when either is missing. */
  hex64After(token: string): bigint | undefined {
    return this.seek(token) ? this.hex64() : undefined;
  }

  /** 64-bit hex number here, with or without `0x`, exact. */
  hex64(): bigint | undefined {
    const from = this.at;
    if (Number.isNaN(this.hex())) return undefined;
    const digits = this.line.slice(from, this.at);
    return BigInt(digits.charCodeAt(1) === 120 ? digits : `0x${digits}`);
  }

  /** Decimal number here; NaN when there is none. @hot */
  decimal(): number {
    const { line } = this;
    let at = this.at;
    const start = at;
    let value = 0;
    for (;;) {
      const digit = line.charCodeAt(at) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      at++;
    }
    if (at === start) return Number.NaN;
    this.at = at;
    return value;
  }

  /** Decimal number behind the next `token`; NaN when either is missing. */
  decimalAfter(token: string): number {
    return this.seek(token) ? this.decimal() : Number.NaN;
  }

  /** Number of either base: hex when it starts with `0x`, else decimal. */
  number(): number {
    const { line, at } = this;
    return line.charCodeAt(at) === ZERO && line.charCodeAt(at + 1) === 120 ? this.hex() : this.decimal();
  }

  /** Seconds with a fraction, as in `8.390503`, in [ns]; NaN when there is none. Fractions of 1 to 9 digits. @hot */
  secondsAsNs(): number {
    const seconds = this.decimal();
    if (Number.isNaN(seconds) || this.line.charCodeAt(this.at) !== 46) return Number.NaN;
    const start = ++this.at;
    const fraction = this.decimal();
    const digits = this.at - start;
    if (Number.isNaN(fraction) || digits > 9) return Number.NaN;
    return seconds * 1e9 + fraction * 10 ** (9 - digits);
  }

  /** Text up to the next space or the end of the line. */
  word(): string {
    const { line, at } = this;
    let end = line.indexOf(' ', at);
    if (end < 0) end = line.length;
    this.at = end;
    return line.slice(at, end);
  }

  /** Moves behind spaces. */
  skipSpaces(): void {
    const { line } = this;
    let at = this.at;
    while (line.charCodeAt(at) === 32) at++;
    this.at = at;
  }
}
