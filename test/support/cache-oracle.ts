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
import { indexOf, type ShadowLeaf, type ShadowNode, type ShadowTable } from './shadow-table.ts';

/** What software wrote into a context or PASID entry; a new object with every write. */
export interface OracleEntry {
  readonly kind: 'second' | 'first' | 'nested' | 'pass';
  readonly domainId: number;
  readonly table?: ShadowTable;
  /** Second stage of a nested entry. */
  readonly host?: ShadowTable;
}

/** One invalidation, decoded. `pages` counts from `page` on and is aligned. */
export type OracleInvalidation =
  | { readonly kind: 'context'; readonly device?: number; readonly domainId?: number }
  | { readonly kind: 'pasid'; readonly domainId?: number; readonly pasid?: number }
  | { readonly kind: 'global' }
  | { readonly kind: 'domain'; readonly domainId: number }
  | {
      readonly kind: 'pages';
      readonly domainId: number;
      readonly page: number;
      readonly pages: number;
      readonly hint: boolean;
    }
  | { readonly kind: 'pasidAll'; readonly domainId: number; readonly pasid: number }
  | {
      readonly kind: 'pasidPages';
      readonly domainId: number;
      readonly pasid: number;
      readonly page: number;
      readonly pages: number;
      readonly hint: boolean;
    };

/** What became of a DMA; `pfn` -1 = fault. */
export interface OracleSight {
  readonly how: 'hit' | 'walk' | 'fault' | 'pass';
  readonly pfn: number;
}

interface Memo {
  gone: boolean;
}

interface EntryMemo extends Memo {
  readonly entry: OracleEntry;
  /** Time of the last read that may have put it into a cache. */
  readAt: number;
}

/** What is read by way of other things: how reads may have come to it, and when the last of each kind did. */
interface Derived extends Memo {
  readonly ways: { readonly via: readonly Memo[]; readAt: number }[];
}

interface PointerMemo extends Derived {
  readonly node: ShadowNode;
  /** Pages below the table: `512^level`, from `page` on. */
  readonly page: number;
}

interface LeafMemo extends Derived {
  readonly page: number;
  readonly pages: number;
  readonly pfn: number;
  readonly prot: number;
  /** Second-stage pages that a nested leaf goes through. */
  readonly guestPage: number | undefined;
}

/** A tag: domain id and PASID, or the domain id alone. */
class Tag {
  readonly domainId: number;
  readonly pasid: number | undefined;
  readonly nested: boolean;
  leaves: LeafMemo[] = [];
  pointers: PointerMemo[] = [];

  constructor(domainId: number, pasid: number | undefined, nested: boolean) {
    this.domainId = domainId;
    this.pasid = pasid;
    this.nested = nested;
  }
}

/** One way to come to an answer, and what remembering it takes. */
interface Explanation extends OracleSight {
  readonly note: () => void;
}

/** One end of walking one stage. */
interface Walked {
  readonly leaf: ShadowLeaf | undefined;
  readonly pointers: readonly { readonly node: ShadowNode; readonly page: number }[];
  readonly via: readonly Memo[];
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
  readonly #tags = new Map<string, Tag>();

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
        for (const tag of this.#tags.values()) dropTag(tag, submitted, 0, Number.POSITIVE_INFINITY, false);
        return;
      case 'domain':
        for (const tag of this.#ofDomain(invalidation.domainId)) {
          dropTag(tag, submitted, 0, Number.POSITIVE_INFINITY, false);
        }
        return;
      case 'pages':
        for (const tag of this.#ofDomain(invalidation.domainId)) {
          if (tag.pasid === undefined)
            dropTag(tag, submitted, invalidation.page, invalidation.pages, invalidation.hint);
          else if (tag.nested) dropThrough(tag, submitted, invalidation.page, invalidation.pages);
        }
        return;
      case 'pasidAll':
      case 'pasidPages':
        for (const tag of this.#ofDomain(invalidation.domainId)) {
          if (tag.pasid !== invalidation.pasid) continue;
          if (invalidation.kind === 'pasidAll') dropTag(tag, submitted, 0, Number.POSITIVE_INFINITY, false);
          else dropTag(tag, submitted, invalidation.page, invalidation.pages, invalidation.hint);
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

  *#ofDomain(domainId: number): Generator<Tag> {
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
        notePointers(tag, walk, now);
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
            noteLeaf(tag, page, leaf.size, leaf.pfn, leaf.prot, undefined, walk.via, now);
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
    tag: Tag,
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
        notePointers(hostTag, second, now);
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
          noteLeaf(tag, page, size, pfn - inside, leaf.prot & guest.prot, guestPage - inside, via, now);
        },
      });
    }
  }

  #tag(domainId: number, pasid: number | undefined, nested: boolean): Tag {
    const key = `${domainId}:${pasid}:${nested}`;
    let tag = this.#tags.get(key);
    if (tag === undefined) {
      tag = new Tag(domainId, pasid, nested);
      this.#tags.set(key, tag);
    }
    return tag;
  }
}

