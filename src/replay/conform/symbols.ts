/**
 * Values of a step's arguments: numbers, flag names and symbols that earlier steps defined, joined by `|` and `+`. A
 * symbol that no step has defined counts as 0, as in the recorded test program.
 */
import { InputError } from '../../input-error.ts';
import { TRANSCRIPT_CONSTANTS } from './constants.ts';

/** Symbols of one sequence. They keep their number after what they name is gone. */
export class Symbols {
  readonly #file: string;
  readonly #values = new Map<string, bigint>();

  /** `file` is named in errors. */
  constructor(file: string) {
    this.#file = file;
  }

  /** Binds a name; -1 and other negative numbers are kept modulo 2^64. */
  set(name: string, value: number | bigint): void {
    this.#values.set(name, BigInt.asUintN(64, BigInt(value)));
  }

  /** Value of an expression modulo 2^64. */
  evaluate(expression: string): bigint {
    let value = 0n;
    for (const alternative of expression.split('|')) {
      let sum = 0n;
      for (const term of alternative.split('+')) sum += this.#term(term.trim(), expression);
      value |= BigInt.asUintN(64, sum);
    }
    return value;
  }

  #term(term: string, expression: string): bigint {
    const known = this.#values.get(term) ?? TRANSCRIPT_CONSTANTS.get(term);
    if (known !== undefined) return known;
    if (/^-?(0[xX][0-9a-fA-F]+|\d+)$/.test(term)) {
      const magnitude = BigInt(term.startsWith('-') ? term.slice(1) : term);
      return BigInt.asUintN(64, term.startsWith('-') ? -magnitude : magnitude);
    }
    if (/^[A-Za-z_]\w*$/.test(term)) return 0n;
    throw new InputError({ file: this.#file, reason: `cannot evaluate '${term}' in '${expression}'` });
  }
}
