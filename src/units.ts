/**
 * Units of time. A trace counts integer nanoseconds from the bundle's origin; the model counts integer picoseconds
 * (`Tick`), exact in a double up to 2^53 ps (2.5 hours). Every conversion between the two goes through this file.
 */
import { assert } from './assert.ts';

declare const unit: unique symbol;

/** [ps] Absolute model time, or a model duration where the name says `deltaTicks`. Integer, 0 .. 2^53 - 1. */
export type Tick = number & { readonly [unit]?: 'tick' };

/** [ns] Trace time since the bundle's origin. Integer, 0 .. 2^53 - 1. */
export type Ns = number & { readonly [unit]?: 'ns' };

/** [ps] per nanosecond. */
export const TICKS_PER_NS = 1000;

/** A tick later than every tick a replay can reach: "never". */
export const NEVER: Tick = Number.MAX_SAFE_INTEGER as Tick;

/** Makes a {@link Tick}; throws unless `picoseconds` is an integer in range. */
export function tick(picoseconds: number): Tick {
  assert(Number.isSafeInteger(picoseconds) && picoseconds >= 0, `not a tick: ${picoseconds}`);
  return picoseconds as Tick;
}

/** Makes an {@link Ns}; throws unless `nanoseconds` is an integer in range. */
export function ns(nanoseconds: number): Ns {
  assert(Number.isSafeInteger(nanoseconds) && nanoseconds >= 0, `not a nanosecond count: ${nanoseconds}`);
  return nanoseconds as Ns;
}

/** [ns] to [ps]; fractions of a picosecond are rounded to nearest. */
export function ticksFromNs(nanoseconds: number): Tick {
  return Math.round(nanoseconds * TICKS_PER_NS) as Tick;
}

/** [ps] to [ns], with the fraction kept: presentation only. */
export function nsFromTicks(ticks: number): number {
  return ticks / TICKS_PER_NS;
}

/** [ns] of a u64 column's row: `lo` and `hi` are its two u32 words. Exact up to 2^53. */
export function nsFromWords(lo: number, hi: number): Ns {
  return (hi * 4294967296 + (lo >>> 0)) as Ns;
}
