/** Sets of 64-bit ranges with inclusive ends, as the reserved and allowed interval trees of an IOAS. */
import { U64_MAX } from '../../address.ts';

/** [bytes] Inclusive range. */
export interface Interval {
  readonly start: bigint;
  readonly last: bigint;
}

/** A range somebody keeps free; ranges of different or of the same owner may overlap and repeat. */
export interface OwnedInterval extends Interval {
  readonly owner: object;
}

/** True when an interval of the list meets [start, last]. */
export function intersects(list: readonly Interval[], start: bigint, last: bigint): boolean {
  for (const each of list) if (each.start <= last && each.last >= start) return true;
  return false;
}

/** Sorted by start and merged where they overlap or touch. */
export function union(list: readonly Interval[]): Interval[] {
  const sorted = [...list].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const merged: { start: bigint; last: bigint }[] = [];
  for (const each of sorted) {
    const previous = merged.at(-1);
    if (previous === undefined || each.start > previous.last + 1n) merged.push({ start: each.start, last: each.last });
    else if (each.last > previous.last) previous.last = each.last;
  }
  return merged;
}

/** What the intervals leave of 0 .. U64_MAX, ascending. */
export function holes(list: readonly Interval[]): Interval[] {
  const result: Interval[] = [];
  let next = 0n;
  for (const each of union(list)) {
    if (each.start > next) result.push({ start: next, last: each.start - 1n });
    next = each.last + 1n;
  }
  if (next <= U64_MAX) result.push({ start: next, last: U64_MAX });
  return result;
}
