/** The chunks of one DMA stream that are in memory: loaded in order, handed on in order, recycled. */
import type { IommuUnit } from '../hw/unit.ts';
import type { DMA_SCHEMA } from '../trace/schema/dma-stream.ts';
import type { StreamBatch } from '../trace/stream-reader.ts';
import { DmaChunk } from './dma-chunk.ts';

/** A sliding window over a stream cut into chunks of equal length. */
export class ChunkWindow {
  /** Rows loaded so far: the first row that is not. */
  loadedEnd = 0;
  /** True when there is nothing left to load. */
  exhausted = false;

  readonly #source: Iterator<StreamBatch<typeof DMA_SCHEMA>>;
  readonly #chunkRows: number;
  readonly #unit: IommuUnit;
  readonly #chunks: DmaChunk[] = [];
  readonly #spare: DmaChunk[] = [];
  /** Number, in the stream, of the oldest chunk in memory. */
  #first = 0;

  constructor(source: Iterator<StreamBatch<typeof DMA_SCHEMA>>, chunkRows: number, unit: IommuUnit) {
    this.#source = source;
    this.#chunkRows = chunkRows;
    this.#unit = unit;
  }

  /** Number of the chunk to be loaded next. */
  get nextIndex(): number {
    return this.#first + this.#chunks.length;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Number, in the stream, of the chunk that holds a row. @hot */
  indexOf(row: number): number {
    return Math.floor(row / this.#chunkRows);
  }

  /** The chunk that holds a row, which is in memory. @hot */
  chunkOf(row: number): DmaChunk {
    return this.#chunks[Math.floor(row / this.#chunkRows) - this.#first]!;
  }

  /** Loads the next chunk; undefined at the end of the stream. */
  load(): DmaChunk | undefined {
    const step = this.#source.next();
    if (step.done === true) {
      this.exhausted = true;
      return undefined;
    }
    const { firstRow, rowCount, columns } = step.value;
    const chunk = this.#spare.pop() ?? new DmaChunk(this.#chunkRows, this.#unit.columns(this.#chunkRows));
    chunk.load(firstRow, rowCount, columns);
    this.#chunks.push(chunk);
    this.loadedEnd = firstRow + rowCount;
    return chunk;
  }

  /** Hands the chunks without pending rows to `sink`, oldest first, up to one that has some. */
  retire(sink: (chunk: DmaChunk) => void): void {
    for (let chunk = this.#chunks[0]; chunk !== undefined && chunk.pending === 0; chunk = this.#chunks[0]) {
      this.#chunks.shift();
      this.#first++;
      sink(chunk);
      this.#spare.push(chunk);
    }
  }
}

/** [ps] One tick a row, for the most recent rows. */
export class TickRing {
  readonly #ticks: Float64Array;
  readonly #mask: number;

  /** Remembers at least `rows` rows. */
  constructor(rows: number) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(rows, 1)));
    this.#ticks = new Float64Array(capacity);
    this.#mask = capacity - 1;
  }

  /** @hot */
  get(row: number): number {
    return this.#ticks[row & this.#mask]!;
  }

  /** @hot */
  set(row: number, tick: number): void {
    this.#ticks[row & this.#mask] = tick;
  }

  /** Copies ticks of rows `from` .. `to`-1 from a column whose first row is `base`. @hot */
  copy(column: Float64Array, base: number, from: number, to: number): void {
    const ticks = this.#ticks;
    const mask = this.#mask;
    for (let row = from; row < to; row++) ticks[row & mask] = column[row - base]!;
  }

  /** Sets rows `from` .. `to`-1. */
  fill(value: number, from: number, to: number): void {
    for (let row = from; row < to; row++) this.#ticks[row & this.#mask] = value;
  }
}
