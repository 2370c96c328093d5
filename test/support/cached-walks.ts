/** Walks of the untimed oracle: from the root, or from any table pointer that may be cached. */
import type { Memo } from './cached-memo.ts';
import type { CachedTag, TablePointer } from './cached-tag.ts';
import { indexOf, type ShadowLeaf, type ShadowNode, type ShadowTable } from './shadow-table.ts';

/** One end of walking one stage. */
export interface Walked {
  readonly leaf: ShadowLeaf | undefined;
  readonly pointers: readonly TablePointer[];
  readonly via: readonly Memo[];
}

/** All ways to walk one stage: from the root, and from every table pointer that may be cached. */
export function walks(tag: CachedTag, table: ShadowTable, page: number, entry: Memo): Walked[] {
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
  const pointers: TablePointer[] = [];
  let node = from;
  for (;;) {
    const next = node.entries.get(indexOf(page, node.level));
    if (next === undefined || !('entries' in next)) return { leaf: next, pointers, via };
    node = next;
    pointers.push({ node, page: page - (page % 512 ** node.level) });
  }
}
