/** Rows of `control.arrow` as objects, with the frames behind their mappings. Control plane only: one object a row. */
import { InputError } from '../input-error.ts';
import { type Columns, readU64 } from '../trace/columns.ts';
import type { BundleReader } from '../trace/reader.ts';
import { NONE_U32 } from '../trace/schema/column-type.ts';
import { CONTROL_OPS, type ControlOp } from '../trace/schema/control-ops.ts';
import type { CONTROL_SCHEMA } from '../trace/schema/control-stream.ts';
import { DATA_FRAME_LIMIT, type FRAMES_SCHEMA } from '../trace/schema/frames-stream.ts';
import type { StreamBatch } from '../trace/stream-reader.ts';
import { nsFromWords } from '../units.ts';
import { NO_USER_DATA, UserDataCursor, type UserDatum } from './user-data.ts';

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
  readonly userData: readonly UserDatum[];
}

/** A row object that is filled again and again: rows are many, those in flight few. */
export type ReusableRow = { -readonly [K in keyof ControlRow]: ControlRow[K] };

/** A row to be filled by {@link ControlReader.nextInto}. */
export function emptyRow(): ReusableRow {
  return {
    row: 0,
    sequence: 0,
    timeNs: 0,
    op: 'marker',
    cpu: 0,
    thread: 0,
    device: NONE_U32,
    context: NONE_U32,
    object: NONE_U32,
    target: NONE_U32,
    pasid: NONE_U32,
    flags: 0,
    iova: 0n,
    length: 0n,
    userAddress: 0n,
    recordedResult: 0,
    recordedObject: NONE_U32,
    recordedDurationNs: 0,
    afterDma: 0,
    text: '',
    frames: NO_FRAMES,
    userData: NO_USER_DATA,
  };
}

const NO_FRAMES: readonly FrameRun[] = [];
/** [rows] Rows decoded from the file at a time. */
const CHUNK_ROWS = 4096;

/** Reads control rows in order, one at a time. */
export class ControlReader {
  readonly rowCount: number;
  readonly #file: string;
  readonly #chunks: Iterator<StreamBatch<typeof CONTROL_SCHEMA>>;
  readonly #opNames: readonly string[];
  /** Ops by code; undefined where the format knows no such name. */
  readonly #ops: readonly (ControlOp | undefined)[];
  readonly #texts: readonly string[];
  readonly #frames: FrameCursor;
  readonly #userData: UserDataCursor;
  #columns: Columns<typeof CONTROL_SCHEMA> | undefined;
  #firstRow = 0;
  #endRow = 0;
  #row = 0;

  constructor(bundle: BundleReader) {
    const stream = bundle.stream('control');
    this.rowCount = stream.rowCount;
    this.#file = stream.file;
    this.#chunks = stream.chunks(CHUNK_ROWS);
    this.#opNames = stream.dictionary('op');
    this.#ops = this.#opNames.map((name) => CONTROL_OPS.find((op) => op === name));
    this.#texts = stream.dictionary('text');
    this.#frames = new FrameCursor(bundle);
    this.#userData = new UserDataCursor(bundle);
  }

  /** The next row as an object of its own; undefined at the end. Throws as {@link nextInto}. */
  next(): ControlRow | undefined {
    const row = emptyRow();
    return this.nextInto(row) ? row : undefined;
  }

  /** Reads the next row into `into`; false at the end. Throws InputError on an op that the format does not know. */
  nextInto(into: ReusableRow): boolean {
    const row = this.#row;
    if (row === this.#endRow && !this.#load()) return false;
    this.#row++;
    const columns = this.#columns as Columns<typeof CONTROL_SCHEMA>;
    const i = row - this.#firstRow;
    const op = this.#ops[columns.op[i]!];
    if (op === undefined) {
      throw new InputError({ file: this.#file, row, reason: `unknown op '${this.#opNames[columns.op[i]!] ?? ''}'` });
    }
    into.row = row;
    into.sequence = columns.sequence[i]!;
    into.timeNs = nsFromWords(columns.timeNs[2 * i]!, columns.timeNs[2 * i + 1]!);
    into.op = op;
    into.cpu = columns.cpu[i]!;
    into.thread = columns.thread[i]!;
    into.device = columns.device[i]!;
    into.context = columns.context[i]!;
    into.object = columns.object[i]!;
    into.target = columns.target[i]!;
    into.pasid = columns.pasid[i]!;
    into.flags = columns.flags[i]!;
    into.iova = readAddress(columns.iova, i);
    into.length = readAddress(columns.length, i);
    into.userAddress = readAddress(columns.userAddress, i);
    into.recordedResult = columns.recordedResult[i]!;
    into.recordedObject = columns.recordedObject[i]!;
    into.recordedDurationNs = columns.recordedDurationNs[i]!;
    into.afterDma = columns.afterDma[i]!;
    into.text = this.#texts[columns.text[i]!] ?? '';
    into.frames = this.#frames.of(row);
    into.userData = this.#userData.of(row);
    return true;
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

/** u64 as BigInt; most are below 2^53 and need no arithmetic on BigInts. */
function readAddress(words: Uint32Array, row: number): bigint {
  const high = words[2 * row + 1]!;
  const low = words[2 * row]!;
  if (high === 0 && low === 0) return 0n;
  return high < 2097152 ? BigInt(high * 4294967296 + low) : readU64(words, row);
}

/** Walks `frames.arrow`, which is ordered by control row. */
class FrameCursor {
  readonly #file: string;
  readonly #chunks: Iterator<StreamBatch<typeof FRAMES_SCHEMA>>;
  #columns: Columns<typeof FRAMES_SCHEMA> | undefined;
  #firstRow = 0;
  #index = 0;
  #count = 0;

  constructor(bundle: BundleReader) {
    const stream = bundle.stream('frames');
    this.#file = stream.file;
    this.#chunks = stream.chunks(CHUNK_ROWS);
  }

  /**
   * Runs of a control row; rows are asked for in ascending order. Throws InputError for a frame where the modelled tables
   * are.
   */
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
      const run = {
        iovaPfn: nsFromWords(iovaPfn[2 * i]!, iovaPfn[2 * i + 1]!),
        pfn: nsFromWords(pfn[2 * i]!, pfn[2 * i + 1]!),
        pageCount: pageCount[i]!,
      };
      if (run.pfn + run.pageCount > DATA_FRAME_LIMIT) {
        const reason = `frame 0x${run.pfn.toString(16)} lies at or above 1 TiB, where modelled tables are`;
        throw new InputError({ file: this.#file, row: this.#firstRow + i, reason });
      }
      runs.push(run);
    }
    return runs ?? NO_FRAMES;
  }

  #load(): boolean {
    const step = this.#chunks.next();
    if (step.done === true) return false;
    this.#columns = step.value.columns;
    this.#firstRow = step.value.firstRow;
    this.#index = 0;
    this.#count = step.value.rowCount;
    return true;
  }
}

/** True when the row is about no device and no context: every shard sees it. */
export function isGlobal(row: ControlRow): boolean {
  return row.device === NONE_U32 && row.context === NONE_U32;
}
