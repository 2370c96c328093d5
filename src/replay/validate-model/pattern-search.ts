/**
 * A deterministic pattern search: one number after the other, a step up or down, halving steps. What it finds is where no
 * step of any single number is better any more.
 */

/** A number that can be moved. */
export interface Movable {
  readonly start: number;
  /** The value a step of `share` away from `from`, up or down; `from` where there is none. */
  stepped(from: number, share: number): number;
}

/** What was found. */
export interface SearchResult {
  readonly values: readonly number[];
  /** By number. `flat`: no value that was tried made a difference; `refused`: none could be tried. */
  readonly states: readonly ('moved' | 'kept' | 'flat' | 'refused')[];
}

/** What counts as better, in shares of the cost. */
export interface Gains {
  /** A step lowers the cost by this at least; what changes it by no more is the noise of what is measured. */
  readonly step: number;
  /** Each number that moves does; else it stays where it was. */
  readonly value: number;
}

const FIRST_STEP = 0.25;
const SMALLEST_STEP = 0.005;
const MAX_ROUNDS = 40;
/** Where first steps change nothing they become longer, up to this: what is flat nearby may not be so beyond. */
const FARTHEST = 4;

/** Searches from the start values; `costOf` is infinite for values that cannot be. */
export function patternSearch(
  numbers: readonly Movable[],
  costOf: (values: readonly number[]) => number,
  gains: Gains,
): SearchResult {
  const known = new Map<string, number>();
  const costAt = (values: readonly number[]): number => {
    const key = values.join(' ');
    const cost = known.get(key) ?? costOf(values);
    known.set(key, cost);
    return cost;
  };
  const isFlat = (cost: number, lowest: number): boolean => Math.abs(cost - lowest) <= gains.step * lowest;
  let best: readonly number[] = numbers.map(({ start }) => start);
  let lowest = costAt(best);
  const tried = numbers.map(() => ({ any: false, difference: false }));
  let step = FIRST_STEP;
  for (let round = 0; round < MAX_ROUNDS && step >= SMALLEST_STEP; round++) {
    let moved = false;
    for (const [at, one] of numbers.entries()) {
      for (const share of [step, -step]) {
        let reach = share;
        let values = best.with(at, one.stepped(best[at]!, reach));
        let cost = costAt(values);
        while (isFlat(cost, lowest) && step === FIRST_STEP && Math.abs(reach) < FARTHEST) {
          reach *= 2;
          values = best.with(at, one.stepped(best[at]!, reach));
          cost = costAt(values);
        }
        if (!Number.isFinite(cost)) continue;
        if (values[at] !== best[at]) tried[at]!.any = true;
        if (!isFlat(cost, lowest)) tried[at]!.difference = true;
        if (cost >= lowest * (1 - gains.step)) continue;
        best = values;
        lowest = cost;
        moved = true;
        break;
      }
    }
    if (!moved) step /= 2;
  }
  for (const [at, { start }] of numbers.entries()) {
    const back = best.with(at, start);
    const cost = costAt(back);
    if (cost * (1 - gains.value) > lowest) continue;
    best = back;
    lowest = cost;
  }
  return { values: best, states: numbers.map(({ start }, at) => stateOf(best[at] !== start, tried[at]!)) };
}

function stateOf(moved: boolean, { any, difference }: { readonly any: boolean; readonly difference: boolean }) {
  if (moved) return 'moved';
  if (!any) return 'refused';
  return difference ? 'kept' : 'flat';
}
