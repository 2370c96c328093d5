/**
 * The compiled loop of the data plane: rows of one piece that need nothing but arithmetic, tables and caches. That is,
 * requests by a binding that is resolved, answered by the IOTLB, by a walk already under way or by a walk of one stage
 * that does not fault, or passed through. Everything else, and every row that an invalidation comes before, stops the
 * loop without a trace, and TypeScript (data-plane.ts, translator.ts, device-link.ts) handles that row; the two are the
 * same to the bit.
 *
 * Written in AssemblyScript, compiled by `npm run build:wasm` into plain-rows-binary.ts. State is in the block and the
 * arrays that it points to (words.ts); ticks are integers in doubles [ps].
 */
import { CACHE_CLOCK, CACHE_READY, CACHE_STALE, CACHE_TAGS, CACHE_VALUES, LAST_STAMP } from '../../cache-header';
import { fill, find, mix, touch } from './cache';
import { deepest, firstStage, remember, secondStage } from './walk';
import {
  ARRIVE,
  BINDING_DIRTY,
  BINDING_DOMAIN,
  BINDING_KIND,
  BINDING_LEVEL,
  BINDING_READY,
  BINDING_ROOT,
  BINDING_SPACE,
  BUSY_EXTRA_READ,
  BYTES,
  BYTES_DONE,
  COUNT_CONTEXT_HIT,
  COUNT_CONTEXT_LOOKUP,
  COUNT_FS_HIT,
  COUNT_FS_LOOKUP,
  COUNT_IOTLB_HIT,
  COUNT_IOTLB_LOOKUP,
  COUNT_MEM_BLOCKED,
  COUNT_MERGED,
  COUNT_MRDS,
  COUNT_PASID_HIT,
  COUNT_PASID_LOOKUP,
  COUNT_PASS_THROUGH,
  COUNT_PW_OCCUPANCY,
  COUNT_RELOOKUP,
  COUNT_REQUESTS,
  COUNT_SS_HIT,
  COUNT_SS_LOOKUP,
  COUNT_WALKS,
  COUNT_WALKS_1_READ,
  COUNTS,
  DEVICE,
  DEVICE_TICKS,
  DID_SHIFT,
  DONE,
  FAULT,
  FLAGS,
  FS_HEADERS,
  HEADS,
  HINT_SHIFT,
  HINTS,
  HIT,
  INTERVAL_READ,
  IOTLB_HEADER,
  IOVA,
  ISSUE,
  KEY_SIZE_SHIFT,
  KIND_FIRST_STAGE,
  KIND_PASS_THROUGH,
  KIND_SECOND_STAGE,
  LAST_DONE,
  LAST_ISSUE,
  LAST_PASID,
  LAST_SLOT,
  LAST_USE,
  LEAF_GENERATION,
  LEAF_HIGH,
  LEAF_LOW,
  LEAF_PROT,
  LEAF_READS,
  LEAF_SIZE,
  MAX_READ_BYTES,
  MAX_REQUEST,
  MEMORY_READ,
  MEMORY_WRITE,
  NEXT_START,
  NONLEAF_GENERATION,
  NOT_BEFORE,
  ONE_WAY,
  OUTCOME,
  OUTCOME_HIT,
  OUTCOME_MERGED,
  OUTCOME_MISS,
  OUTCOME_PASS_THROUGH,
  PAGE_HIGH_LIMIT,
  PAGE_SHIFT,
  PART_IOTLB_HIT,
  PART_LINK,
  PART_MEMORY,
  PART_PAGE_WALK,
  PART_WALK_QUEUE,
  PART_WINDOW,
  PASID,
  PATH_PROT,
  PATH_SLOT,
  PERMISSION_READ,
  PERMISSION_WRITE,
  PFN,
  PFN_HIGH_MASK,
  PORT_DOWN_FREE,
  PORT_NEXT_ISSUE,
  PORT_UP_FREE,
  PROT_SHIFT,
  READY,
  REQUESTER_OF,
  RING,
  RING_MASK,
  RING_SHIFT,
  SCALABLE,
  SHAPE_DOWN_STEP,
  SHAPE_DOWN_TOTAL,
  SHAPE_HOLD,
  SHAPE_SERIAL,
  SHAPE_STEP,
  SHAPE_TLPS,
  SHAPES,
  SIZE_SHIFT,
  SIZES_IN_USE,
  SPACE_SHIFT,
  SS_HEADERS,
  STOP,
  STOP_END,
  STOP_LIMIT,
  STOP_ROW,
  STOP_STALE,
  TIMES,
  WALK_FIXED,
  WALK_READ,
  WALK_READS,
  WALKER_BUSY,
  WALKER_COUNT,
  WALKS,
} from './words';

