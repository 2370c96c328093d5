/** What a unit answers a request: outcome, and the page or the fault. Written word by word so that nothing is boxed. */
import { type Iotlb, VALUE_PFN_HIGH, VALUE_SIZE_SHIFT } from './iotlb.ts';
import type { Walker } from './walker.ts';

/** Indices of a result: the reads of the walk, the size of the page and its frame (page number words). */
export const Result = { outcome: 0, fault: 1, reads: 2, pageShift: 3, pfnLow: 4, pfnHigh: 5 } as const;
/** Words of a result. */
export const RESULT_WORDS = 6;

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const SIZE_SHIFT = VALUE_SIZE_SHIFT;
const PFN_HIGH = VALUE_PFN_HIGH;

/** Answers page `low` with an IOTLB entry. @hot */
export function answerEntry(result: Int32Array, iotlb: Iotlb, entry: number, low: number): void {
  const { values } = iotlb.cache;
  const value1 = values[(entry << 1) + 1]!;
  answerPage(result, (value1 >>> SIZE_SHIFT) & 3, values[entry << 1]!, value1 & PFN_HIGH, low);
}

/** Answers page `low` with the leaf that the walker found. @hot */
export function answerLeaf(result: Int32Array, walker: Walker, low: number): void {
  const { size, leafLow, leafHigh } = walker;
  const frameLow = ((leafHigh << 20) | (leafLow >>> 12)) & ~((1 << (9 * size)) - 1);
  answerPage(result, size, frameLow, (leafHigh >>> 12) & PFN_HIGH, low);
}

function answerPage(result: Int32Array, size: number, frameLow: number, frameHigh: number, low: number): void {
  result[Result.pageShift] = 12 + 9 * size;
  result[Result.pfnLow] = frameLow | (low & ((1 << (9 * size)) - 1));
  result[Result.pfnHigh] = frameHigh;
}
