/** Counters with a fixed list of names: counted by index, merged by name. */
import { assert } from '../assert.ts';

/** Plain data of a {@link CounterSet}: every name, also those at 0, in the order of the list. */
export type CounterState = Readonly<Record<string, number>>;

/** Integer counters, one a name. */
export class CounterSet<K extends string> {
  readonly names: readonly K[];
  readonly #values: Float64Array;

  constructor(names: readonly K[]) {
    assert(new Set(names).size === names.length, 'counter names repeat');
    this.names = names;
    this.#values = new Float64Array(names.length);
  }

  /** Adds to the counter at `index` of {@link names}. @hot */
  add(index: number, amount = 1): void {
    this.#values[index]! += amount;
  }

  /** Index of a name, to be looked up once. */
  index(name: K): number {
    const index = this.names.indexOf(name);
    assert(index >= 0, `no counter '${name}'`);
    return index;
  }

  toState(): Record<K, number> {
    return Object.fromEntries(this.names.map((name, index) => [name, this.#values[index]!])) as Record<K, number>;
  }
}

/** Sum by name; a name that only one of the states has is kept. Names come out in code-unit order. */
export function mergeCounters(states: readonly CounterState[]): CounterState {
  const names = [...new Set(states.flatMap((state) => Object.keys(state)))].sort();
  return Object.fromEntries(names.map((name) => [name, states.reduce((sum, state) => sum + (state[name] ?? 0), 0)]));
}