/** Stamps that one row may take from the clock of a cache: two look-ups and a fill. */
const STAMPS_A_ROW = 3;

/**
 * Replays rows `from` .. `to` - 1 until one issues at or after `limit`, arrives at or after `nextEffect`, or is not
 * plain. Returns the row it stopped at, `to` when none; the reason is in the block.
 */
export function run(block: usize, from: i32, to: i32, limit: f64, nextEffect: f64): i32 {
  const hitTicks = load<f64>(block, HIT * 8);
  const oneWayTicks = load<f64>(block, ONE_WAY * 8);
  const memoryReadTicks = load<f64>(block, MEMORY_READ * 8);
  const memoryWriteTicks = load<f64>(block, MEMORY_WRITE * 8);
  const notBefores = load<usize>(block, NOT_BEFORE * 4);
  const devices = load<usize>(block, DEVICE * 4);
  const pasids = load<usize>(block, PASID * 4);
  const iovas = load<usize>(block, IOVA * 4);
  const sizes = load<usize>(block, BYTES * 4);
  const flagColumn = load<usize>(block, FLAGS * 4);
  const issues = load<usize>(block, ISSUE * 4);
  const arrivals = load<usize>(block, ARRIVE * 4);
  const readies = load<usize>(block, READY * 4);
  const dones = load<usize>(block, DONE * 4);
  const outcomes = load<usize>(block, OUTCOME * 4);
  const faults = load<usize>(block, FAULT * 4);
  const walkReads = load<usize>(block, WALK_READS * 4);
  const pageShifts = load<usize>(block, PAGE_SHIFT * 4);
  const pfns = load<usize>(block, PFN * 4);
  const shapes = load<usize>(block, SHAPES * 4);
  const shapeTlps = load<usize>(block, SHAPE_TLPS * 4);
  const deviceTicks = load<usize>(block, DEVICE_TICKS * 4);
  const heads = load<usize>(block, HEADS * 4);
  const rings = load<usize>(block, RING * 4);
  const ringShift = load<i32>(block, RING_SHIFT * 4) + 3;
  const ringMask = load<i32>(block, RING_MASK * 4);
  const lastIssues = load<usize>(block, LAST_ISSUE * 4);
  const bytesDone = load<usize>(block, BYTES_DONE * 4);
  const iotlb = load<usize>(block, IOTLB_HEADER * 4);
  const counts = load<usize>(block, COUNTS * 4);
  const times = load<usize>(block, TIMES * 4);
  const walks = load<i32>(block, WALKS * 4) !== 0;
  const hints = load<usize>(block, HINTS * 4);
  const hintShift = load<u32>(block, HINT_SHIFT * 4);
  const tags = load<usize>(iotlb, CACHE_TAGS * 4);
  const values = load<usize>(iotlb, CACHE_VALUES * 4);
  const validFroms = load<usize>(iotlb, CACHE_READY * 4);
  let lastDone = load<f64>(block, LAST_DONE * 8);
  let windowTicks: f64 = 0;
  let linkTicks: f64 = 0;
  let memoryTicks: f64 = 0;
  let requests = 0;
  let hits = 0;
  let missed = 0;
  let stop = clocksLast(block, to - from) ? STOP_END : STOP_ROW;
  let i = from;
  if (stop !== STOP_END) to = from;
  for (; i < to; i++) {
    const device = <usize>load<u16>(devices + ((<usize>i) << 1));
    const flags = <i32>load<u8>(flagColumn + <usize>i);
    const size = load<u32>(sizes + ((<usize>i) << 2));
    const low = load<i32>(iovas + ((<usize>i) << 3));
    const high = load<i32>(iovas + ((<usize>i) << 3), 4);
    const write = flags & 1;
    const most = load<u32>(block + ((<usize>write) << 2), MAX_READ_BYTES * 4);
    if (flags > 1 || (low & 4095) + size > 4096 || size > most || load<i32>(bytesDone + (device << 2)) !== 0) {
      stop = STOP_ROW;
      break;
    }

    // When the request issues (DeviceLinks.offer).
    const port = (device << 1) | write;
    const shape = <usize>write * (MAX_REQUEST + 1) + size;
    const tlps = load<i32>(shapeTlps + (shape << 3));
    const window = load<i32>(shapeTlps + (shape << 3), 4);
    const head = load<i32>(heads + (port << 2));
    const ring = rings + (port << ringShift);
    const earliest = load<f64>(notBefores + ((<usize>i) << 3));
    let free = earliest;
    const returned = load<f64>(ring + ((<usize>((head - window) & ringMask)) << 3));
    if (returned > free) free = returned;
    const state = deviceTicks + (device << 5);
    const next = state + ((<usize>write) << 3);
    let issue = free;
    if (load<f64>(next, PORT_NEXT_ISSUE * 8) > issue) issue = load<f64>(next, PORT_NEXT_ISSUE * 8);
    if (load<f64>(state, PORT_UP_FREE * 8) > issue) issue = load<f64>(state, PORT_UP_FREE * 8);
    if (tlps === 0) {
      stop = STOP_ROW;
      break;
    }
    store<f64>(issues + ((<usize>i) << 3), issue);
    if (issue >= limit) {
      stop = STOP_LIMIT;
      break;
    }
    const figures = shapes + (shape << 6);
    const serial = load<f64>(figures, SHAPE_SERIAL * 8);
    const step = load<f64>(figures, SHAPE_STEP * 8);
    const flight = serial + oneWayTicks;
    const arrival = issue + flight;
    if (arrival >= nextEffect) {
      stop = STOP_ROW;
      break;
    }

    // By what it is translated.
    let slot = load<i32>(load<usize>(block, REQUESTER_OF * 4) + (device << 2));
    const pasid = load<i32>(pasids + ((<usize>i) << 2));
    if (pasid !== 0) {
      if (load<i32>(load<usize>(block, LAST_PASID * 4) + ((<usize>slot) << 2)) !== pasid) {
        stop = STOP_ROW;
        break;
      }
      slot = load<i32>(load<usize>(block, LAST_SLOT * 4) + ((<usize>slot) << 2));
    }
    const pageLow = <i32>(<u32>low >> 12) | (high << 20);
    const pageHigh = <i32>(<u32>high >> 12);
    if (
      arrival < load<f64>(load<usize>(block, BINDING_READY * 4) + ((<usize>slot) << 3)) ||
      pageHigh > PAGE_HIGH_LIMIT ||
      (write !== 0 && pageHigh === 0 && <u32>pageLow >> 8 === 0xfee)
    ) {
      stop = STOP_ROW;
      break;
    }

    // The IOTLB, by the page sizes in use; then the tables.
    const space = load<i32>(load<usize>(block, BINDING_SPACE * 4) + ((<usize>slot) << 2));
    const needed = 1 << write;
    let ready = arrival;
    let outcome = OUTCOME_HIT;
    let reads = 0;
    let pageSize = 0;
    let frameLow = pageLow;
    let frameHigh = pageHigh;
    let shift = 0;
    const kind = <i32>load<u8>(load<usize>(block, BINDING_KIND * 4) + <usize>slot);
    if (kind === KIND_PASS_THROUGH) {
      outcome = OUTCOME_PASS_THROUGH;
      ready += hitTicks;
      add(counts, COUNT_PASS_THROUGH, tlps);
      hits++;
    } else {
      const key1 = (space << SPACE_SHIFT) | pageHigh;
      const generation = load<i32>(load<usize>(block, LEAF_GENERATION * 4) + ((<usize>space) << 2));
      const hint = hints + ((<usize>(mix(pageLow, key1) >> hintShift)) << 2);
      let entry = load<i32>(hint);
      const tag = tags + ((<usize>entry) << 4);
      if (load<i32>(tag) === pageLow && load<i32>(tag, 4) === key1 && load<i32>(tag, 8) === generation) {
        touch(iotlb, entry);
      } else {
        entry = lookUp(block, iotlb, space, pageLow, pageHigh, generation);
        if (entry >= 0) store<i32>(hint, entry);
      }
      if (entry >= 0) {
        const value1 = load<i32>(values + ((<usize>entry) << 3), 4);
        if (((value1 >> PROT_SHIFT) & needed) === 0) {
          stop = STOP_ROW;
          break;
        }
        const validFrom = load<f64>(validFroms + ((<usize>entry) << 3));
        if (validFrom > arrival) {
          outcome = OUTCOME_MERGED;
          add(counts, COUNT_RELOOKUP, tlps);
          add(counts, COUNT_MERGED, 1);
          addTicks(times, PART_WALK_QUEUE, validFrom - arrival);
          ready = validFrom;
        }
        ready += hitTicks;
        hits++;
        pageSize = (value1 >> SIZE_SHIFT) & 3;
        frameLow = load<i32>(values + ((<usize>entry) << 3));
        frameHigh = value1 & PFN_HIGH_MASK;
      } else {
        const filled = walks ? walk(block, slot, kind, space, pageLow, pageHigh, write, arrival) : -STOP_ROW;
        if (filled < 0) {
          stop = -filled;
          break;
        }
        outcome = OUTCOME_MISS;
        add(counts, COUNT_RELOOKUP, tlps - 1);
        missed++;
        reads = load<i32>(block, LEAF_READS * 4);
        pageSize = load<i32>(block, LEAF_SIZE * 4);
        ready = load<f64>(validFroms + ((<usize>filled) << 3));
        frameLow = load<i32>(values + ((<usize>filled) << 3));
        frameHigh = load<i32>(values + ((<usize>filled) << 3), 4) & PFN_HIGH_MASK;
      }
      shift = 12 + 9 * pageSize;
      frameLow |= pageLow & ((1 << (9 * pageSize)) - 1);
    }
    requests += tlps;

    // The request is on its way (DeviceLinks.commit).
    let last = issue;
    if (tlps > 1) {
      last += <f64>(tlps - 1) * step;
      const tagFree = load<f64>(ring + ((<usize>((head + tlps - 1 - window) & ringMask)) << 3));
      if (tagFree > last) last = tagFree;
    }
    store<f64>(next, last + step, PORT_NEXT_ISSUE * 8);
    store<f64>(state, last + serial, PORT_UP_FREE * 8);
    // Time as the device's next request: before that, it was the requests in front of it that waited.
    let since = load<f64>(lastIssues + (device << 3));
    if (earliest > since) since = earliest;
    if (free > since) windowTicks += free - since;
    else free = since;
    linkTicks += arrival - free;
    store<f64>(lastIssues + (device << 3), issue);

    // Memory and the way back (DeviceLinks.complete).
    let memory = last + flight + hitTicks;
    if (ready > memory) memory = ready;
    let done: f64;
    let back: f64;
    let spacing: f64;
    if (write !== 0) {
      memory += memoryWriteTicks;
      done = memory;
      back = memory + oneWayTicks;
      spacing = step;
    } else {
      memory += memoryReadTicks;
      spacing = load<f64>(figures, SHAPE_DOWN_STEP * 8);
      let sent = arrival + hitTicks + memoryReadTicks;
      const downFree = load<f64>(state, PORT_DOWN_FREE * 8);
      if (downFree > sent) sent = downFree;
      sent += load<f64>(figures, SHAPE_DOWN_TOTAL * 8);
      store<f64>(state, sent, PORT_DOWN_FREE * 8);
      done = memory + spacing;
      if (sent > done) done = sent;
      done += oneWayTicks;
      back = done + load<f64>(figures, SHAPE_HOLD * 8);
    }
    memoryTicks += done - ready;
    if (done > lastDone) lastDone = done;
    const lastUse = load<usize>(block, LAST_USE * 4) + ((<usize>space) << 3);
    if (memory > load<f64>(lastUse)) store<f64>(lastUse, memory);
    giveBack(ring, ringMask, head, tlps, back - <f64>(tlps - 1) * spacing, spacing);
    store<i32>(heads + (port << 2), head + tlps);

    store<f64>(arrivals + ((<usize>i) << 3), arrival);
    store<f64>(readies + ((<usize>i) << 3), ready);
    store<f64>(dones + ((<usize>i) << 3), done);
    store<u8>(outcomes + <usize>i, <u8>outcome);
    store<u8>(faults + <usize>i, 0);
    store<u8>(walkReads + <usize>i, <u8>reads);
    store<u8>(pageShifts + <usize>i, <u8>shift);
    store<i32>(pfns + ((<usize>i) << 3), frameLow);
    store<i32>(pfns + ((<usize>i) << 3), frameHigh, 4);
  }
  store<f64>(block, lastDone, LAST_DONE * 8);
  add(counts, COUNT_REQUESTS, requests);
  add(counts, COUNT_IOTLB_LOOKUP, requests);
  add(counts, COUNT_IOTLB_HIT, requests - missed);
  addTicks(times, PART_WINDOW, windowTicks);
  addTicks(times, PART_LINK, linkTicks);
  addTicks(times, PART_MEMORY, memoryTicks);
  addTicks(times, PART_IOTLB_HIT, <f64>hits * hitTicks);
  store<i32>(block, stop, STOP * 4);
  return i;
}

