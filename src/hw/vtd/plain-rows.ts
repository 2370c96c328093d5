/**
 * The compiled loop of the data plane (plain-rows/index.ts) and its block of parameters: where the state of the unit
 * is, and which rows it may handle. What the loop leaves alone is handled by {@link DataPlane}, to the same bits; see
 * `VtdUnitOptions.plainRows` for replaying without it.
 */
import type { LinearMemory } from '../linear-memory.ts';
import type { PhysicalMemory } from '../memory.ts';
import type { ReplacementPolicy } from '../set-assoc.ts';
import { allocateBatch, type DmaBatch, type DmaColumns, type ResultColumns } from '../unit.ts';
import type { SharedDeviceState } from './data-plane.ts';
import * as Word from './plain-rows/words.ts';
import { PLAIN_ROWS_WASM } from './plain-rows-binary.ts';
import type { Translator } from './translator.ts';
import { leafLevels } from './walker.ts';

const MODULE = new WebAssembly.Module(Buffer.from(PLAIN_ROWS_WASM, 'base64'));
/** [rows] Rows in columns of their own are copied in and out so many at a time. */
const STAGED_ROWS = 256;
/** Policies that the loop knows. */
const POLICIES: readonly ReplacementPolicy[] = ['lru', 'fifo'];

type Run = (block: number, from: number, to: number, limit: number, nextEffect: number) => number;

/** Hands rows to the compiled loop. */
export class PlainRows {
  /** Why the last {@link run} stopped: a STOP_ number. */
  stop: number = Word.STOP_END;

  readonly #memory: PhysicalMemory;
  readonly #linear: LinearMemory;
  readonly #translator: Translator;
  readonly #block: Int32Array;
  readonly #ticks: Float64Array;
  readonly #run: Run;
  #input: DmaColumns | undefined;
  #results: ResultColumns | undefined;
  #staged: DmaBatch | undefined;

  /** Undefined when the unit is of a kind that the loop does not model. */
  static forUnit(translator: Translator, memory: PhysicalMemory, state: SharedDeviceState): PlainRows | undefined {
    const { iotlbRules, iotlb, translation } = translator.config;
    const plain = iotlbRules.tag === 'domain' && !translation.releaseInOrder && POLICIES.includes(iotlb.policy);
    return plain ? new PlainRows(translator, memory, state) : undefined;
  }

  private constructor(translator: Translator, memory: PhysicalMemory, state: SharedDeviceState) {
    this.#memory = memory;
    this.#linear = memory.linear;
    this.#translator = translator;
    const ticks = memory.linear.float64(Word.BLOCK_LENGTH);
    const block = new Int32Array(ticks.buffer, ticks.byteOffset, Word.BLOCK_LENGTH * 2);
    this.#ticks = ticks;
    this.#block = block;
    const hintBits = Math.ceil(Math.log2(translator.config.iotlb.entries)) + 1;
    block[Word.HINTS] = memory.linear.int32(2 ** hintBits).byteOffset;
    block[Word.HINT_SHIFT] = 32 - hintBits;
    this.#writeState(state);
    this.#writeTiming();
    const { exports } = new WebAssembly.Instance(MODULE, { env: { memory: memory.linear.memory } });
    this.#run = exports['run'] as Run;
  }

  /** [ps] Completion of the plain row that completed last. */
  get lastDoneTick(): number {
    return this.#ticks[Word.LAST_DONE]!;
  }

