/**
 * The k largest of many values, in a total order: larger value first, then smaller id. Each id is offered once, so the
 * top k of a union is the top k of the parts' top k, and merging is exact in any order.
 */
import { assert } from '../assert.ts';

/** One of the largest. */
export interface TopItem {
  readonly value: number;
  /** Identifies the record (a row number): unique over everything merged. */
  readonly id: number;
}

/** Plain data of a {@link TopK}: largest first. */
export interface TopState {
  readonly k: number;
  readonly items: readonly TopItem[];
}

/** Keeps the k largest of the values offered. */
export class TopK {
  readonly #k: number;
  /** Kept items, largest first. */
  readonly #items: TopItem[] = [];
  /** The smallest value kept once k are kept; anything smaller is turned away by one comparison. */
  #floor = Number.NEGATIVE_INFINITY;

  constructor(k: number) {
    assert(Number.isInteger(k) && k > 0, `k is a positive integer: ${k}`);
    this.#k = k;
  }

  /** Offers a value. @hot */
  offer(value: number, id: number): void {
    if (value < this.#floor) return;
    this.#insert({ value, id });
  }

  toState(): TopState {
    return { k: this.#k, items: [...this.#items] };
  }

  #insert(item: TopItem): void {
    const items = this.#items;
    let place = items.length;
    while (place > 0 && precedes(item, items[place - 1]!)) place--;
    if (place === this.#k) return;
    items.splice(place, 0, item);
    if (items.length > this.#k) items.pop();
    if (items.length === this.#k) this.#floor = items[this.#k - 1]!.value;
  }
}

/** The k largest of all states, k being the smallest among them. */
export function mergeTop(states: readonly [TopState, ...TopState[]]): TopState {
  const merged = new TopK(Math.min(...states.map(({ k }) => k)));
  for (const { items } of states) for (const { value, id } of items) merged.offer(value, id);
  return merged.toState();
}

function precedes(a: TopItem, b: TopItem): boolean {
  return a.value > b.value || (a.value === b.value && a.id < b.id);
}
