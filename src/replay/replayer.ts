/**
 * Replays one closed world: DMA of all its units and its control plane on one timeline. Between two events of the
 * timeline the data plane runs ahead on its own, up to the tick of the next event; an event is run when no DMA can
 * issue before it. DMA and control rows gate each other by their dependencies.
 */
import type { IommuUnit } from '../hw/unit.ts';
import type { Scheduler } from '../stack/kernel/scheduler.ts';
import type { Timeline } from '../timeline.ts';
import type { BundleReader } from '../trace/reader.ts';
import { NONE_U32 } from '../trace/schema/column-type.ts';
import type { DeviceTopology } from '../trace/schema/topology.ts';
import { NEVER } from '../units.ts';
import type { ControlCall } from './control-call.ts';
import { type ControlCalls, ControlPlayer, LOOKAHEAD_ROWS } from './control-player.ts';
import { ControlProgress } from './control-progress.ts';
import { ControlReader, type ControlRow } from './control-row.ts';
import type { DmaChunk } from './dma-chunk.ts';
import { DmaFeed } from './dma-feed.ts';
import type { ChunkSink } from './feed-options.ts';
import type { PacingClock } from './pacing.ts';
import type { ClosedWorld } from './shards.ts';

/** [rows] Chunks are at least this long, however few rows go into one call. */
const MIN_CHUNK_ROWS = 1024;
/** [rows] Longest chunk: what bounds the memory of a job. */
const MAX_CHUNK_ROWS = 65536;
/** [rows, events] After so many the replay lets its caller look around: a few hundredths of a second. */
const SLICE_ROWS = 65536;
const SLICE_EVENTS = 8192;
/** Events of the timeline without any row getting on, after which the replay is given up. */
const STALL_EVENTS = 20_000_000;
/** Calls that give a device tables, or are on the way to it. */
const ATTACHES: ReadonlySet<string> = new Set([
  'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
  'VFIO_GROUP_SET_CONTAINER',
  'VFIO_GROUP_GET_DEVICE_FD',
]);

/** Thrown when rows are left and nothing can happen any more; the message says where. */
export class ReplayStalledError extends Error {
  override readonly name = 'ReplayStalledError';
}

/** What a replay needs. */
export interface ReplayOptions {
  readonly bundle: BundleReader;
  readonly world: ClosedWorld;
  readonly timeline: Timeline;
  readonly scheduler: Scheduler;
  /** The unit with this index in `topology.units`. */
  readonly unitAt: (unitIndex: number) => IommuUnit;
  readonly calls: ControlCalls;
  readonly clock: PacingClock;
  /** [rows] Most rows per call of the data plane; changes no result. */
  readonly batchRows: number;
  /** [rows] See {@link DmaFeed}; for tests. */
  readonly skewRows?: number | undefined;
  readonly onChunk: ChunkSink;
  /** See FeedOptions.onIssued; with the unit's index. */
  readonly onIssued?: ((chunk: DmaChunk, from: number, to: number, unitIndex: number) => void) | undefined;
  readonly onCall: (call: ControlCall, row: ControlRow) => void;
}

/** Rows replayed. */
export interface ReplayCounts {
  readonly dmaRows: number;
  readonly controlRows: number;
  /** DMA rows that name a control row of a later sequence; that dependency was left out. */
  readonly forwardDependencies: number;
  /** The caller ended the replay before its end. */
  readonly stoppedEarly: boolean;
}

/** The loop of one replay. */
export class Replayer {
  readonly #timeline: Timeline;
  readonly #feeds: DmaFeed[] = [];
  readonly #feedOfUnit = new Map<number, DmaFeed>();
  readonly #player: ControlPlayer;
  /** Called when an attach of the device begins to wait for DMA. */
  onAttachWaits: ((device: number) => void) | undefined;
  /** Some feed's rows can make events. */
  readonly #makesEvents: boolean;

  constructor(options: ReplayOptions) {
    const { bundle, world, onIssued } = options;
    const { devices } = bundle.manifest.topology;
    this.#timeline = options.timeline;
    const progress = new ControlProgress(4 * LOOKAHEAD_ROWS);
    for (const unitIndex of world.units) {
      const stream = bundle.dma(unitIndex);
      if (stream === undefined || stream.rowCount === 0) continue;
      const chunkRows = Math.min(Math.max(options.batchRows, MIN_CHUNK_ROWS), MAX_CHUNK_ROWS);
      const feed = new DmaFeed({
        unit: options.unitAt(unitIndex),
        unitIndex,
        devices: world.devices.filter((device) => devices[device]?.unit === unitIndex),
        file: stream.file,
        chunks: stream.chunks(chunkRows),
        chunkRows,
        batchRows: options.batchRows,
        ...(options.skewRows === undefined ? {} : { skewRows: options.skewRows }),
        clock: options.clock,
        progress,
        ...(asksForPages(devices, world, unitIndex) ? { events: options.timeline } : {}),
        onChunk: options.onChunk,
        onIssued: onIssued && ((chunk, from, to) => onIssued(chunk, from, to, unitIndex)),
        onStop: (unit, row, doneTick) => this.#player.dmaDone(unit, row, doneTick),
      });
      this.#feeds.push(feed);
      this.#feedOfUnit.set(unitIndex, feed);
    }
    this.#makesEvents = this.#feeds.some((feed) => feed.makesEvents);
    this.#player = new ControlPlayer({
      reader: new ControlReader(bundle),
      world,
      scheduler: options.scheduler,
      clock: options.clock,
      progress,
      calls: options.calls,
      dma: {
        unitOf: (device) => (device === NONE_U32 ? (world.units[0] ?? -1) : (devices[device]?.unit ?? -1)),
        // A unit without DMA rows has none to wait for.
        doneTick: (unitIndex, row) => this.#feedOfUnit.get(unitIndex)?.doneTick(row) ?? 0,
        stopAfter: (unitIndex, row, waiting) => {
          this.#feedOfUnit.get(unitIndex)?.stopAfter(row);
          if (ATTACHES.has(waiting.op)) this.onAttachWaits?.(waiting.device);
        },
      },
      onLoad: (sequence) => {
        for (const feed of this.#feeds) feed.controlLoaded(sequence);
      },
      onDone: (row) => {
        for (const feed of this.#feeds) feed.controlDone(row);
      },
      onCall: options.onCall,
    });
  }