/** Entry that translates the page, of whatever size, or -1 (Iotlb.lookup). */
function lookUp(block: usize, iotlb: usize, space: i32, low: i32, high: i32, generation: i32): i32 {
  const sizes = <i32>load<u8>(load<usize>(block, SIZES_IN_USE * 4) + <usize>space);
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
function walk(block: usize, slot: i32, kind: i32, space: i32, low: i32, high: i32, write: i32, arrival: f64): i32 {
  const first = kind === KIND_FIRST_STAGE;
  const rootLevel = <i32>load<u8>(load<usize>(block, BINDING_LEVEL * 4) + <usize>slot);
  if (!first && kind !== KIND_SECOND_STAGE) return -STOP_ROW;
  // The upper half of a first-stage address space is TypeScript's, as are addresses that are too wide.
  const widthBits = 9 * rootLevel - (first ? 1 : 0);
  if ((((<u64>(<u32>high)) << 32) | <u64>(<u32>low)) >> <u64>widthBits !== 0) return -STOP_ROW;
  const iotlb = load<usize>(block, IOTLB_HEADER * 4);
  const headers = block + ((first ? FS_HEADERS : SS_HEADERS) - 2) * 4;
  let stale = load<i32>(iotlb, CACHE_STALE * 4);
  for (let level = 2; level <= rootLevel; level++) {
    const cache = load<usize>(headers + ((<usize>level) << 2));
    if (cache !== 0) stale |= load<i32>(cache, CACHE_STALE * 4);
  }
  if (stale !== 0) return -STOP_STALE;

  // The walker that is free first; walks start at a limited rate.
  const busy = load<usize>(block, WALKER_BUSY * 4);
  const walkers = load<i32>(block, WALKER_COUNT * 4);
  let walker = busy;
  let walkerFree = load<f64>(busy);
  for (let other = 1; other < walkers; other++) {
    const at = busy + ((<usize>other) << 3);
    if (load<f64>(at) < walkerFree) {
      walkerFree = load<f64>(at);
      walker = at;
    }
  }
  const nextStart = load<usize>(block, NEXT_START * 4);
  let start = arrival;
  if (walkerFree > start) start = walkerFree;
  if (load<f64>(nextStart) > start) start = load<f64>(nextStart);

  // From the deepest cached table, or the root.
  const generation = load<i32>(load<usize>(block, NONLEAF_GENERATION * 4) + ((<usize>space) << 2));
  let level = deepest(block, headers, space, low, high, rootLevel, generation, start);
  const cached = level > 0;
  let table = load<i32>(load<usize>(block, BINDING_ROOT * 4) + ((<usize>slot) << 2));
  let prot = PERMISSION_READ | PERMISSION_WRITE;
  if (cached) {
    const path = block + ((<usize>(level + 1)) << 2);
    table = load<i32>(path, PATH_SLOT * 4);
    prot = load<i32>(path, PATH_PROT * 4);
  } else {
    level = rootLevel;
  }
  const dirty = load<u8>(load<usize>(block, BINDING_DIRTY * 4) + <usize>slot) === 1;
  const found = first
    ? firstStage(block, table, level, prot, low, high, write)
    : secondStage(block, table, level, prot, low, high, write, dirty);
  if (!found) return -STOP_ROW;

  // What it costs.
  const reads = load<i32>(block, LEAF_READS * 4);
  const fixedTicks = load<f64>(block, WALK_FIXED * 8);
  const readTicks = load<f64>(block, WALK_READ * 8);
  const pageTicks = <f64>reads * readTicks;
  const latency = fixedTicks + pageTicks;
  const occupied = latency + load<f64>(block + ((<usize>write) << 3), BUSY_EXTRA_READ * 8);
  store<f64>(walker, start + occupied);
  store<f64>(nextStart, start + load<f64>(block + ((<usize>write) << 3), INTERVAL_READ * 8));
  const counts = load<usize>(block, COUNTS * 4);
  add(counts, COUNT_CONTEXT_LOOKUP, 1);
  add(counts, COUNT_CONTEXT_HIT, 1);
  if (load<i32>(block, SCALABLE * 4) !== 0) {
    add(counts, COUNT_PASID_LOOKUP, 1);
    add(counts, COUNT_PASID_HIT, 1);
  }
  add(counts, first ? COUNT_FS_LOOKUP : COUNT_SS_LOOKUP, 1);
  if (cached) add(counts, first ? COUNT_FS_HIT : COUNT_SS_HIT, 1);
  add(counts, COUNT_MRDS, reads);
  add(counts, COUNT_WALKS, 1);
  add(counts, COUNT_WALKS_1_READ + min(reads, 4) - 1, 1);
  addTicks(counts, COUNT_PW_OCCUPANCY, occupied);
  if (walkerFree > arrival) addTicks(counts, COUNT_MEM_BLOCKED, walkerFree - arrival);
  const times = load<usize>(block, TIMES * 4);
  addTicks(times, PART_WALK_QUEUE, start - arrival);
  addTicks(times, PART_PAGE_WALK, latency);

  // Fills: each upper level from the end of its own read on, the leaf at the end.
  const size = load<i32>(block, LEAF_SIZE * 4);
  remember(block, headers, space, low, high, level, size + 1, generation, start + fixedTicks, readTicks);
  const used = load<usize>(block, SIZES_IN_USE * 4) + <usize>space;
  store<u8>(used, <u8>(<i32>load<u8>(used) | (1 << size)));
  const leafHigh = load<i32>(block, LEAF_HIGH * 4);
  const frameLow = ((leafHigh << 20) | <i32>(load<u32>(block, LEAF_LOW * 4) >> 12)) & ~((1 << (9 * size)) - 1);
  const domain = load<i32>(load<usize>(block, BINDING_DOMAIN * 4) + ((<usize>slot) << 2));
  const fields =
    (size << SIZE_SHIFT) | (load<i32>(block, LEAF_PROT * 4) << PROT_SHIFT) | ((leafHigh >> 12) & PFN_HIGH_MASK);
  const leafGeneration = load<i32>(load<usize>(block, LEAF_GENERATION * 4) + ((<usize>space) << 2));
  const entry = fill(
    iotlb,
    keyLow(low, high, size),
    keyHigh(space, high, size),
    leafGeneration,
    frameLow,
    (domain << DID_SHIFT) | fields,
  );
  store<f64>(load<usize>(iotlb, CACHE_READY * 4) + ((<usize>entry) << 3), start + latency);
  return entry;
}

/** Tags or credits come back from `returned` on, `spacing` apart; the ring stays sorted (DeviceLinks.giveBack). */
function giveBack(ring: usize, mask: i32, head: i32, tlps: i32, returned: f64, spacing: f64): void {
  let tag = returned;
  for (let tlp = 0; tlp < tlps; tlp++) {
    let at = head + tlp;
    for (;;) {
      const later = load<f64>(ring + ((<usize>((at - 1) & mask)) << 3));
      if (later <= tag) break;
      store<f64>(ring + ((<usize>(at & mask)) << 3), later);
      at--;
    }
    store<f64>(ring + ((<usize>(at & mask)) << 3), tag);
    tag += spacing;
  }
}

/** Whether no cache runs out of recency stamps within so many rows. */
function clocksLast(block: usize, rows: i32): bool {
  const limit = LAST_STAMP - rows * STAMPS_A_ROW;
  for (let header = IOTLB_HEADER; header < FS_HEADERS + 4; header++) {
    const cache = load<usize>(block + ((<usize>header) << 2));
    if (cache !== 0 && load<i32>(cache, CACHE_CLOCK * 4) > limit) return false;
  }
  return true;
}

function keyLow(low: i32, high: i32, size: i32): i32 {
  return <i32>((((<u64>(<u32>high)) << 32) | <u64>(<u32>low)) >> <u64>(9 * size));
}

function keyHigh(space: i32, high: i32, size: i32): i32 {
  return (space << SPACE_SHIFT) | (size << KEY_SIZE_SHIFT) | <i32>(<u32>high >> (9 * size));
}

function add(sums: usize, number: i32, count: i32): void {
  addTicks(sums, number, <f64>count);
}

function addTicks(sums: usize, number: i32, ticks: f64): void {
  const at = sums + ((<usize>number) << 3);
  store<f64>(at, load<f64>(at) + ticks);
}