function listOf<K>(map: Map<K, EntryMemo[]>, key: K): EntryMemo[] {
  let list = map.get(key);
  if (list === undefined) {
    list = [];
    map.set(key, list);
  }
  return list;
}

/** The entry in memory and those that may be cached; `keep` remembers that it was used. */
function candidates(
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

/** All ways to walk one stage: from the root, and from every table pointer that may be cached. */
function walks(tag: Tag, table: ShadowTable, page: number, entry: Memo): Walked[] {
  const found = [descend(table.root, page, [entry])];
  for (const pointer of tag.pointers) {
    const { node } = pointer;
    if (node.level >= table.levels) continue;
    if (page >= pointer.page && page < pointer.page + 512 ** node.level) {
      found.push(descend(node, page, [entry, pointer]));
    }
  }
  return found;
}

function descend(from: ShadowNode, page: number, via: readonly Memo[]): Walked {
  const pointers: { node: ShadowNode; page: number }[] = [];
  let node = from;
  for (;;) {
    const next = node.entries.get(indexOf(page, node.level));
    if (next === undefined || !('entries' in next)) return { leaf: next, pointers, via };
    node = next;
    pointers.push({ node, page: page - (page % 512 ** node.level) });
  }
}

function notePointers(tag: Tag, { pointers, via }: Walked, now: number): void {
  for (const { node, page } of pointers) {
    let memo = tag.pointers.find((known) => known.node === node && known.page === page);
    if (memo === undefined) {
      memo = { node, page, ways: [], gone: false };
      tag.pointers.push(memo);
    }
    noteWay(memo, via, now);
  }
}

function noteLeaf(
  tag: Tag,
  page: number,
  size: number,
  pfn: number,
  prot: number,
  guestPage: number | undefined,
  via: readonly Memo[],
  now: number,
): void {
  const pages = 512 ** size;
  const first = page - (page % pages);
  let memo = tag.leaves.find(
    (leaf) =>
      leaf.page === first &&
      leaf.pages === pages &&
      leaf.pfn === pfn &&
      leaf.prot === prot &&
      leaf.guestPage === guestPage,
  );
  if (memo === undefined) {
    memo = { page: first, pages, pfn, prot, guestPage, ways: [], gone: false };
    tag.leaves.push(memo);
  }
  noteWay(memo, via, now);
}

function noteWay(memo: Derived, via: readonly Memo[], now: number): void {
  const known = memo.ways.find((way) => way.via.length === via.length && way.via.every((one, at) => one === via[at]));
  if (known !== undefined) known.readAt = now;
  else memo.ways.push({ via, readAt: now });
}

function drop<T extends Memo>(memos: readonly T[], leaves: (memo: T) => boolean): T[] {
  const kept: T[] = [];
  for (const memo of memos) {
    if (leaves(memo)) memo.gone = true;
    else kept.push(memo);
  }
  return kept;
}

/** Pointers covering the range first (unless leaves only), then leaves overlapping it. */
function dropTag(tag: Tag, submitted: number, page: number, pages: number, leavesOnly: boolean): void {
  const covers = (first: number, count: number): boolean => first < page + pages && first + count > page;
  if (!leavesOnly) {
    tag.pointers = drop(tag.pointers, (memo) => covers(memo.page, 512 ** memo.node.level) && isStale(memo, submitted));
  }
  tag.leaves = drop(tag.leaves, (memo) => covers(memo.page, memo.pages) && isStale(memo, submitted));
}

/** Nested leaves that went through second-stage pages of the range. */
function dropThrough(tag: Tag, submitted: number, page: number, pages: number): void {
  tag.leaves = drop(tag.leaves, (memo) => {
    const first = memo.guestPage as number;
    return first < page + pages && first + memo.pages > page && isStale(memo, submitted);
  });
}

/** Whether every read that led to it came before, or by way of something that is gone itself. */
function isStale({ ways }: Derived, submitted: number): boolean {
  return ways.every(({ via, readAt }) => readAt < submitted || via.some(({ gone }) => gone));
}
