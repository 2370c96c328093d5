/** What translates the requests of a lane, as the driver has it, and what hardware needs to see one give way to another. */

/** Domain id and table in one number. Two that are equal are the same. */
export type TranslationKey = number;

const DOMAIN_SHIFT = 2 ** 32;

/** `table`: slot of the top table; of a nested one the page number of the first stage's top table. */
export function translationKey(domainId: number, table: number): TranslationKey {
  return domainId * DOMAIN_SHIFT + table;
}

/** A translation. */
export interface LaneTranslation {
  readonly key: TranslationKey;
  readonly domainId: number;
  /** Holder of the domain id: tables that share it keep the id in a switch. An id that was given back and taken anew is another. */
  readonly idHolder: object | undefined;
  /** First, second, both; pass-through; accessed by software; blocked. */
  readonly stage: 'FS' | 'SS' | 'nested' | 'PT' | 'SW' | 'none';
  /** Slot of the second stage's top table; -1 without one. */
  readonly secondRoot: number;
  /** [4 KiB pages] Frame behind an IOVA page, -1 = not mapped; undefined when nothing can be asked. */
  readonly frameOf: ((iovaPfn: number) => number) | undefined;
}

/** A blocked lane. */
export const NO_TRANSLATION: LaneTranslation = {
  key: -1,
  domainId: -1,
  idHolder: undefined,
  stage: 'none',
  secondRoot: -1,
  frameOf: undefined,
};

/**
 * Whether one 128-bit store turns the PASID entry of `old` into that of `next`; the rest is ignored by one of the two and
 * can be written before or after. The first piece holds type, second-stage pointer and domain id, the second piece the
 * first-stage pointer. undefined where there is no such entry.
 */
export function oneStoreSuffices(old: LaneTranslation, next: LaneTranslation): boolean | undefined {
  if (!hasEntry(old) || !hasEntry(next)) return undefined;
  if (!usesSecondPiece(old) || !usesSecondPiece(next)) return true;
  return old.stage === next.stage && old.idHolder === next.idHolder && old.secondRoot === next.secondRoot;
}

function hasEntry({ stage }: LaneTranslation): boolean {
  return stage !== 'none' && stage !== 'SW';
}

function usesSecondPiece({ stage }: LaneTranslation): boolean {
  return stage === 'FS' || stage === 'nested';
}