  /**
   * Replays plain rows from `from` on; returns the row it stopped at and leaves the reason in {@link stop}. Of a row
   * that issues at or after `limit` the issue tick is written. @hot
   */
  run(input: DmaColumns, from: number, to: number, limit: number, nextEffect: number, out: ResultColumns): number {
    this.#refresh();
    const linear = this.#linear;
    if (input.home === linear && out.home === linear) {
      if (input !== this.#input || out !== this.#results) this.#writeColumns(input, out);
      const reached = this.#run(this.#block.byteOffset, from, to, limit, nextEffect);
      this.stop = this.#block[Word.STOP]!;
      return reached;
    }
    return this.#runStaged(input, from, to, limit, nextEffect, out);
  }

  /** By copies, for columns that lie elsewhere. */
  #runStaged(
    input: DmaColumns,
    from: number,
    to: number,
    limit: number,
    nextEffect: number,
    out: ResultColumns,
  ): number {
    this.#staged ??= allocateBatch(STAGED_ROWS, this.#linear, this.#linear);
    const { input: ours, results } = this.#staged;
    if (ours !== this.#input || results !== this.#results) this.#writeColumns(ours, results);
    let row = from;
    do {
      const end = Math.min(to, row + STAGED_ROWS);
      ours.notBefore.set(input.notBefore.subarray(row, end));
      ours.device.set(input.device.subarray(row, end));
      ours.pasid.set(input.pasid.subarray(row, end));
      ours.iova.set(input.iova.subarray(2 * row, 2 * end));
      ours.bytes.set(input.bytes.subarray(row, end));
      ours.flags.set(input.flags.subarray(row, end));
      const count = this.#run(this.#block.byteOffset, 0, end - row, limit, nextEffect);
      this.stop = this.#block[Word.STOP]!;
      if (this.stop === Word.STOP_LIMIT) out.issueTick[row + count] = results.issueTick[count]!;
      out.issueTick.set(results.issueTick.subarray(0, count), row);
      out.arriveTick.set(results.arriveTick.subarray(0, count), row);
      out.readyTick.set(results.readyTick.subarray(0, count), row);
      out.doneTick.set(results.doneTick.subarray(0, count), row);
      out.outcome.set(results.outcome.subarray(0, count), row);
      out.fault.set(results.fault.subarray(0, count), row);
      out.walkReads.set(results.walkReads.subarray(0, count), row);
      out.pageShift.set(results.pageShift.subarray(0, count), row);
      out.pfn.set(results.pfn.subarray(0, 2 * count), 2 * row);
      row += count;
    } while (row < to && this.stop === Word.STOP_END);
    return row;
  }

  /** Arrays that grow are elsewhere afterwards. */
  #refresh(): void {
    const block = this.#block;
    const { bindings, spaces, resolver } = this.#translator;
    block[Word.FRAME_COUNT] = this.#memory.frameCount;
    block[Word.TABLE_WORDS] = this.#memory.words.byteOffset;
    block[Word.SCALABLE] = resolver.scalable ? 1 : 0;
    if (block[Word.BINDING_READY] !== bindings.readyTick.byteOffset) {
      block[Word.BINDING_READY] = bindings.readyTick.byteOffset;
      block[Word.BINDING_KIND] = bindings.kind.byteOffset;
      block[Word.BINDING_SPACE] = bindings.space.byteOffset;
      block[Word.BINDING_DOMAIN] = bindings.domainId.byteOffset;
      block[Word.BINDING_ROOT] = bindings.rootSlot.byteOffset;
      block[Word.BINDING_LEVEL] = bindings.rootLevel.byteOffset;
      block[Word.BINDING_DIRTY] = bindings.accessDirty.byteOffset;
    }
    if (block[Word.LAST_USE] !== spaces.lastUse.byteOffset) {
      block[Word.LAST_USE] = spaces.lastUse.byteOffset;
      block[Word.LEAF_GENERATION] = spaces.leaf.current.byteOffset;
      block[Word.NONLEAF_GENERATION] = spaces.nonLeaf.current.byteOffset;
      block[Word.SIZES_IN_USE] = spaces.sizesInUse.byteOffset;
    }
  }

