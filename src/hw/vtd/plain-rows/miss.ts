/** IOTLB look-ups of every page size, and misses: what Iotlb, Translator and WalkSchedule do. */
import { CACHE_READY, CACHE_STALE } from '../../cache-header';
import { fill, find } from './cache';
import { add, addTicks } from './sums';
import { deepest, firstStage, remember, secondStage } from './walk';
import * as Word from './words';

/** Entry that translates the page, of whatever size, or -1 (Iotlb.lookup). */
export function lookUp(block: usize, iotlb: usize, space: i32, low: i32, high: i32, generation: i32): i32 {
  const sizes = <i32>load<u8>(load<usize>(block, Word.SIZES_IN_USE * 4) + <usize>space);
  let entry = -1;
  if ((sizes & 1) !== 0) entry = find(iotlb, low, keyHigh(space, high, 0), generation);
  for (let size = 1; size < 3; size++) {
    if (entry < 0 && (sizes & (1 << size)) !== 0) {
      entry = find(iotlb, keyLow(low, high, size), keyHigh(space, high, size), generation);
    }
  }
  return entry;
}

/**
 * A miss (Translator, WalkSchedule): takes a walker, reads the tables from the deepest cached one on, fills the caches.
 * Returns the new entry of the IOTLB, or minus the reason to stop.
 */
