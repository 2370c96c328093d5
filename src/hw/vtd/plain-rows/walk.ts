/**
 * Page walks of one stage over modelled memory, as walker.ts does them, and the paging-structure caches as
 * paging-caches.ts does them. A walk that would fault answers false and leaves no trace: TypeScript repeats it.
 */
import { CACHE_READY, CACHE_VALUES } from '../../cache-header';
import { contains, fill, find } from './cache';
import * as Word from './words';

/**
 * Deepest table cached at `atTick`: level of the table to read next, 0 = none. Its slot and permissions are left in the
 * block's path at that level + 1.
 */
export function deepest(
  block: usize,
  headers: usize,
  space: i32,
  low: i32,
  high: i32,
  rootLevel: i32,
  generation: i32,
  atTick: f64,
): i32 {
  for (let level = 2; level <= rootLevel; level++) {
    const cache = load<usize>(headers + ((<usize>level) << 2));
    if (cache === 0) continue;
    const entry = find(cache, regionLow(low, high, level), regionKey(space, high, level), generation);
    if (entry < 0 || load<f64>(load<usize>(cache, CACHE_READY * 4) + ((<usize>entry) << 3)) > atTick) continue;
    const value = load<usize>(cache, CACHE_VALUES * 4) + ((<usize>entry) << 3);
    const path = block + ((<usize>level) << 2);
    store<i32>(path, load<i32>(value), Word.PATH_SLOT * 4);
    store<i32>(path, load<i32>(value, 4), Word.PATH_PROT * 4);
    return level - 1;
  }
  return 0;
}

/** Remembers the tables that a walk from `level` down to `leafLevel` went through, from the end of each read on. */
export function remember(
  block: usize,
  headers: usize,
  space: i32,
  low: i32,
  high: i32,
  level: i32,
  leafLevel: i32,
  generation: i32,
  boundTick: f64,
  readTicks: f64,
): void {
  for (let at = level; at > leafLevel; at--) {
    const cache = load<usize>(headers + ((<usize>at) << 2));
    if (cache === 0) continue;
    const key0 = regionLow(low, high, at);
    const key1 = regionKey(space, high, at);
    // Present but not yet valid: a walk under way got there first.
    if (contains(cache, key0, key1, generation)) continue;
    const path = block + ((<usize>at) << 2);
    const entry = fill(
      cache,
      key0,
      key1,
      generation,
      load<i32>(path, Word.PATH_SLOT * 4),
      load<i32>(path, Word.PATH_PROT * 4),
    );
    const ready = load<usize>(cache, CACHE_READY * 4) + ((<usize>entry) << 3);
    store<f64>(ready, boundTick + <f64>(level - at + 1) * readTicks);
  }
}

/** Second stage from the table `slot` at `level` on; false: it would fault. The leaf is left in the block. */
export function secondStage(
  block: usize,
  tableSlot: i32,
  level: i32,
  prot: i32,
  low: i32,
  high: i32,
  write: i32,
  accessDirty: bool,
): bool {
  const words = load<usize>(block, Word.TABLE_WORDS * 4);
  const needed = write !== 0 ? Word.PERMISSION_WRITE : Word.PERMISSION_READ;
  let slot = tableSlot;
  let at = level;
  let allowed = prot;
  let reads = 0;
  while (true) {
    reads++;
    if (slot < 0) return false;
    const word = words + <usize>slot * Word.FRAME_BYTES + <usize>(tableIndex(low, high, at) << 3);
    let entry = load<i32>(word);
    allowed &= entry;
    if ((allowed & needed) === 0) return false;
    if (at === 1 || (entry & Word.ENTRY_PAGE_SIZE) !== 0) {
      if (at > 1 && ((load<i32>(block, Word.SS_LEAF_LEVELS * 4) >> at) & 1) === 0) return false;
      if (accessDirty) {
        const updated = entry | Word.SS_ACCESSED | (write !== 0 ? Word.SS_DIRTY : 0);
        if (updated !== entry) store<i32>(word, updated);
        entry = updated;
        if ((entry & Word.SS_DIRTY) === 0) allowed &= ~Word.PERMISSION_WRITE;
      }
      leaf(block, reads, at - 1, allowed & (Word.PERMISSION_READ | Word.PERMISSION_WRITE), entry, load<i32>(word, 4));
      return true;
    }
    slot = slotOf(block, entry, load<i32>(word, 4));
    step(block, at, slot, allowed);
    at--;
  }
}

