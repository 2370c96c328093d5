/** Rows of `control.arrow` as objects, with the frames behind their mappings. Control plane only: one object a row. */
import { InputError } from '../input-error.ts';
import { type Columns, readU64 } from '../trace/columns.ts';
import type { BundleReader } from '../trace/reader.ts';
import { CONTROL_OPS, type CONTROL_SCHEMA, type ControlOp, type FRAMES_SCHEMA, NONE_U32 } from '../trace/schema.ts';
import type { StreamBatch } from '../trace/stream-reader.ts';
import { nsFromWords } from '../units.ts';

/** A physically contiguous run of a mapping. */
export interface FrameRun {
  /** [4 KiB pages] */
  readonly iovaPfn: number;
  /** [4 KiB pages] */
  readonly pfn: number;
  readonly pageCount: number;
}

/** One control event; fields as in CONTROL_SCHEMA. */
export interface ControlRow {
  readonly row: number;
  readonly sequence: number;
  readonly timeNs: number;
  readonly op: ControlOp;
  readonly cpu: number;
  readonly thread: number;
  readonly device: number;
  readonly context: number;
  readonly object: number;
  readonly target: number;
  readonly pasid: number;
  readonly flags: number;
  readonly iova: bigint;
  readonly length: bigint;
  readonly userAddress: bigint;
  readonly recordedResult: number;
  readonly recordedObject: number;
  readonly recordedDurationNs: number;
  readonly afterDma: number;
  readonly text: string;
  readonly frames: readonly FrameRun[];
}

const NO_FRAMES: readonly FrameRun[] = [];
/** [rows] Rows decoded from the file at a time. */
const CHUNK_ROWS = 4096;

/** Reads control rows in order, one at a time. */
export class ControlReader {
  readonly rowCount: number;
  readonly #file: string;
  readonly #chunks: Iterator<StreamBatch<typeof CONTROL_SCHEMA>>;
  readonly #ops: readonly string[];
  readonly #texts: readonly string[];
  readonly #frames: FrameCursor;
  #columns: Columns<typeof CONTROL_SCHEMA> | undefined;
  #firstRow = 0;
  #endRow = 0;
  #row = 0;

  constructor(bundle: BundleReader) {
    const stream = bundle.stream('control');
    this.rowCount = stream.rowCount;
    this.#file = stream.file;
    this.#chunks = stream.chunks(CHUNK_ROWS);
    this.#ops = stream.dictionary('op');
    this.#texts = stream.dictionary('text');
    this.#frames = new FrameCursor(bundle);
  }

  /** The next row; undefined at the end. Throws InputError on an op that the format does not know. */
  next(): ControlRow | undefined {
    const row = this.#row;
    if (row === this.#endRow && !this.#load()) return undefined;
    this.#row++;
    const columns = this.#columns as Columns<typeof CONTROL_SCHEMA>;
    const i = row - this.#firstRow;
    const op = this.#ops[columns.op[i]!] as ControlOp;
    if (!CONTROL_OPS.includes(op)) {
      throw new InputError({ file: this.#file, row, reason: `unknown op '${String(op)}'` });
    }
    return {
      row,
      sequence: columns.sequence[i]!,
      timeNs: nsFromWords(columns.timeNs[2 * i]!, columns.timeNs[2 * i + 1]!),
      op,
      cpu: columns.cpu[i]!,
      thread: columns.thread[i]!,
      device: columns.device[i]!,
      context: columns.context[i]!,
      object: columns.object[i]!,
      target: columns.target[i]!,
      pasid: columns.pasid[i]!,
      flags: columns.flags[i]!,
      iova: readU64(columns.iova, i),
      length: readU64(columns.length, i),
      userAddress: readU64(columns.userAddress, i),
      recordedResult: columns.recordedResult[i]!,
      recordedObject: columns.recordedObject[i]!,
      recordedDurationNs: columns.recordedDurationNs[i]!,
      afterDma: columns.afterDma[i]!,
      text: this.#texts[columns.text[i]!] ?? '',
      frames: this.#frames.of(row),
    };
  }

  #load(): boolean {
    const step = this.#chunks.next();
    if (step.done === true) return false;
    this.#columns = step.value.columns;
    this.#firstRow = step.value.firstRow;
    this.#endRow = step.value.firstRow + step.value.rowCount;
    return true;
  }
}

/** Walks `frames.arrow`, which is ordered by control row. */
class FrameCursor {
  readonly #chunks: Iterator<StreamBatch<typeof FRAMES_SCHEMA>>;
  #columns: Columns<typeof FRAMES_SCHEMA> | undefined;
  #index = 0;
  #count = 0;

  constructor(bundle: BundleReader) {
    this.#chunks = bundle.stream('frames').chunks(CHUNK_ROWS);
  }

  /** Runs of a control row; rows are asked for in ascending order. */
  of(controlRow: number): readonly FrameRun[] {
    let runs: FrameRun[] | undefined;
    for (;;) {
      if (this.#index === this.#count && !this.#load()) break;
      const { controlRow: rows, iovaPfn, pfn, pageCount } = this.#columns as Columns<typeof FRAMES_SCHEMA>;
      const i = this.#index;
      if (rows[i]! > controlRow) break;
      this.#index++;
      if (rows[i]! < controlRow) continue;
      runs ??= [];
      runs.push({
        iovaPfn: nsFromWords(iovaPfn[2 * i]!, iovaPfn[2 * i + 1]!),
        pfn: nsFromWords(pfn[2 * i]!, pfn[2 * i + 1]!),
        pageCount: pageCount[i]!,
      });
    }
    return runs ?? NO_FRAMES;
  }

  #load(): boolean {
    const step = this.#chunks.next();
    if (step.done === true) return false;
    this.#columns = step.value.columns;
    this.#index = 0;
    this.#count = step.value.rowCount;
    return true;
  }
}

/** True when the row is about no device and no context: every shard sees it. */
export function isGlobal(row: ControlRow): boolean {
  return row.device === NONE_U32 && row.context === NONE_U32;
}
