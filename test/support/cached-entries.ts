/** Context and PASID entries of the untimed oracle: the one in memory, and those that may still be cached. */
import type { Memo } from './cached-memo.ts';
import type { ShadowTable } from './shadow-table.ts';

/** What software wrote into a context or PASID entry; a new object with every write. */
export interface OracleEntry {
  readonly kind: 'second' | 'first' | 'nested' | 'pass';
  readonly domainId: number;
  readonly table?: ShadowTable;
  /** Second stage of a nested entry. */
  readonly host?: ShadowTable;
}

/** An entry that was read. */
export interface EntryMemo extends Memo {
  readonly entry: OracleEntry;
  /** Time of the last read that may have put it into a cache. */
  readAt: number;
}

/** A list of a map, made when it is asked for. */
export function listOf<K>(map: Map<K, EntryMemo[]>, key: K): EntryMemo[] {
  let list = map.get(key);
  if (list === undefined) {
    list = [];
    map.set(key, list);
  }
  return list;
}

/** The entry in memory and those that may be cached; `keep` remembers that it was used. */
export function candidates(
  current: OracleEntry | undefined,
  memos: EntryMemo[],
  now: number,
): { readonly memo: EntryMemo | undefined; readonly keep: () => void }[] {
  const found: { memo: EntryMemo | undefined; keep: () => void }[] = [];
  let known: EntryMemo | undefined;
  for (const memo of memos) {
    if (memo.entry === current) known = memo;
    else found.push({ memo, keep: () => {} });
  }
  if (current === undefined) {
    found.push({ memo: undefined, keep: () => {} });
    return found;
  }
  const memo: EntryMemo = known ?? { entry: current, readAt: now, gone: false };
  const keep = (): void => {
    memo.readAt = now;
    if (known === undefined) {
      known = memo;
      memos.push(memo);
    }
  };
  found.push({ memo, keep });
  return found;
}
