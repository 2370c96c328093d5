/**
 * The slow, untimed truth about a unit with caches: everything that a completed invalidation has not covered may still be
 * cached, nothing else may. It keeps what walks have read (entries, table pointers, leaves) as plain lists without
 * capacity, age or clock, and explains an answer by naming what it could have come from:
 *
 * - a hit needs a leaf that an earlier walk read under the same tag and no completed invalidation has covered since;
 * - a walk starts at the root of the entry in memory, or of one still cached, or at any table pointer still cached, and
 *   from there on reads the tables as they are;
 * - a fault is the answer of such a walk, or of the entry.
 *
 * An invalidation drops at its completion all that was read before it was submitted, and what was made from something
 * that is gone itself. What was read between submission and completion may or may not have survived.
 */
import { candidates, type EntryMemo, listOf, type OracleEntry } from './cached-entries.ts';
import { drop } from './cached-memo.ts';
import { CachedTag } from './cached-tag.ts';
import { type Walked, walks } from './cached-walks.ts';
import type { OracleInvalidation } from './oracle-invalidation.ts';
import type { ShadowLeaf, ShadowTable } from './shadow-table.ts';

/** What became of a DMA; `pfn` -1 = fault. */
export interface OracleSight {
  readonly how: 'hit' | 'walk' | 'fault' | 'pass';
  readonly pfn: number;
}

/** One way to come to an answer, and what remembering it takes. */
interface Explanation extends OracleSight {
  readonly note: () => void;
}

/** Entries, tables and what may be cached of them. */
export class CacheOracle {
  readonly #scalable: boolean;
  /** By device: the entry's presence in scalable mode, the entry itself in legacy mode. */
  readonly #contexts = new Map<number, OracleEntry | undefined>();
  readonly #contextMemos = new Map<number, EntryMemo[]>();
  /** By `device:pasid`. */
  readonly #entries = new Map<string, OracleEntry | undefined>();
  readonly #entryMemos = new Map<string, EntryMemo[]>();
  readonly #tags = new Map<string, CachedTag>();

  constructor(scalable: boolean) {
    this.#scalable = scalable;
  }

  /** Software wrote (or cleared) a context entry. */
  setContext(device: number, entry: OracleEntry | undefined): void {
    this.#contexts.set(device, entry);
  }

  /** Software wrote (or cleared) a PASID entry. */
  setEntry(device: number, pasid: number, entry: OracleEntry | undefined): void {
    this.#entries.set(`${device}:${pasid}`, entry);
  }

  /** The entry in memory. */
  entry(device: number, pasid: number): OracleEntry | undefined {
    return this.#scalable ? this.#entries.get(`${device}:${pasid}`) : this.#contexts.get(device);
  }

