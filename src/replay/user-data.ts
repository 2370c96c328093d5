/** User data of control rows (`user-data.arrow`), read along with them. */
import { type Columns, readU64 } from '../trace/columns.ts';
import type { BundleReader } from '../trace/reader.ts';
import type { USER_DATA_SCHEMA } from '../trace/schema/user-data-stream.ts';
import type { StreamBatch } from '../trace/stream-reader.ts';

/** One row of USER_DATA_SCHEMA. */
export interface UserDatum {
  /** A name in USER_DATA_KINDS, or one that the format does not know. */
  readonly kind: string;
  readonly address: bigint;
  readonly value: bigint;
  readonly step: bigint;
  readonly count: bigint;
}

/** What most rows have. */
export const NO_USER_DATA: readonly UserDatum[] = [];

/** [rows] Rows decoded from the file at a time. */
const CHUNK_ROWS = 4096;

/** Walks `user-data.arrow`, which is ordered by control row. */
export class UserDataCursor {
  readonly #chunks: Iterator<StreamBatch<typeof USER_DATA_SCHEMA>> | undefined;
  readonly #kinds: readonly string[];
  #columns: Columns<typeof USER_DATA_SCHEMA> | undefined;
  #index = 0;
  #count = 0;

  constructor(bundle: BundleReader) {
    const stream = bundle.optionalStream('user-data');
    this.#chunks = stream?.chunks(CHUNK_ROWS);
    this.#kinds = stream?.dictionary('kind') ?? [];
  }

  /** Data of a control row; rows are asked for in ascending order. */
  of(controlRow: number): readonly UserDatum[] {
    if (this.#chunks === undefined) return NO_USER_DATA;
    let data: UserDatum[] | undefined;
    for (;;) {
      if (this.#index === this.#count && !this.#load(this.#chunks)) break;
      const columns = this.#columns as Columns<typeof USER_DATA_SCHEMA>;
      const i = this.#index;
      if (columns.controlRow[i]! > controlRow) break;
      this.#index++;
      if (columns.controlRow[i]! < controlRow) continue;
      data ??= [];
      data.push({
        kind: this.#kinds[columns.kind[i]!] ?? '',
        address: readU64(columns.address, i),
        value: readU64(columns.value, i),
        step: readU64(columns.step, i),
        count: readU64(columns.count, i),
      });
    }
    return data ?? NO_USER_DATA;
  }

  #load(chunks: Iterator<StreamBatch<typeof USER_DATA_SCHEMA>>): boolean {
    const step = chunks.next();
    if (step.done === true) return false;
    this.#columns = step.value.columns;
    this.#index = 0;
    this.#count = step.value.rowCount;
    return true;
  }
}
