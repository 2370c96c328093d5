/**
 * What it means to move an assumed number of a profile: to values that are as legal, on the side where the machine is
 * slower and on the side where it is faster. Times and overheads move by {@link ASSUMPTION_FACTOR}; sizes likewise, to
 * whole numbers; what has no scale (a policy, a switch, the ways of a set) moves to its neighbour, alone only.
 */
import type { SourcedNumber } from '../protocol.ts';

/** Times are doubled and halved: the spread of what is published of neighbouring generations, and easy to say. */
export const ASSUMPTION_FACTOR = 2;

/** Sides on which a number is moved. */
export const SIDES = ['slow', 'fast'] as const;

/** A name in {@link SIDES}. */
export type Side = (typeof SIDES)[number];

/** Where a number goes, as texts that an override takes; null = nowhere on that side. */
export interface Moves {
  readonly slow: string | null;
  readonly fast: string | null;
  /** It has a scale: moved by a factor, and part of moving everything together. */
  readonly scaled: boolean;
}

/** Most ways of a set that silicon is known to have; the nearest geometry to full associativity. */
const MOST_WAYS = 16;
const NEWEST_PCIE_GENERATION = 6;

/** Numbers of which more is faster. */
const CAPACITIES: readonly string[] = ['entries', 'walkers', 'lanes', 'maxPayloadBytes', 'maxReadRequestBytes'];
const isCapacity = (key: string): boolean => CAPACITIES.includes(key) || key.endsWith('Window');
/** Numbers of which more is slower. */
const isCost = (path: string, key: string): boolean =>
  path.startsWith('costsNs.') || key.endsWith('Ns') || key === 'dllpBytes' || key.endsWith('HeaderBytes');

/**
 * Moves of one number, or why there are none. `entries`: of the same cache, for its ways.
 */
export function movesOf({ path, value }: SourcedNumber, entries: number | undefined): Moves | string {
  const key = path.slice(path.lastIndexOf('.') + 1);
  if (key === 'ways' && typeof value === 'number') return waysMoves(value, entries ?? 0);
  if (key === 'pcieGeneration' && typeof value === 'number') {
    const to = (generation: number, legal: boolean): string | null => (legal ? String(generation) : null);
    return { slow: to(value - 1, value > 1), fast: to(value + 1, value < NEWEST_PCIE_GENERATION), scaled: true };
  }
  const kind = isCost(path, key) ? 'cost' : isCapacity(key) ? 'capacity' : 'other';
  if (kind === 'other') return neighbourOf(key, value);
  const numbers = String(value).split('/').map(Number);
  if (numbers.every((number) => number === 0)) return 'is zero, which no factor moves';
  const list = String(value).includes('/');
  const moved = (factor: number): string | null => {
    const scaled = numbers.map((number) =>
      kind === 'cost' ? scaleCost(key, number, factor) : scaleSize(number, factor),
    );
    if (scaled.every((number, at) => number === numbers[at])) return null;
    return list ? `[${scaled.join(',')}]` : String(scaled[0]);
  };
  const more = moved(ASSUMPTION_FACTOR);
  const less = moved(1 / ASSUMPTION_FACTOR);
  return kind === 'cost' ? { slow: more, fast: less, scaled: true } : { slow: less, fast: more, scaled: true };
}

/** A negative time is a gain: the slow side makes it smaller. */
function scaleCost(key: string, number: number, factor: number): number {
  const scaled = number * (number < 0 ? 1 / factor : factor);
  return key.endsWith('Bytes') ? Math.round(scaled) : scaled;
}

function scaleSize(number: number, factor: number): number {
  return number === 0 ? 0 : Math.max(1, Math.round(number * factor));
}

/** Fully associative (0) has a slower neighbour only: as many ways as sets can be cut into. */
function waysMoves(ways: number, entries: number): Moves | string {
  const divides = (count: number): boolean => count >= 1 && count < entries && entries % count === 0;
  if (ways === 0) {
    for (let count = MOST_WAYS; count > 1; count--)
      if (divides(count)) return { slow: String(count), fast: null, scaled: false };
    return 'has no neighbouring value';
  }
  return {
    slow: divides(ways / 2) && Number.isInteger(ways / 2) ? String(ways / 2) : null,
    fast: divides(ways * 2) ? String(ways * 2) : '0',
    scaled: false,
  };
}

/** Booleans that say by which rules the machine works. */
const RULES: ReadonlySet<string> = new Set(['hitChecksPermission', 'cachesNotPresent']);

function neighbourOf(key: string, value: SourcedNumber['value']): Moves | string {
  if (typeof value === 'boolean' && !RULES.has(key)) return { slow: String(!value), fast: null, scaled: false };
  if (key === 'policy') return { slow: value === 'lru' ? 'fifo' : 'lru', fast: null, scaled: false };
  if (key === 'indexing') return { slow: value === 'hash' ? 'low-bits' : 'hash', fast: null, scaled: false };
  return 'says what the machine is, not how large or fast';
}