  /** Replays every row; throws {@link ReplayStalledError} when rows are left that wait for each other. */
  run(): ReplayCounts {
    const steps = this.steps();
    for (;;) {
      const step = steps.next(false);
      if (step.done === true) return step.value;
    }
  }

  /**
   * As {@link run}, in slices: yields between two, which changes no result. Answering a yield with true ends the replay
   * where it is.
   */
  *steps(): Generator<void, ReplayCounts, boolean> {
    const timeline = this.#timeline;
    this.#player.begin();
    let idleEvents = 0;
    let progress = -1;
    let sliceEvents = 0;
    this.#beginSlice();
    for (;;) {
      if (!this.#advanceDma() || ++sliceEvents > SLICE_EVENTS) {
        if (yield) return this.#counts(true);
        sliceEvents = 0;
        this.#beginSlice();
        continue;
      }
      if (timeline.next === NEVER) {
        // Nothing is left that could tell a stopped device to go on.
        if (this.#releaseAll()) continue;
        break;
      }
      const now = this.#progressCount();
      if (now === progress) {
        if (++idleEvents > STALL_EVENTS) this.#stalled(`${STALL_EVENTS} events`);
      } else {
        progress = now;
        idleEvents = 0;
      }
      timeline.run();
      if (this.#makesEvents) for (const feed of this.#feeds) feed.wake();
    }
    if (!this.#player.finished || this.#feeds.some((feed) => !feed.finished)) this.#stalled('the last event');
    return this.#counts(false);
  }

  #beginSlice(): void {
    for (const feed of this.#feeds) feed.beginSlice(SLICE_ROWS);
  }

  #counts(stoppedEarly: boolean): ReplayCounts {
    return {
      dmaRows: this.#feeds.reduce((rows, feed) => rows + feed.issuedRows, 0),
      controlRows: this.#player.playedRows,
      forwardDependencies: this.#feeds.reduce((rows, feed) => rows + feed.forwardDependencies, 0),
      stoppedEarly,
    };
  }

  /** A device issues nothing more until {@link release}. */
  hold(device: number): void {
    for (const feed of this.#feeds) feed.hold(device);
  }

  /** A device that was held goes on now. */
  release(device: number): void {
    for (const feed of this.#feeds) feed.release(device, this.#timeline.now);
  }

  #releaseAll(): boolean {
    let any = false;
    for (const feed of this.#feeds) if (feed.releaseAll(this.#timeline.now)) any = true;
    return any;
  }

  /** Issues all DMA that comes before the next event; false when the slice was over before that. @hot */
  #advanceDma(): boolean {
    const feeds = this.#feeds;
    if (feeds.length === 1) {
      const only = feeds[0]!;
      while (only.advance(this.#timeline.next)) if (only.sliceOver) return false;
      return true;
    }
    // Units do not influence each other, so each runs up to the next event alone, unless a control row waits for DMA:
    // it may schedule an event earlier than the next, which no unit may have passed. So may a row that asks for pages.
    while (this.#makesEvents || feeds.some((feed) => feed.stopCount > 0)) {
      let first = feeds[0]!;
      for (const feed of feeds) if (feed.nextKey < first.nextKey) first = feed;
      let limit = this.#timeline.next as number;
      if (first.nextKey >= limit) return true;
      for (const feed of feeds) {
        if (feed === first) continue;
        // A tie goes to the lower unit.
        const key = first.unitIndex < feed.unitIndex ? feed.nextKey + 1 : feed.nextKey;
        if (key < limit) limit = key;
      }
      if (first.advance(limit) && first.sliceOver) return false;
    }
    for (const feed of feeds) if (feed.advance(this.#timeline.next) && feed.sliceOver) return false;
    return true;
  }

  #progressCount(): number {
    let count = this.#player.playedRows;
    for (const feed of this.#feeds) count += feed.issuedRows;
    return count;
  }

  #stalled(since: string): never {
    const where = this.#feeds.filter((feed) => !feed.finished).map((feed) => feed.describeStall());
    where.push(this.#player.describeStall());
    throw new ReplayStalledError(`no progress since ${since} at ${this.#timeline.now} ps: ${where.join('; ')}`);
  }
}

/** True when a device behind the unit sends page requests. */
function asksForPages(devices: readonly DeviceTopology[], world: ClosedWorld, unit: number): boolean {
  return world.devices.some((index) => devices[index]?.unit === unit && devices[index].ats && devices[index].pri);
}
