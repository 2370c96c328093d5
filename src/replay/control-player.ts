/**
 * Plays the control plane: loads rows in sequence, starts each when what it depends on is complete and its pacing
 * allows, and reports completions. At most {@link LOOKAHEAD_ROWS} rows are in memory, whatever the trace length.
 */
import type { Scheduler, TaskHandle } from '../stack/kernel/scheduler.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import type { Tick } from '../units.ts';
import type { ControlCall } from './control-call.ts';
import { type ControlProgress, INCOMPLETE } from './control-progress.ts';
import { type ControlReader, type ControlRow, isGlobal } from './control-row.ts';
import { ControlNode, Scoreboard } from './dependency.ts';
import type { PacingClock } from './pacing.ts';
import type { ClosedWorld } from './shards.ts';

/** [rows] Rows that may be in flight behind the oldest incomplete one. */
export const LOOKAHEAD_ROWS = 1024;

/** What a modelled call came to. */
export interface CallOutcome {
  /** 0 or positive, or a negative errno. */
  readonly result: number;
  /** True when the model has no such call, or the row refers to something unknown. */
  readonly skipped?: boolean | undefined;
}

/** Modelled kernel calls by control row. */
export interface ControlCalls {
  /** The call of a row, as a task that starts when the row does. */
  perform(row: ControlRow): KernelTask<CallOutcome>;
}

/** The data plane as the control plane sees it. */
export interface DmaProgress {
  /** Unit that serves a device (NONE_U32: the first of the world); -1 when it has none. */
  unitOf(device: number): number;
  /** [ps] Completion of a row of a unit; 0 = long ago, -1 = not issued. */
  doneTick(unitIndex: number, row: number): number;
  /** Asks for {@link ControlPlayer.dmaDone} once the row has been issued: `waiting` cannot start before. */
  stopAfter(unitIndex: number, row: number, waiting: ControlRow): void;
}

/** What a player needs. */
export interface PlayerOptions {
  readonly reader: ControlReader;
  readonly world: ClosedWorld;
  readonly scheduler: Scheduler;
  readonly clock: PacingClock;
  readonly progress: ControlProgress;
  readonly calls: ControlCalls;
  readonly dma: DmaProgress;
  /** A row was loaded: every row before this sequence is known. */
  readonly onLoad: (sequence: number) => void;
  /** A row completed: DMA that depends on it may go on. */
  readonly onDone: (row: number) => void;
  /** A call completed; the row is reused after this. */
  readonly onCall: (call: ControlCall, row: ControlRow) => void;
}

