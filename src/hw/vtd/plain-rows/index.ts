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
import { CACHE_CLOCK, CACHE_READY, CACHE_TAGS, CACHE_VALUES, LAST_STAMP } from '../../cache-header';
import { mix, touch } from './cache';
import { lookUp, miss, page } from './miss';
import { add, addTicks } from './sums';
import * as Word from './words';

/** Stamps that one row may take from the clock of a cache: two look-ups and a fill. */
const STAMPS_A_ROW = 3;

/**
 * Replays rows `from` .. `to` - 1 until one issues at or after `limit`, arrives at or after `nextEffect`, or is not
 * plain. Returns the row it stopped at, `to` when none; the reason is in the block.
 */
export function run(block: usize, from: i32, to: i32, limit: f64, nextEffect: f64): i32 {
  const hitTicks = load<f64>(block, Word.HIT * 8);
  const oneWayTicks = load<f64>(block, Word.ONE_WAY * 8);
  const memoryReadTicks = load<f64>(block, Word.MEMORY_READ * 8);
  const readDelayTicks = load<f64>(block, Word.READ_DELAY * 8);
  const memoryWriteTicks = load<f64>(block, Word.MEMORY_WRITE * 8);
  const notBefores = load<usize>(block, Word.NOT_BEFORE * 4);
  const devices = load<usize>(block, Word.DEVICE * 4);
  const pasids = load<usize>(block, Word.PASID * 4);
  const iovas = load<usize>(block, Word.IOVA * 4);
  const sizes = load<usize>(block, Word.BYTES * 4);
  const flagColumn = load<usize>(block, Word.FLAGS * 4);
  const issues = load<usize>(block, Word.ISSUE * 4);
  const arrivals = load<usize>(block, Word.ARRIVE * 4);
  const readies = load<usize>(block, Word.READY * 4);
  const dones = load<usize>(block, Word.DONE * 4);
  const outcomes = load<usize>(block, Word.OUTCOME * 4);
  const faults = load<usize>(block, Word.FAULT * 4);
  const walkReads = load<usize>(block, Word.WALK_READS * 4);
  const pageShifts = load<usize>(block, Word.PAGE_SHIFT * 4);
  const pfns = load<usize>(block, Word.PFN * 4);
  const shapes = load<usize>(block, Word.SHAPES * 4);
  const shapeTlps = load<usize>(block, Word.SHAPE_TLPS * 4);
  const deviceTicks = load<usize>(block, Word.DEVICE_TICKS * 4);
  const heads = load<usize>(block, Word.HEADS * 4);
  const rings = load<usize>(block, Word.RING * 4);
  const ringShift = load<i32>(block, Word.RING_SHIFT * 4) + 3;
  const ringMask = load<i32>(block, Word.RING_MASK * 4);
  const lastIssues = load<usize>(block, Word.LAST_ISSUE * 4);
  const bytesDone = load<usize>(block, Word.BYTES_DONE * 4);
  const iotlb = load<usize>(block, Word.IOTLB_HEADER * 4);
  const counts = load<usize>(block, Word.COUNTS * 4);
  const times = load<usize>(block, Word.TIMES * 4);
  const walks = load<i32>(block, Word.WALKS * 4) !== 0;
  const portFree = load<usize>(block, Word.PORT_FREE * 4);
  const hints = load<usize>(block, Word.HINTS * 4);
  const hintShift = load<u32>(block, Word.HINT_SHIFT * 4);
  const tags = load<usize>(iotlb, CACHE_TAGS * 4);
  const values = load<usize>(iotlb, CACHE_VALUES * 4);
  const validFroms = load<usize>(iotlb, CACHE_READY * 4);
  let lastDone = load<f64>(block, Word.LAST_DONE * 8);
  let windowTicks: f64 = 0;
  let linkTicks: f64 = 0;
  let memoryTicks: f64 = 0;
  let requests = 0;
  let hits = 0;
  let missed = 0;
  let stop = clocksLast(block, to - from) ? Word.STOP_END : Word.STOP_ROW;
  let i = from;
  if (stop !== Word.STOP_END) to = from;
  for (; i < to; i++) {
    const device = <usize>load<u16>(devices + ((<usize>i) << 1));
    const flags = <i32>load<u8>(flagColumn + <usize>i);
    const size = load<u32>(sizes + ((<usize>i) << 2));
    const low = load<i32>(iovas + ((<usize>i) << 3));
    const high = load<i32>(iovas + ((<usize>i) << 3), 4);
    const write = flags & 1;
    const most = load<u32>(block + ((<usize>write) << 2), Word.MAX_READ_BYTES * 4);
    if (flags > 1 || (low & 4095) + size > 4096 || size > most || load<i32>(bytesDone + (device << 2)) !== 0) {
      stop = Word.STOP_ROW;
      break;
    }

    // When the request issues (DeviceLinks.offer).
    const port = (device << 1) | write;
    const shape = <usize>write * (Word.MAX_REQUEST + 1) + size;
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
    if (load<f64>(next, Word.PORT_NEXT_ISSUE * 8) > issue) issue = load<f64>(next, Word.PORT_NEXT_ISSUE * 8);
    if (load<f64>(state, Word.PORT_UP_FREE * 8) > issue) issue = load<f64>(state, Word.PORT_UP_FREE * 8);
    if (tlps === 0) {
      stop = Word.STOP_ROW;
      break;
    }
    store<f64>(issues + ((<usize>i) << 3), issue);
    if (issue >= limit) {
      stop = Word.STOP_LIMIT;
      break;
    }
    const figures = shapes + (shape << 6);
    const serial = load<f64>(figures, Word.SHAPE_SERIAL * 8);
    const step = load<f64>(figures, Word.SHAPE_STEP * 8);
    const flight = serial + oneWayTicks;
    const arrival = issue + flight;
    if (arrival >= nextEffect) {
      stop = Word.STOP_ROW;
      break;
    }

    // By what it is translated.
    let slot = load<i32>(load<usize>(block, Word.REQUESTER_OF * 4) + (device << 2));
    const pasid = load<i32>(pasids + ((<usize>i) << 2));
    if (pasid !== 0) {
      if (load<i32>(load<usize>(block, Word.LAST_PASID * 4) + ((<usize>slot) << 2)) !== pasid) {
        stop = Word.STOP_ROW;
        break;
      }
      slot = load<i32>(load<usize>(block, Word.LAST_SLOT * 4) + ((<usize>slot) << 2));
    }
    const pageLow = <i32>(<u32>low >> 12) | (high << 20);
    const pageHigh = <i32>(<u32>high >> 12);
    if (
      arrival < load<f64>(load<usize>(block, Word.BINDING_READY * 4) + ((<usize>slot) << 3)) ||
      pageHigh > Word.PAGE_HIGH_LIMIT ||
      (write !== 0 && pasid === 0 && pageHigh === 0 && <u32>pageLow >> 8 === 0xfee)
    ) {
      stop = Word.STOP_ROW;
      break;
    }

    // The IOTLB, by the page sizes in use; then the tables.
    const space = load<i32>(load<usize>(block, Word.BINDING_SPACE * 4) + ((<usize>slot) << 2));
    const needed = 1 << write;
    let ready = arrival;
    let outcome = Word.OUTCOME_HIT;
    let reads = 0;
    let pageSize = 0;
    let frameLow = pageLow;
    let frameHigh = pageHigh;
    let shift = 0;
    const kind = <i32>load<u8>(load<usize>(block, Word.BINDING_KIND * 4) + <usize>slot);
    // Addresses that are too wide, and the upper half of a first-stage address space, are TypeScript's.
    const level = <u64>load<u8>(load<usize>(block, Word.BINDING_LEVEL * 4) + <usize>slot);
    const width = 9 * level - (kind === Word.KIND_SECOND_STAGE ? 0 : 1);
    if (kind !== Word.KIND_PASS_THROUGH && page(pageLow, pageHigh) >> width !== 0) {
      stop = Word.STOP_ROW;
      break;
    }
    if (kind === Word.KIND_PASS_THROUGH) {
      outcome = Word.OUTCOME_PASS_THROUGH;
      ready += hitTicks;
      add(counts, Word.COUNT_PASS_THROUGH, tlps);
      hits++;
    } else {
      const key1 = (space << Word.SPACE_SHIFT) | pageHigh;
      const generation = load<i32>(load<usize>(block, Word.LEAF_GENERATION * 4) + ((<usize>space) << 2));
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
        if (((value1 >> Word.PROT_SHIFT) & needed) === 0) {
          stop = Word.STOP_ROW;
          break;
        }
        const validFrom = load<f64>(validFroms + ((<usize>entry) << 3));
        if (validFrom > arrival) {
          outcome = Word.OUTCOME_MERGED;
          add(counts, Word.COUNT_RELOOKUP, tlps);
          add(counts, Word.COUNT_MERGED, 1);
          addTicks(times, Word.PART_WALK_QUEUE, validFrom - arrival);
          ready = validFrom;
        }
        ready += hitTicks;
        hits++;
        pageSize = (value1 >> Word.SIZE_SHIFT) & 3;
        frameLow = load<i32>(values + ((<usize>entry) << 3));
        frameHigh = value1 & Word.PFN_HIGH_MASK;
      } else {
        const filled = walks ? miss(block, slot, kind, space, pageLow, pageHigh, write, arrival) : -Word.STOP_ROW;
        if (filled < 0) {
          stop = -filled;
          break;
        }
        outcome = Word.OUTCOME_MISS;
        add(counts, Word.COUNT_RELOOKUP, tlps - 1);
        missed++;
        reads = load<i32>(block, Word.LEAF_READS * 4);
        pageSize = load<i32>(block, Word.LEAF_SIZE * 4);
        ready = load<f64>(validFroms + ((<usize>filled) << 3));
        frameLow = load<i32>(values + ((<usize>filled) << 3));
        frameHigh = load<i32>(values + ((<usize>filled) << 3), 4) & Word.PFN_HIGH_MASK;
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
    store<f64>(next, last + step, Word.PORT_NEXT_ISSUE * 8);
    store<f64>(state, last + serial, Word.PORT_UP_FREE * 8);
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
      // Walks start behind the lines of the read (WalkSchedule.readData).
      const portTicks = load<f64>(figures, Word.SHAPE_PORT * 8);
      if (portTicks > 0) {
        const taken = load<f64>(portFree);
        let free = arrival + portTicks;
        if (taken > arrival) free = taken + portTicks;
        let latest = load<f64>(portFree, 8);
        if (latest < arrival) latest = arrival;
        latest += readDelayTicks;
        if (latest < free) free = latest;
        if (free > taken) store<f64>(portFree, free);
      }
      spacing = load<f64>(figures, Word.SHAPE_DOWN_STEP * 8);
      let sent = arrival + hitTicks + memoryReadTicks;
      const downFree = load<f64>(state, Word.PORT_DOWN_FREE * 8);
      if (downFree > sent) sent = downFree;
      sent += load<f64>(figures, Word.SHAPE_DOWN_TOTAL * 8);
      store<f64>(state, sent, Word.PORT_DOWN_FREE * 8);
      done = memory + spacing;
      if (sent > done) done = sent;
      done += oneWayTicks;
      back = done + load<f64>(figures, Word.SHAPE_HOLD * 8);
    }
    memoryTicks += done - ready;
    if (done > lastDone) lastDone = done;
    const lastUse = load<usize>(block, Word.LAST_USE * 4) + ((<usize>space) << 3);
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
  store<f64>(block, lastDone, Word.LAST_DONE * 8);
  add(counts, Word.COUNT_REQUESTS, requests);
  add(counts, Word.COUNT_IOTLB_LOOKUP, requests);
  add(counts, Word.COUNT_IOTLB_HIT, requests - missed);
  addTicks(times, Word.PART_WINDOW, windowTicks);
  addTicks(times, Word.PART_LINK, linkTicks);
  addTicks(times, Word.PART_MEMORY, memoryTicks);
  addTicks(times, Word.PART_IOTLB_HIT, <f64>hits * hitTicks);
  store<i32>(block, stop, Word.STOP * 4);
  return i;
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
  for (let header = Word.IOTLB_HEADER; header < Word.FS_HEADERS + 4; header++) {
    const cache = load<usize>(block + ((<usize>header) << 2));
    if (cache !== 0 && load<i32>(cache, CACHE_CLOCK * 4) > limit) return false;
  }
  return true;
}
