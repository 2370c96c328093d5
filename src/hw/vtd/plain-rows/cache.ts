/** Look-ups and fills of the one cache structure (set-assoc.ts) on its arrays; policies LRU and FIFO. */
import {
  CACHE_CLOCK,
  CACHE_ENTRIES,
  CACHE_EVICTIONS,
  CACHE_HEADS,
  CACHE_INDEXED,
  CACHE_LIVE,
  CACHE_LOW_BITS,
  CACHE_NEWER,
  CACHE_NEXT,
  CACHE_OLDER,
  CACHE_POLICY,
  CACHE_SETS,
  CACHE_TAGS,
  CACHE_VALUES,
  CACHE_WAYS,
  EVICTED_BY_CAPACITY,
  EVICTED_BY_CONFLICT,
  POLICY_LRU,
} from '../../cache-header';

const FREE: i32 = -1;

/** Entry of the key at `generation`, made the most recently used; -1 when absent. */
export function find(cache: usize, key0: i32, key1: i32, generation: i32): i32 {
  const tags = load<usize>(cache, CACHE_TAGS * 4);
  if (load<i32>(cache, CACHE_INDEXED * 4) !== 0) {
    const entry = findIndexed(cache, tags, key0, key1, generation);
    if (entry >= 0 && load<i32>(cache, CACHE_POLICY * 4) === POLICY_LRU) moveToFront(cache, entry);
    return entry;
  }
  const ways = load<i32>(cache, CACHE_WAYS * 4);
  let entry = setOf(cache, key0, key1) * ways;
  const end = entry + ways;
  let at = tags + ((<usize>entry) << 4);
  for (; entry < end; entry++, at += 16) {
    if (load<i32>(at) !== key0 || load<i32>(at, 4) !== key1 || load<i32>(at, 8) !== generation) continue;
    if (load<i32>(cache, CACHE_POLICY * 4) === POLICY_LRU) store<i32>(at, nextStamp(cache), 12);
    return entry;
  }
  return -1;
}

/** Makes an entry the most recently used, as {@link find} does. */
export function touch(cache: usize, entry: i32): void {
  if (load<i32>(cache, CACHE_POLICY * 4) !== POLICY_LRU) return;
  if (load<i32>(cache, CACHE_INDEXED * 4) !== 0) moveToFront(cache, entry);
  else store<i32>(load<usize>(cache, CACHE_TAGS * 4) + ((<usize>entry) << 4), nextStamp(cache), 12);
}

/** Whether the key is present at `generation`; leaves the recency order alone. */
export function contains(cache: usize, key0: i32, key1: i32, generation: i32): bool {
  const tags = load<usize>(cache, CACHE_TAGS * 4);
  if (load<i32>(cache, CACHE_INDEXED * 4) !== 0) return findIndexed(cache, tags, key0, key1, generation) >= 0;
  const ways = load<i32>(cache, CACHE_WAYS * 4);
  let at = tags + ((<usize>(setOf(cache, key0, key1) * ways)) << 4);
  const end = at + ((<usize>ways) << 4);
  for (; at < end; at += 16) {
    if (load<i32>(at) === key0 && load<i32>(at, 4) === key1 && load<i32>(at, 8) === generation) return true;
  }
  return false;
}

/** Stores a key that is not present and returns its entry. No entry of a past generation may be left. */
export function fill(cache: usize, key0: i32, key1: i32, generation: i32, value0: i32, value1: i32): i32 {
  const tags = load<usize>(cache, CACHE_TAGS * 4);
  const indexed = load<i32>(cache, CACHE_INDEXED * 4) !== 0;
  const entry = indexed ? placeIndexed(cache, tags) : placeInSet(cache, tags, key0, key1);
  const at = tags + ((<usize>entry) << 4);
  store<i32>(at, key0);
  store<i32>(at, key1, 4);
  store<i32>(at, generation, 8);
  const value = load<usize>(cache, CACHE_VALUES * 4) + ((<usize>entry) << 3);
  store<i32>(value, value0);
  store<i32>(value, value1, 4);
  store<i32>(cache, load<i32>(cache, CACHE_LIVE * 4) + 1, CACHE_LIVE * 4);
  if (indexed) link(cache, entry, key0, key1);
  else store<i32>(at, nextStamp(cache), 12);
  return entry;
}

/** Set of a key, or its bucket in an indexed cache: the top bits of the mixed key, scaled where sets are no power of two. */
function setOf(cache: usize, key0: i32, key1: i32): i32 {
  const sets = load<u32>(cache, CACHE_SETS * 4);
  if (load<i32>(cache, CACHE_LOW_BITS * 4) !== 0) return <i32>(<u32>key0 % sets);
  return <i32>((<u64>mix(key0, key1) * <u64>sets) >> 32);
}

function bucketOf(cache: usize, key0: i32, key1: i32): usize {
  return <usize>((<u64>mix(key0, key1) * <u64>load<u32>(cache, CACHE_SETS * 4)) >> 32);
}

/** A 32-bit mix of two words, as in set-assoc.ts. */
export function mix(key0: i32, key1: i32): u32 {
  let hash = (<u32>key0 * 0x9e3779b1) ^ (<u32>key1 * 0x85ebca6b);
  hash ^= hash >> 15;
  return hash * 0x2c1b3c6d;
}