  #writeColumns(input: DmaColumns, results: ResultColumns): void {
    this.#input = input;
    this.#results = results;
    const block = this.#block;
    block[Word.NOT_BEFORE] = input.notBefore.byteOffset;
    block[Word.DEVICE] = input.device.byteOffset;
    block[Word.PASID] = input.pasid.byteOffset;
    block[Word.IOVA] = input.iova.byteOffset;
    block[Word.BYTES] = input.bytes.byteOffset;
    block[Word.FLAGS] = input.flags.byteOffset;
    block[Word.ISSUE] = results.issueTick.byteOffset;
    block[Word.ARRIVE] = results.arriveTick.byteOffset;
    block[Word.READY] = results.readyTick.byteOffset;
    block[Word.DONE] = results.doneTick.byteOffset;
    block[Word.OUTCOME] = results.outcome.byteOffset;
    block[Word.FAULT] = results.fault.byteOffset;
    block[Word.WALK_READS] = results.walkReads.byteOffset;
    block[Word.PAGE_SHIFT] = results.pageShift.byteOffset;
    block[Word.PFN] = results.pfn.byteOffset;
  }

  #writeState({ links, lastIssue, progress }: SharedDeviceState): void {
    const block = this.#block;
    const { bindings, iotlb, ssPaging, fsPaging, schedule, counters, times, config } = this.#translator;
    block[Word.REQUESTER_OF] = bindings.requesterOf.byteOffset;
    block[Word.LAST_PASID] = bindings.lastPasid.byteOffset;
    block[Word.LAST_SLOT] = bindings.lastSlot.byteOffset;
    block[Word.SHAPES] = links.shapes.byteOffset;
    block[Word.SHAPE_TLPS] = links.shapeTlps.byteOffset;
    block[Word.DEVICE_TICKS] = links.devices.byteOffset;
    block[Word.HEADS] = links.heads.byteOffset;
    block[Word.RING] = links.ring.byteOffset;
    block[Word.RING_SHIFT] = links.ringShift;
    block[Word.RING_MASK] = links.ringMask;
    block[Word.MAX_READ_BYTES] = links.maxReadChunkBytes;
    block[Word.MAX_WRITE_BYTES] = links.maxWriteChunkBytes;
    block[Word.LAST_ISSUE] = lastIssue.byteOffset;
    block[Word.BYTES_DONE] = progress.bytesDone.byteOffset;
    block[Word.IOTLB_HEADER] = iotlb.cache.header.byteOffset;
    let walks = !config.translation.serialiseRegion;
    for (let level = 2; level <= 5; level++) {
      block[Word.SS_HEADERS + level - 2] = ssPaging.level(level)?.header.byteOffset ?? 0;
      block[Word.FS_HEADERS + level - 2] = fsPaging.level(level)?.header.byteOffset ?? 0;
      const policy = config.pagingCaches[level]?.policy ?? 'lru';
      walks &&= POLICIES.includes(policy);
    }
    block[Word.WALKS] = walks ? 1 : 0;
    const leaves = leafLevels(config.cap);
    block[Word.SS_LEAF_LEVELS] = leaves.second;
    block[Word.FS_LEAF_LEVELS] = leaves.first;
    block[Word.WALKER_BUSY] = schedule.walkers.busyUntil.byteOffset;
    block[Word.WALKER_COUNT] = config.translation.walkers;
    block[Word.PORT_FREE] = schedule.portFree.byteOffset;
    block[Word.COUNTS] = counters.values.byteOffset;
    block[Word.TIMES] = times.low.byteOffset;
  }

  #writeTiming(): void {
    const ticks = this.#ticks;
    const { translation, link } = this.#translator.config;
    ticks[Word.HIT] = translation.hitTicks;
    ticks[Word.ONE_WAY] = link.oneWayTicks;
    ticks[Word.MEMORY_READ] = link.memoryReadTicks;
    ticks[Word.MEMORY_WRITE] = link.memoryWriteTicks;
    ticks[Word.WALK_FIXED] = translation.walkFixedTicks;
    ticks[Word.WALK_READ] = translation.walkReadTicks;
    ticks[Word.BUSY_EXTRA] = translation.busyExtraTicks;
    ticks[Word.WALK_INTERVAL] = translation.walkIntervalTicks;
    ticks[Word.READ_DELAY] = link.readPortDelayTicks;
  }
}
