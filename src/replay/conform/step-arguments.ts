/** Access to one step's arguments by name and kind. */
import type { Symbols } from './symbols.ts';

/** Arguments of one step. */
export class StepArguments {
  readonly #text: Readonly<Record<string, string>>;
  readonly #symbols: Symbols;

  constructor(text: Readonly<Record<string, string>>, symbols: Symbols) {
    this.#text = text;
    this.#symbols = symbols;
  }

  has(name: string): boolean {
    return this.#text[name] !== undefined;
  }

  /** The argument as written; undefined when absent. */
  text(name: string): string | undefined {
    return this.#text[name];
  }

  /** 64-bit value. */
  u64(name: string, absent = 0n): bigint {
    const text = this.#text[name];
    return text === undefined ? absent : this.#symbols.evaluate(text);
  }

  /** Low 32 bits, unsigned. */
  u32(name: string, absent = 0): number {
    return Number(BigInt.asUintN(32, this.u64(name, BigInt(absent))));
  }

  /** Low 32 bits, signed: descriptors. */
  i32(name: string, absent = 0): number {
    return this.u32(name, absent) | 0;
  }

  /** A comma-separated list of values. */
  list(name: string): bigint[] {
    const text = this.#text[name];
    if (text === undefined || text === '') return [];
    return text.split(',').map((part) => this.#symbols.evaluate(part));
  }
}
