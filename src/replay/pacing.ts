/**
 * Pacing: the earliest time a row may have by itself (ARCHITECTURE.md "Time and order"). Everything else that delays a
 * row (its dependency, its place in its device's or CPU's order, window and link) is the same in every mode.
 */
import { assert } from '../assert.ts';
import { ConfigError } from '../input-error.ts';
import { NEVER, TICKS_PER_NS } from '../units.ts';
import type { Pacing } from './protocol.ts';

/** How recorded nanoseconds become ticks of one replay. */
export class PacingClock {
  /** [ps] Tick of the bundle's origin: when the modelled machine had booted. */
  readonly originTick: number;
  /** [ps] per recorded nanosecond; 0 when rows have no time of their own. */
  readonly ticksPerNs: number;

  constructor(pacing: Pacing, originTick: number) {
    this.originTick = originTick;
    this.ticksPerNs =
      pacing.mode === 'closed' ? 0 : pacing.mode === 'scale' ? TICKS_PER_NS * pacing.factor : TICKS_PER_NS;
  }

  /** [ps] Earliest tick of a row recorded at `timeNs`. @hot */
  tickOf(timeNs: number): number {
    return this.originTick + Math.round(timeNs * this.ticksPerNs);
  }

  /** True when a recorded time fits model time (2^53 ps, 2.5 hours). */
  reaches(timeNs: number): boolean {
    return this.tickOf(timeNs) < NEVER;
  }
}

/** `recorded`, `closed` or `scale=N`: the form in which users give it. */
export function formatPacing(pacing: Pacing): string {
  if (pacing.mode !== 'scale') return pacing.mode;
  assert(pacing.factor > 0, `not a time scale: ${pacing.factor}`);
  return `scale=${pacing.factor}`;
}

/** Reads what {@link formatPacing} writes; throws {@link ConfigError} with `source` on anything else. */
export function parsePacingText(text: string, source: string): Pacing {
  if (text === 'recorded' || text === 'closed') return { mode: text };
  const factor = /^scale=(\d+(?:\.\d+)?)$/.exec(text);
  if (factor !== null && Number(factor[1]) > 0) return { mode: 'scale', factor: Number(factor[1]) };
  throw new ConfigError({ source, reason: `'${text}' is none of recorded, closed, scale=N (N > 0)` });
}
