/** What the untimed oracle remembers of a read whose result may still be cached. */

/** Something that was read. */
export interface Memo {
  gone: boolean;
}

/** Without the memos that leave, which are marked as gone: so is, then, whatever was made from them alone. */
export function drop<T extends Memo>(memos: readonly T[], leaves: (memo: T) => boolean): T[] {
  const kept: T[] = [];
  for (const memo of memos) {
    if (leaves(memo)) memo.gone = true;
    else kept.push(memo);
  }
  return kept;
}
