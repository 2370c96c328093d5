/**
 * DMA of an import by column: what was decided on each access, and the rows that come of it. An object for each would be
 * most of an import's memory.
 */
import { allocateColumns, type Columns, writeU64 } from '../columns.ts';
import { DMA_SCHEMA } from '../schema/dma-stream.ts';
import { OBSERVED_DMA_SCHEMA, ObservedOutcome } from '../schema/observed-streams.ts';
import type { AccessShape } from './access-shape.ts';
import type { FaultEvent, TranslateEvent } from './device-event.ts';

/** What was decided on the DMA of a device-model log, by index of the device event. */
export class DecidedAccesses {
  /** Events that are DMA of the window. */
  count = 0;
  readonly device: Uint16Array;
  /** [bytes] */
  readonly bytes: Uint32Array;
  readonly write: Uint8Array;
  /** DmaProvenance bits. */
  readonly provenance: Uint8Array;
  /** Call that must be complete before it; -1 = none. */
  readonly afterCall: Int32Array;
  readonly learned: Uint8Array;
  readonly #decided: Uint8Array;

  constructor(eventCount: number) {
    this.device = new Uint16Array(eventCount);
    this.bytes = new Uint32Array(eventCount);
    this.write = new Uint8Array(eventCount);
    this.provenance = new Uint8Array(eventCount);
    this.afterCall = new Int32Array(eventCount);
    this.learned = new Uint8Array(eventCount);
    this.#decided = new Uint8Array(eventCount);
  }

  /** True when `event` is DMA of the window. @hot */
  has(event: number): boolean {
    return this.#decided[event] === 1;
  }

  /** Decides on `event`, once. @hot */
  set(event: number, device: number, shape: AccessShape, afterCall: number, learned: boolean): void {
    this.#decided[event] = 1;
    this.count++;
    this.device[event] = device;
    this.bytes[event] = shape.bytes;
    this.write[event] = shape.write ? 1 : 0;
    this.provenance[event] = shape.provenance;
    this.afterCall[event] = afterCall;
    this.learned[event] = learned ? 1 : 0;
  }
}

/** Rows of `dma` and, row by row beside them, of `observed-dma`. */
export class DmaRows {
  /** [rows] */
  length = 0;
  readonly dma: Columns<typeof DMA_SCHEMA>;
  readonly observed: Columns<typeof OBSERVED_DMA_SCHEMA>;

  /** Room for `capacity` [rows]. */
  constructor(capacity: number) {
    this.dma = allocateColumns(DMA_SCHEMA, capacity);
    this.observed = allocateColumns(OBSERVED_DMA_SCHEMA, capacity);
  }

  /** Appends the rows of device event `index`; `timeNs` [ns] is since the bundle's origin. @hot */
  push(
    event: TranslateEvent | FaultEvent,
    accesses: DecidedAccesses,
    index: number,
    sequence: number,
    timeNs: number,
  ): void {
    const { dma, observed } = this;
    const row = this.length++;
    dma.sequence[row] = sequence;
    writeU64(dma.timeNs, row, timeNs);
    dma.device[row] = accesses.device[index]!;
    writeU64(dma.iova, row, event.iova);
    dma.bytes[row] = accesses.bytes[index]!;
    dma.flags[row] = accesses.write[index]!;
    dma.provenance[row] = accesses.provenance[index]!;
    dma.afterControl[row] = accesses.afterCall[index]! + 1;
    observed.inWindow[row] = 1;
    observed.learned[row] = accesses.learned[index]!;
    if (event.kind === 'fault') {
      observed.outcome[row] = ObservedOutcome.fault;
      observed.fault[row] = event.reason;
      return;
    }
    observed.outcome[row] = ObservedOutcome[event.outcome];
    observed.pageShift[row] = event.pageShift;
    writeU64(observed.pfn, row, event.pfn);
  }

  /** Devices that issue, in order of first appearance. */
  devices(): Set<number> {
    const devices = new Set<number>();
    for (let row = 0; row < this.length; row++) devices.add(this.dma.device[row]!);
    return devices;
  }

  /** Rows whose page was learned from them. */
  learnedCount(): number {
    let count = 0;
    for (let row = 0; row < this.length; row++) count += this.observed.learned[row]!;
    return count;
  }
}