/** Plays one closed world's rows. */
export class ControlPlayer {
  readonly #options: PlayerOptions;
  readonly #scoreboard = new Scoreboard();
  readonly #devices: ReadonlySet<number>;
  readonly #contexts: ReadonlySet<number>;
  /** Rows in flight in sequence; complete ones are dropped from the front. */
  readonly #window: (ControlNode | undefined)[] = [];
  #windowHead = 0;
  /** Nodes that can be filled again. */
  readonly #free: ControlNode[] = [];
  readonly #byDma = new Map<string, ControlNode[]>();
  #loadedEnd = 0;
  #exhausted = false;
  #played = 0;

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.#devices = new Set(options.world.devices);
    this.#contexts = new Set(options.world.contexts);
  }

  /** Rows of this world that were played. */
  get playedRows(): number {
    return this.#played;
  }

  /** True when every row is complete. */
  get finished(): boolean {
    return this.#exhausted && this.#windowHead === this.#window.length;
  }

  /** Loads the first rows; events on the timeline do the rest. */
  begin(): void {
    this.#load();
  }

  /** A row announced by {@link DmaProgress.stopAfter} was issued and completes at `doneTick` [ps]. */
  dmaDone(unitIndex: number, row: number, doneTick: number): void {
    const key = dmaKey(unitIndex, row);
    const nodes = this.#byDma.get(key);
    if (nodes === undefined) return;
    this.#byDma.delete(key);
    for (const node of nodes) this.#start(node, doneTick);
  }

  /** First row that is not complete and what it waits for: for the message when nothing moves any more. */
  describeStall(): string {
    const node = this.#window[this.#windowHead];
    if (node === undefined) return 'the control plane is complete';
    const { row } = node;
    const why =
      node.pending > 0
        ? 'waits for an earlier call'
        : row.afterDma > 0
          ? `waits for DMA row ${row.afterDma - 1}`
          : 'has not ended';
    return `control row ${row.row} (${row.op}) ${why}`;
  }

  #load(): void {
    const { reader, progress, onDone, onLoad } = this.#options;
    while (!this.#exhausted && this.#loadedEnd < this.#oldestRow() + LOOKAHEAD_ROWS) {
      const node = this.#free.pop() ?? new ControlNode();
      const { row } = node;
      if (!reader.nextInto(row)) {
        this.#exhausted = true;
        return;
      }
      this.#loadedEnd = row.row + 1;
      progress.load(row.sequence);
      if (!this.#belongs(row)) {
        this.#free.push(node);
        progress.complete(row.row, 0);
        onDone(row.row);
        continue;
      }
      onLoad(row.sequence);
      this.#scoreboard.add(node);
      this.#window.push(node);
      if (node.pending === 0) this.#ready(node);
    }
  }

  #belongs(row: ControlRow): boolean {
    return isGlobal(row) || this.#devices.has(row.device) || this.#contexts.has(row.context);
  }

  #oldestRow(): number {
    return this.#window[this.#windowHead]?.row.row ?? this.#loadedEnd;
  }

  /** Every earlier call it depends on is complete. */
  #ready(node: ControlNode): void {
    const { row } = node;
    if (row.afterDma === 0) {
      this.#start(node, 0);
      return;
    }
    const { dma } = this.#options;
    const unitIndex = dma.unitOf(row.device);
    const doneTick = dma.doneTick(unitIndex, row.afterDma - 1);
    if (doneTick !== INCOMPLETE) {
      this.#start(node, doneTick);
      return;
    }
    const key = dmaKey(unitIndex, row.afterDma - 1);
    const nodes = this.#byDma.get(key);
    if (nodes === undefined) this.#byDma.set(key, [node]);
    else nodes.push(node);
    dma.stopAfter(unitIndex, row.afterDma - 1, row);
  }

  readonly #waiterReady = (waiter: ControlNode): void => this.#ready(waiter);

  #start(node: ControlNode, notBefore: number): void {
    const { scheduler, clock, calls } = this.#options;
    const paced = clock.tickOf(node.row.timeNs);
    const atTick = Math.max(paced, notBefore, scheduler.timeline.now) as Tick;
    // A generator's body starts with its first step: the call sees the machine as it is at `atTick`.
    scheduler.start(calls.perform(node.row), { atTick, onDone: (handle) => this.#complete(node, handle) });
  }

  #complete(node: ControlNode, handle: TaskHandle<CallOutcome>): void {
    const { row } = node;
    const { progress, onDone, onCall } = this.#options;
    const outcome = handle.result as CallOutcome;
    this.#played++;
    progress.complete(row.row, handle.endTick);
    const call: ControlCall = {
      row: row.row,
      op: row.op,
      cpu: row.cpu,
      device: row.device,
      text: row.text,
      startTick: handle.startTick,
      endTick: handle.endTick,
      account: handle.account,
      result: outcome.result,
      recordedResult: row.recordedResult,
      skipped: outcome.skipped === true,
    };
    onCall(call, row);
    onDone(row.row);
    this.#scoreboard.complete(node, this.#waiterReady);
    this.#drop();
    this.#load();
  }

  #drop(): void {
    for (let node = this.#window[this.#windowHead]; node?.done === true; node = this.#window[this.#windowHead]) {
      this.#free.push(node);
      this.#window[this.#windowHead] = undefined;
      this.#windowHead++;
    }
    if (this.#windowHead > LOOKAHEAD_ROWS) {
      this.#window.splice(0, this.#windowHead);
      this.#windowHead = 0;
    }
  }
}

function dmaKey(unitIndex: number, row: number): string {
  return `${unitIndex} ${row}`;
}
