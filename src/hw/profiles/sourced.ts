/** Shorthand for writing profiles: one function per basis. */
import type { HardwareProfileSource, Sourced } from '../profile.ts';

/** Measured by others, raw data read. */
export const measured = <T>(value: T, source: string): Sourced<T> => ({ value, basis: 'M', source });
/** Stated in a publication. */
export const published = <T>(value: T, source: string): Sourced<T> => ({ value, basis: 'P', source });
/** Documented by source code, commit message or data sheet. */
export const documented = <T>(value: T, source: string): Sourced<T> => ({ value, basis: 'D', source });
/** Content of a specification. */
export const specified = <T>(value: T, source: string): Sourced<T> => ({ value, basis: 'S', source });
/** Derived from measured or published data. */
export const derived = <T>(value: T, source: string): Sourced<T> => ({ value, basis: 'X', source });
/** ASSUMPTION: no source. */
export const assumed = <T>(value: T, why: string): Sourced<T> => ({ value, basis: 'A', source: `ASSUMPTION: ${why}` });

type CacheSource = HardwareProfileSource['contextCache'];

/** A fully associative LRU cache. */
export function fullyAssociative(entries: Sourced<number>): CacheSource {
  const why = 'organisation is not public; fully associative LRU unless data say otherwise';
  return {
    entries,
    ways: assumed(0, why),
    policy: assumed('lru' as const, why),
    indexing: assumed('hash' as const, why),
  };
}

/** No cache of this kind. */
export function absent(source: string): CacheSource {
  return fullyAssociative(documented(0, source));
}
