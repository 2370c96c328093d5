/**
 * Exact sum of integers beyond 2^53 in two doubles, so that a sum does not depend on the order of its terms and no
 * BigInt is made per record.
 */
import { assert } from '../assert.ts';

/** Weight of {@link ExactSum.high}: 2^53. */
export const SUM_BASE = 9007199254740992;

/** Running sum `high * 2^53 + low` of integers 0 .. 2^53 - 1. */
export class ExactSum {
  /** Low part, 0 .. 2^53 - 1. */
  low = 0;
  /** Multiples of 2^53. */
  high = 0;

  /** Adds an integer 0 .. 2^53 - 1. @hot */
  add(value: number): void {
    // SUM_BASE - value and its difference with low are exact; low + value might not be.
    const room = SUM_BASE - value;
    if (this.low >= room) {
      this.low -= room;
      this.high++;
    } else {
      this.low += value;
    }
  }

  /** Adds another sum. */
  merge(other: ExactSum): void {
    this.high += other.high;
    this.add(other.low);
  }

  /** Exact value. */
  toBigInt(): bigint {
    return BigInt(this.high) * BigInt(SUM_BASE) + BigInt(this.low);
  }

  /** Decimal digits, the form in which a sum crosses JSON. */
  toString(): string {
    return this.toBigInt().toString();
  }

  /** Nearest double: presentation only. */
  toNumber(): number {
    return this.high * SUM_BASE + this.low;
  }

  /** Reads {@link toString} back. */
  static parse(decimal: string): ExactSum {
    const value = BigInt(decimal);
    assert(value >= 0n, `not a sum: ${decimal}`);
    const sum = new ExactSum();
    sum.high = Number(value / BigInt(SUM_BASE));
    sum.low = Number(value % BigInt(SUM_BASE));
    return sum;
  }
}
