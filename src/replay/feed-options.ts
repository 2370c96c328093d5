/** What a feed of DMA rows is built from. */
import type { IommuUnit } from '../hw/unit.ts';
import type { DMA_SCHEMA } from '../trace/schema/dma-stream.ts';
import type { StreamBatch } from '../trace/stream-reader.ts';
import type { ControlProgress } from './control-progress.ts';
import type { DmaChunk } from './dma-chunk.ts';
import type { PacingClock } from './pacing.ts';

/** Consumes a chunk whose rows all have outcomes; the chunk is reused afterwards. */
export type ChunkSink = (chunk: DmaChunk, unitIndex: number) => void;

/** Everything a feed needs. */
export interface FeedOptions {
  readonly unit: IommuUnit;
  /** Index into `topology.units`. */
  readonly unitIndex: number;
  /** Indices into `topology.devices` of the devices behind the unit. */
  readonly devices: readonly number[];
  /** File of the stream, for messages. */
  readonly file: string;
  /** The stream in chunks of `chunkRows` rows (the last may be shorter), each valid until the next is asked for. */
  readonly chunks: Iterator<StreamBatch<typeof DMA_SCHEMA>>;
  readonly chunkRows: number;
  /** [rows] Most rows per call of the unit. */
  readonly batchRows: number;
  /** [rows] How far a row may run ahead of the oldest row of another device. */
  readonly skewRows?: number;
  readonly clock: PacingClock;
  readonly progress: ControlProgress;
  readonly onChunk: ChunkSink;
  /** Rows `from` .. `to`-1 of a chunk, counted from its first, were issued just now; no event has run since. @hot */
  readonly onIssued?: ((chunk: DmaChunk, from: number, to: number) => void) | undefined;
  /** The clock, when rows of the unit can make events of their own (page requests): none may be passed by. */
  readonly events?: { readonly next: number; readonly now: number } | undefined;
  /** Called when a row announced with DmaFeed.stopAfter has been issued. */
  readonly onStop: (unitIndex: number, row: number, doneTick: number) => void;
}