  /**
   * A DMA was seen to end like this at `now`: is there an explanation? Remembers what caches may have learnt from it;
   * false when there is none.
   */
  sees(device: number, pasid: number, page: number, write: boolean, sight: OracleSight, now: number): boolean {
    const fitting = this.#explain(device, pasid, page, write, now).filter(
      ({ how, pfn }) => how === sight.how && pfn === sight.pfn,
    );
    for (const { note } of fitting) note();
    return fitting.length > 0;
  }

  /** Everything that could be seen, for messages. */
  allowed(device: number, pasid: number, page: number, write: boolean): string {
    const sights = this.#explain(device, pasid, page, write, 0).map(({ how, pfn }) => `${how} ${pfn}`);
    return [...new Set(sights)].join(', ');
  }

  /** An invalidation that was submitted at `submitted` has completed. */
  completed(invalidation: OracleInvalidation, submitted: number): void {
    const old = (memo: EntryMemo): boolean => memo.readAt < submitted;
    switch (invalidation.kind) {
      case 'context':
        for (const [device, memos] of this.#contextMemos) {
          if (invalidation.device !== undefined && invalidation.device !== device) continue;
          const matches = (memo: EntryMemo): boolean =>
            this.#scalable || invalidation.domainId === undefined || memo.entry.domainId === invalidation.domainId;
          this.#contextMemos.set(
            device,
            drop(memos, (memo) => old(memo) && matches(memo)),
          );
        }
        return;
      case 'pasid':
        this.#dropEntries(old, invalidation.domainId, invalidation.pasid);
        return;
      case 'global':
        this.#dropEntries(old, undefined, undefined);
        for (const tag of this.#tags.values()) tag.dropRange(submitted, 0, Number.POSITIVE_INFINITY, false);
        return;
      case 'domain':
        for (const tag of this.#ofDomain(invalidation.domainId)) {
          tag.dropRange(submitted, 0, Number.POSITIVE_INFINITY, false);
        }
        return;
      case 'pages':
        for (const tag of this.#ofDomain(invalidation.domainId)) {
          if (tag.pasid === undefined)
            tag.dropRange(submitted, invalidation.page, invalidation.pages, invalidation.hint);
          else if (tag.nested) tag.dropThrough(submitted, invalidation.page, invalidation.pages);
        }
        return;
      case 'pasidAll':
      case 'pasidPages':
        for (const tag of this.#ofDomain(invalidation.domainId)) {
          if (tag.pasid !== invalidation.pasid) continue;
          if (invalidation.kind === 'pasidAll') tag.dropRange(submitted, 0, Number.POSITIVE_INFINITY, false);
          else tag.dropRange(submitted, invalidation.page, invalidation.pages, invalidation.hint);
        }
        return;
    }
  }

  #dropEntries(old: (memo: EntryMemo) => boolean, domainId: number | undefined, pasid: number | undefined): void {
    for (const [key, memos] of this.#entryMemos) {
      if (pasid !== undefined && Number(key.split(':')[1]) !== pasid) continue;
      const matches = (memo: EntryMemo): boolean => domainId === undefined || memo.entry.domainId === domainId;
      this.#entryMemos.set(
        key,
        drop(memos, (memo) => old(memo) && matches(memo)),
      );
    }
  }

  *#ofDomain(domainId: number): Generator<CachedTag> {
    for (const tag of this.#tags.values()) if (tag.domainId === domainId) yield tag;
  }

  #explain(device: number, pasid: number, page: number, write: boolean, now: number): Explanation[] {
    const found: Explanation[] = [];
    const key = `${device}:${pasid}`;
    const contexts = candidates(this.#contexts.get(device), listOf(this.#contextMemos, device), now);
    const entries = this.#scalable ? candidates(this.#entries.get(key), listOf(this.#entryMemos, key), now) : [];
    for (const context of contexts) {
      if (context.memo === undefined || (!this.#scalable && pasid !== 0)) {
        found.push({ how: 'fault', pfn: -1, note: context.keep });
        continue;
      }
      if (!this.#scalable) {
        this.#explainEntry(context.memo, context.keep, 0, page, write, now, found);
        continue;
      }
      for (const entry of entries) {
        const keep = (): void => {
          context.keep();
          entry.keep();
        };
        if (entry.memo === undefined) found.push({ how: 'fault', pfn: -1, note: keep });
        else this.#explainEntry(entry.memo, keep, pasid, page, write, now, found);
      }
    }
    return found;
  }

  #explainEntry(
    memo: EntryMemo,
    keep: () => void,
    pasid: number,
    page: number,
    write: boolean,
    now: number,
    found: Explanation[],
  ): void {
    const { entry } = memo;
    const needed = write ? 2 : 1;
    if (entry.kind === 'pass') {
      found.push({ how: 'pass', pfn: page, note: keep });
      return;
    }
    const table = entry.table as ShadowTable;
    // Lower half only, where the first stage needs canonical addresses.
    if (page >= 512 ** table.levels / (entry.kind === 'second' ? 1 : 2)) {
      found.push({ how: 'fault', pfn: -1, note: keep });
      return;
    }
    const tag = this.#tag(entry.domainId, entry.kind === 'second' ? undefined : pasid, entry.kind === 'nested');
    for (const leaf of tag.leaves) {
      if (page < leaf.page || page >= leaf.page + leaf.pages || (leaf.prot & needed) === 0) continue;
      found.push({ how: 'hit', pfn: leaf.pfn + page - leaf.page, note: keep });
    }
    for (const walk of walks(tag, table, page, memo)) {
      const learn = (): void => {
        keep();
        tag.notePointers(walk.pointers, walk.via, now);
      };
      if (walk.leaf === undefined || (walk.leaf.prot & needed) === 0) {
        found.push({ how: 'fault', pfn: -1, note: learn });
      } else if (entry.kind !== 'nested') {
        const { leaf } = walk;
        found.push({
          how: 'walk',
          pfn: leaf.pfn + (page % 512 ** leaf.size),
          note: () => {
            learn();
            tag.noteLeaf(page, leaf.size, leaf.pfn, leaf.prot, undefined, walk.via, now);
          },
        });
      } else {
        this.#explainHost(memo, tag, walk, page, needed, learn, now, found);
      }
    }
  }

  /** The second half of a nested walk. */
  #explainHost(
    memo: EntryMemo,
    tag: CachedTag,
    walk: Walked,
    page: number,
    needed: number,
    learn: () => void,
    now: number,
    found: Explanation[],
  ): void {
    const guest = walk.leaf as ShadowLeaf;
    const guestPage = guest.pfn + (page % 512 ** guest.size);
    const hostTag = this.#tag(memo.entry.domainId, undefined, false);
    for (const second of walks(hostTag, memo.entry.host as ShadowTable, guestPage, memo)) {
      const learnBoth = (): void => {
        learn();
        hostTag.notePointers(second.pointers, second.via, now);
      };
      const { leaf } = second;
      if (leaf === undefined || (leaf.prot & needed) === 0) {
        found.push({ how: 'fault', pfn: -1, note: learnBoth });
        continue;
      }
      const size = Math.min(guest.size, leaf.size);
      const pfn = leaf.pfn + (guestPage % 512 ** leaf.size);
      found.push({
        how: 'walk',
        pfn,
        note: () => {
          learnBoth();
          const inside = page % 512 ** size;
          const via = [...walk.via, ...second.via];
          tag.noteLeaf(page, size, pfn - inside, leaf.prot & guest.prot, guestPage - inside, via, now);
        },
      });
    }
  }

  #tag(domainId: number, pasid: number | undefined, nested: boolean): CachedTag {
    const key = `${domainId}:${pasid}:${nested}`;
    let tag = this.#tags.get(key);
    if (tag === undefined) {
      tag = new CachedTag(domainId, pasid, nested);
      this.#tags.set(key, tag);
    }
    return tag;
  }
}
