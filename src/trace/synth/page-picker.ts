/**
 * Which page the next request touches. Only additions, multiplications, divisions and comparisons of doubles are used:
 * they are exact by IEEE 754 on every machine, which `Math.pow` is not.
 */
import { ConfigError } from '../../input-error.ts';
import type { Random } from '../../random.ts';
import type { Locality } from './recipe.ts';

/** Largest number of pages under Zipf's law: its table takes 8 bytes a page. */
const MAX_ZIPF_PAGES = 1 << 22;

/** Draws page numbers 0 .. pageCount - 1. */
export interface PagePicker {
  next(random: Random): number;
}

/** Picker of a locality over `pageCount` pages. */
export function pagePicker(locality: Locality, pageCount: number): PagePicker {
  switch (locality.kind) {
    case 'uniform':
      return { next: (random) => random.below(pageCount) };
    case 'hot': {
      const hot = Math.max(1, Math.min(pageCount, Math.round(pageCount * locality.fraction)));
      const rank = (random: Random): number =>
        hot === pageCount || random.unit() < locality.share ? random.below(hot) : hot + random.below(pageCount - hot);
      return { next: (random) => spread(rank(random), pageCount) };
    }
    case 'zipf':
      return zipfPicker(pageCount);
  }
}

/** Zipf's law with exponent 1: rank k is drawn with a probability proportional to 1 / k. */
function zipfPicker(pageCount: number): PagePicker {
  if (pageCount > MAX_ZIPF_PAGES) {
    const reason = `zipf takes at most ${MAX_ZIPF_PAGES} pages of 4 KiB, not ${pageCount}`;
    throw new ConfigError({ source: 'recipe', path: 'regionBytes', reason });
  }
  const cumulative = new Float64Array(pageCount);
  let total = 0;
  for (let rank = 0; rank < pageCount; rank++) {
    total += 1 / (rank + 1);
    cumulative[rank] = total;
  }
  return {
    next: (random) => {
      const target = random.unit() * total;
      let low = 0;
      let high = pageCount - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (cumulative[middle]! <= target) low = middle + 1;
        else high = middle;
      }
      return spread(low, pageCount);
    },
  };
}

/** Permutation of the pages, so that popular pages are not neighbours: multiplication by a unit modulo `pageCount`. */
function spread(rank: number, pageCount: number): number {
  return (rank * spreadFactor(pageCount)) % pageCount;
}

/** A prime that does not divide the number of pages; products stay below 2^53. */
function spreadFactor(pageCount: number): number {
  return pageCount % 15_485_863 === 0 ? 15_485_867 : 15_485_863;
}