export function miss(
  block: usize,
  slot: i32,
  kind: i32,
  space: i32,
  low: i32,
  high: i32,
  write: i32,
  arrival: f64,
): i32 {
  const first = kind === Word.KIND_FIRST_STAGE;
  const rootLevel = <i32>load<u8>(load<usize>(block, Word.BINDING_LEVEL * 4) + <usize>slot);
  if (!first && kind !== Word.KIND_SECOND_STAGE) return -Word.STOP_ROW;
  const iotlb = load<usize>(block, Word.IOTLB_HEADER * 4);
  const headers = block + ((first ? Word.FS_HEADERS : Word.SS_HEADERS) - 2) * 4;
  let stale = load<i32>(iotlb, CACHE_STALE * 4);
  for (let level = 2; level <= rootLevel; level++) {
    const cache = load<usize>(headers + ((<usize>level) << 2));
    if (cache !== 0) stale |= load<i32>(cache, CACHE_STALE * 4);
  }
  if (stale !== 0) return -Word.STOP_STALE;

  // The walker that is free first, and the port to memory.
  const busy = load<usize>(block, Word.WALKER_BUSY * 4);
  const walkers = load<i32>(block, Word.WALKER_COUNT * 4);
  let walker = busy;
  let walkerFree = load<f64>(busy);
  for (let other = 1; other < walkers; other++) {
    const at = busy + ((<usize>other) << 3);
    if (load<f64>(at) < walkerFree) {
      walkerFree = load<f64>(at);
      walker = at;
    }
  }
  const portFree = load<usize>(block, Word.PORT_FREE * 4);
  let start = arrival;
  if (walkerFree > start) start = walkerFree;
  if (load<f64>(portFree) > start) start = load<f64>(portFree);

  // From the deepest cached table, or the root.
  const generation = load<i32>(load<usize>(block, Word.NONLEAF_GENERATION * 4) + ((<usize>space) << 2));
  let level = deepest(block, headers, space, low, high, rootLevel, generation, start);
  const cached = level > 0;
  let table = load<i32>(load<usize>(block, Word.BINDING_ROOT * 4) + ((<usize>slot) << 2));
  let prot = Word.PERMISSION_READ | Word.PERMISSION_WRITE;
  if (cached) {
    const path = block + ((<usize>(level + 1)) << 2);
    table = load<i32>(path, Word.PATH_SLOT * 4);
    prot = load<i32>(path, Word.PATH_PROT * 4);
  } else {
    level = rootLevel;
  }
  const dirty = load<u8>(load<usize>(block, Word.BINDING_DIRTY * 4) + <usize>slot) === 1;
  const found = first
    ? firstStage(block, table, level, prot, low, high, write)
    : secondStage(block, table, level, prot, low, high, write, dirty);
  if (!found) return -Word.STOP_ROW;

  // What it costs.
  const reads = load<i32>(block, Word.LEAF_READS * 4);
  const fixedTicks = load<f64>(block, Word.WALK_FIXED * 8);
  const readTicks = load<f64>(block, Word.WALK_READ * 8);
  const pageTicks = <f64>reads * readTicks;
  const latency = fixedTicks + pageTicks;
  const occupied = latency + load<f64>(block, Word.BUSY_EXTRA * 8);
  store<f64>(walker, start + occupied);
  const portNext = start + load<f64>(block, Word.WALK_INTERVAL * 8);
  store<f64>(portFree, portNext);
  store<f64>(portFree, portNext, 8);
  const counts = load<usize>(block, Word.COUNTS * 4);
  add(counts, Word.COUNT_CONTEXT_LOOKUP, 1);
  add(counts, Word.COUNT_CONTEXT_HIT, 1);
  if (load<i32>(block, Word.SCALABLE * 4) !== 0) {
    add(counts, Word.COUNT_PASID_LOOKUP, 1);
    add(counts, Word.COUNT_PASID_HIT, 1);
  }
  add(counts, first ? Word.COUNT_FS_LOOKUP : Word.COUNT_SS_LOOKUP, 1);
  if (cached) add(counts, first ? Word.COUNT_FS_HIT : Word.COUNT_SS_HIT, 1);
  add(counts, Word.COUNT_MRDS, reads);
  add(counts, Word.COUNT_WALKS, 1);
  add(counts, Word.COUNT_WALKS_1_READ + min(reads, 4) - 1, 1);
  addTicks(counts, Word.COUNT_PW_OCCUPANCY, occupied);
  addTicks(counts, Word.COUNT_MEM_BLOCKED, start - arrival);
  const times = load<usize>(block, Word.TIMES * 4);
  addTicks(times, Word.PART_WALK_QUEUE, start - arrival);
  addTicks(times, Word.PART_PAGE_WALK, latency);

  // Fills: each upper level from the end of its own read on, the leaf at the end.
  const size = load<i32>(block, Word.LEAF_SIZE * 4);
  remember(block, headers, space, low, high, level, size + 1, generation, start + fixedTicks, readTicks);
  const used = load<usize>(block, Word.SIZES_IN_USE * 4) + <usize>space;
  store<u8>(used, <u8>(<i32>load<u8>(used) | (1 << size)));
  const leafHigh = load<i32>(block, Word.LEAF_HIGH * 4);
  const frameLow = ((leafHigh << 20) | <i32>(load<u32>(block, Word.LEAF_LOW * 4) >> 12)) & ~((1 << (9 * size)) - 1);
  const domain = load<i32>(load<usize>(block, Word.BINDING_DOMAIN * 4) + ((<usize>slot) << 2));
  const fields =
    (size << Word.SIZE_SHIFT) |
    (load<i32>(block, Word.LEAF_PROT * 4) << Word.PROT_SHIFT) |
    ((leafHigh >> 12) & Word.PFN_HIGH_MASK);
  const leafGeneration = load<i32>(load<usize>(block, Word.LEAF_GENERATION * 4) + ((<usize>space) << 2));
  const entry = fill(
    iotlb,
    keyLow(low, high, size),
    keyHigh(space, high, size),
    leafGeneration,
    frameLow,
    (domain << Word.DID_SHIFT) | fields,
  );
  store<f64>(load<usize>(iotlb, CACHE_READY * 4) + ((<usize>entry) << 3), start + latency);
  return entry;
}

/** A page number of its words. */
export function page(low: i32, high: i32): u64 {
  return ((<u64>(<u32>high)) << 32) | <u64>(<u32>low);
}

function keyLow(low: i32, high: i32, size: i32): i32 {
  return <i32>(page(low, high) >> <u64>(9 * size));
}

function keyHigh(space: i32, high: i32, size: i32): i32 {
  return (space << Word.SPACE_SHIFT) | (size << Word.KEY_SIZE_SHIFT) | <i32>(<u32>high >> (9 * size));
}
