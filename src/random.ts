/**
 * Seeded pseudo-random numbers: xoshiro128** 1.1 (Blackman, Vigna: "Scrambled linear pseudorandom number generators",
 * ACM TOMS 47, 2021), state filled by splitmix32 from a 32-bit seed. Integer arithmetic only, the same sequence on
 * every machine. A generator is always passed in; there is no global one.
 */
import { assert } from './assert.ts';

/** A stream of pseudo-random numbers. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `seed` is taken modulo 2^32. */
  constructor(seed: number) {
    let state = seed >>> 0;
    const splitmix = (): number => {
      // splitmix32: the finalizer of MurmurHash3 over a Weyl sequence of step 2^32 / golden ratio.
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return (z ^ (z >>> 16)) >>> 0;
    };
    this.#a = splitmix();
    this.#b = splitmix();
    this.#c = splitmix();
    this.#d = splitmix();
  }

  /** Uniform integer 0 .. 2^32 - 1. @hot */
  u32(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** Uniform integer 0 .. `bound` - 1, 1 <= bound <= 2^53; 53 bits of which are scaled, so the bias is below 2^-21. @hot */
  below(bound: number): number {
    return Math.floor(this.unit() * bound);
  }

  /** Uniform double in [0, 1) with 53 random bits. @hot */
  unit(): number {
    return ((this.u32() >>> 5) * 67108864 + (this.u32() >>> 6)) / 9007199254740992;
  }

  /** True with probability `probability`. */
  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  /** A generator of its own for part `index` of the work: parts do not disturb each other's numbers. */
  fork(index: number): Random {
    assert(Number.isInteger(index) && index >= 0, `not an index: ${index}`);
    return new Random((this.u32() ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0);
  }
}