/** First stage, likewise; accessed and dirty bits are always kept. */
export function firstStage(block: usize, tableSlot: i32, level: i32, prot: i32, low: i32, high: i32, write: i32): bool {
  const words = load<usize>(block, Word.TABLE_WORDS * 4);
  let slot = tableSlot;
  let at = level;
  let allowed = prot;
  let reads = 0;
  while (true) {
    reads++;
    if (slot < 0) return false;
    const word = words + <usize>slot * Word.FRAME_BYTES + <usize>(tableIndex(low, high, at) << 3);
    const entry = load<i32>(word);
    if ((entry & Word.FS_PRESENT) === 0 || (entry & Word.FS_USER) === 0) return false;
    if ((entry & Word.FS_WRITE) === 0) allowed &= ~Word.PERMISSION_WRITE;
    if (write !== 0 && (allowed & Word.PERMISSION_WRITE) === 0) return false;
    if (at === 1 || (entry & Word.ENTRY_PAGE_SIZE) !== 0) {
      if (at > 1 && ((load<i32>(block, Word.FS_LEAF_LEVELS * 4) >> at) & 1) === 0) return false;
      const updated = entry | Word.FS_ACCESSED | (write !== 0 ? Word.FS_DIRTY : 0);
      if (updated !== entry) store<i32>(word, updated);
      if ((updated & Word.FS_DIRTY) === 0) allowed &= ~Word.PERMISSION_WRITE;
      leaf(block, reads, at - 1, allowed, updated, load<i32>(word, 4));
      return true;
    }
    slot = slotOf(block, entry, load<i32>(word, 4));
    step(block, at, slot, allowed);
    at--;
  }
}

function leaf(block: usize, reads: i32, size: i32, prot: i32, low: i32, high: i32): void {
  store<i32>(block, reads, Word.LEAF_READS * 4);
  store<i32>(block, size, Word.LEAF_SIZE * 4);
  store<i32>(block, prot, Word.LEAF_PROT * 4);
  store<i32>(block, low, Word.LEAF_LOW * 4);
  store<i32>(block, high, Word.LEAF_HIGH * 4);
}

function step(block: usize, level: i32, slot: i32, prot: i32): void {
  const path = block + ((<usize>level) << 2);
  store<i32>(path, slot, Word.PATH_SLOT * 4);
  store<i32>(path, prot, Word.PATH_PROT * 4);
}

/** Slot of the table that an entry points to, -1 when it is not modelled memory. */
function slotOf(block: usize, low: i32, high: i32): i32 {
  const slot = ((<i64>(high & 0xfffff)) << 20) + <i64>(<u32>low >> 12) - Word.FRAME_BASE;
  return slot >= 0 && slot < <i64>load<i32>(block, Word.FRAME_COUNT * 4) ? <i32>slot : -1;
}

function tableIndex(low: i32, high: i32, level: i32): i32 {
  return <i32>((<u64>(<u32>low) | ((<u64>(<u32>high)) << 32)) >> <u64>(9 * (level - 1))) & 511;
}

function regionLow(low: i32, high: i32, level: i32): i32 {
  return <i32>((<u64>(<u32>low) | ((<u64>(<u32>high)) << 32)) >> <u64>(9 * (level - 1)));
}

function regionKey(space: i32, high: i32, level: i32): i32 {
  const shift = 9 * (level - 1);
  return (space << Word.SPACE_SHIFT) | (shift < 32 ? <i32>(<u32>high >> shift) : 0);
}
