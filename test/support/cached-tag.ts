/** Table pointers and leaves of the untimed oracle that may be cached under one tag. */
import { drop, type Memo } from './cached-memo.ts';
import type { ShadowNode } from './shadow-table.ts';

/** What is read by way of other things: how reads may have come to it, and when the last of each kind did. */
interface Derived extends Memo {
  readonly ways: { readonly via: readonly Memo[]; readAt: number }[];
}

/** A table pointer that was read. */
export interface PointerMemo extends Derived {
  readonly node: ShadowNode;
  /** Pages below the table: `512^level`, from `page` on. */
  readonly page: number;
}

/** A leaf that was read. */
export interface LeafMemo extends Derived {
  readonly page: number;
  readonly pages: number;
  readonly pfn: number;
  readonly prot: number;
  /** Second-stage pages that a nested leaf goes through. */
  readonly guestPage: number | undefined;
}

/** A table, and the first of the pages that are translated through it. */
export interface TablePointer {
  readonly node: ShadowNode;
  readonly page: number;
}

/** A tag: domain id and PASID, or the domain id alone. */
export class CachedTag {
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

  /** Table pointers were read by way of these. */
  notePointers(pointers: readonly TablePointer[], via: readonly Memo[], now: number): void {
    for (const { node, page } of pointers) {
      let memo = this.pointers.find((known) => known.node === node && known.page === page);
      if (memo === undefined) {
        memo = { node, page, ways: [], gone: false };
        this.pointers.push(memo);
      }
      noteWay(memo, via, now);
    }
  }

  /** A leaf of `512^size` pages, which `page` lies in, was read by way of these. */
  noteLeaf(
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
    let memo = this.leaves.find(
      (leaf) =>
        leaf.page === first &&
        leaf.pages === pages &&
        leaf.pfn === pfn &&
        leaf.prot === prot &&
        leaf.guestPage === guestPage,
    );
    if (memo === undefined) {
      memo = { page: first, pages, pfn, prot, guestPage, ways: [], gone: false };
      this.leaves.push(memo);
    }
    noteWay(memo, via, now);
  }

  /**
   * Drops what was read before `submitted`: pointers covering the range first (unless leaves only), then leaves
   * overlapping it.
   */
  dropRange(submitted: number, page: number, pages: number, leavesOnly: boolean): void {
    const covers = (first: number, count: number): boolean => first < page + pages && first + count > page;
    if (!leavesOnly) {
      this.pointers = drop(
        this.pointers,
        (memo) => covers(memo.page, 512 ** memo.node.level) && isStale(memo, submitted),
      );
    }
    this.leaves = drop(this.leaves, (memo) => covers(memo.page, memo.pages) && isStale(memo, submitted));
  }

  /** Drops nested leaves that went through second-stage pages of the range. */
  dropThrough(submitted: number, page: number, pages: number): void {
    this.leaves = drop(this.leaves, (memo) => {
      const first = memo.guestPage as number;
      return first < page + pages && first + memo.pages > page && isStale(memo, submitted);
    });
  }
}

function noteWay(memo: Derived, via: readonly Memo[], now: number): void {
  const known = memo.ways.find((way) => way.via.length === via.length && way.via.every((one, at) => one === via[at]));
  if (known !== undefined) known.readAt = now;
  else memo.ways.push({ via, readAt: now });
}

/** Whether every read that led to it came before, or by way of something that is gone itself. */
function isStale({ ways }: Derived, submitted: number): boolean {
  return ways.every(({ via, readAt }) => readAt < submitted || via.some(({ gone }) => gone));
}