function nextStamp(cache: usize): i32 {
  const stamp = load<i32>(cache, CACHE_CLOCK * 4) + 1;
  store<i32>(cache, stamp, CACHE_CLOCK * 4);
  return stamp;
}

function placeInSet(cache: usize, tags: usize, key0: i32, key1: i32): i32 {
  const ways = load<i32>(cache, CACHE_WAYS * 4);
  const first = setOf(cache, key0, key1) * ways;
  let victim = first;
  let at = tags + ((<usize>first) << 4);
  let oldest = load<i32>(at, 12);
  for (let way = 1; way < ways; way++) {
    at += 16;
    const stamp = load<i32>(at, 12);
    if (stamp < oldest) {
      oldest = stamp;
      victim = first + way;
    }
  }
  if (oldest !== 0) evict(cache);
  return victim;
}

/** Counts an eviction. */
function evict(cache: usize): void {
  const live = load<i32>(cache, CACHE_LIVE * 4);
  const cause = live === load<i32>(cache, CACHE_ENTRIES * 4) ? EVICTED_BY_CAPACITY : EVICTED_BY_CONFLICT;
  const count = load<usize>(cache, CACHE_EVICTIONS * 4) + ((<usize>cause) << 3);
  store<f64>(count, load<f64>(count) + 1);
  store<i32>(cache, live - 1, CACHE_LIVE * 4);
}

function findIndexed(cache: usize, tags: usize, key0: i32, key1: i32, generation: i32): i32 {
  const next = load<usize>(cache, CACHE_NEXT * 4);
  let entry = load<i32>(load<usize>(cache, CACHE_HEADS * 4) + (bucketOf(cache, key0, key1) << 2));
  while (entry !== FREE) {
    const at = tags + ((<usize>entry) << 4);
    if (load<i32>(at) === key0 && load<i32>(at, 4) === key1 && load<i32>(at, 8) === generation) return entry;
    entry = load<i32>(next + ((<usize>entry) << 2));
  }
  return -1;
}

function placeIndexed(cache: usize, tags: usize): i32 {
  const next = load<usize>(cache, CACHE_NEXT * 4);
  const sentinel = next + (load<usize>(cache, CACHE_ENTRIES * 4) << 2);
  let entry = load<i32>(sentinel);
  if (entry === FREE) {
    const newer = load<usize>(cache, CACHE_NEWER * 4);
    entry = load<i32>(newer + (load<usize>(cache, CACHE_ENTRIES * 4) << 2));
    evict(cache);
    unlink(cache, tags, entry);
    return entry;
  }
  store<i32>(sentinel, load<i32>(next + ((<usize>entry) << 2)));
  return entry;
}

function link(cache: usize, entry: i32, key0: i32, key1: i32): void {
  const head = load<usize>(cache, CACHE_HEADS * 4) + (bucketOf(cache, key0, key1) << 2);
  store<i32>(load<usize>(cache, CACHE_NEXT * 4) + ((<usize>entry) << 2), load<i32>(head));
  store<i32>(head, entry);
  pushFront(cache, entry);
}

/** Takes an entry out of its bucket and the recency list; it is about to be used again, so it does not become free. */
function unlink(cache: usize, tags: usize, entry: i32): void {
  const next = load<usize>(cache, CACHE_NEXT * 4);
  const at = tags + ((<usize>entry) << 4);
  let link = load<usize>(cache, CACHE_HEADS * 4) + (bucketOf(cache, load<i32>(at), load<i32>(at, 4)) << 2);
  for (let other = load<i32>(link); other !== entry; other = load<i32>(link)) link = next + ((<usize>other) << 2);
  store<i32>(link, load<i32>(next + ((<usize>entry) << 2)));
  leaveList(cache, entry);
}

function moveToFront(cache: usize, entry: i32): void {
  const older = load<usize>(cache, CACHE_OLDER * 4);
  if (load<i32>(older + (load<usize>(cache, CACHE_ENTRIES * 4) << 2)) === entry) return;
  leaveList(cache, entry);
  pushFront(cache, entry);
}

function leaveList(cache: usize, entry: i32): void {
  const older = load<usize>(cache, CACHE_OLDER * 4);
  const newer = load<usize>(cache, CACHE_NEWER * 4);
  const before = load<i32>(older + ((<usize>entry) << 2));
  const after = load<i32>(newer + ((<usize>entry) << 2));
  store<i32>(newer + ((<usize>before) << 2), after);
  store<i32>(older + ((<usize>after) << 2), before);
}

/** The sentinel's `older` is the most recent entry, its `newer` the least recent. */
function pushFront(cache: usize, entry: i32): void {
  const sentinel = load<i32>(cache, CACHE_ENTRIES * 4);
  const older = load<usize>(cache, CACHE_OLDER * 4);
  const newer = load<usize>(cache, CACHE_NEWER * 4);
  const front = load<i32>(older + ((<usize>sentinel) << 2));
  store<i32>(older + ((<usize>sentinel) << 2), entry);
  store<i32>(newer + ((<usize>entry) << 2), sentinel);
  store<i32>(older + ((<usize>entry) << 2), front);
  store<i32>(newer + ((<usize>front) << 2), entry);
}
