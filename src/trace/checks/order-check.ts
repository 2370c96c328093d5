/** Order of rows: `sequence` strictly increases within a stream, and no two rows of a bundle share one. */
import type { FileProblems } from './problems.ts';

/** What a sequenced stream looks like to the checks of order. */
export interface SequencedStream {
  readonly rowCount: number;
  chunks(chunkRows: number): Iterable<{
    readonly firstRow: number;
    readonly rowCount: number;
    readonly columns: { readonly sequence: Uint32Array };
  }>;
}

/** [rows] Rows looked at between two loads. */
const CHUNK_ROWS = 65_536;

/** Keeps the last sequence and time of a stream. */
export class OrderCheck {
  #lastSequence = -1;
  #lastTimeNs = 0;

  /** Holds a row against the one before. @hot */
  row(problems: FileProblems, row: number, sequence: number, timeNs: number, timeSeverity: 'error' | 'warning'): void {
    if (sequence <= this.#lastSequence) {
      const last = this.#lastSequence;
      problems.error(row, 'sequence', () => `sequence ${sequence} does not follow ${last}`);
    }
    if (timeNs < this.#lastTimeNs) {
      const last = this.#lastTimeNs;
      const reason = (): string => `time ${timeNs} ns lies before ${last} ns of the row before`;
      if (timeSeverity === 'error') problems.error(row, 'time', reason);
      else problems.warning(row, 'time', reason);
    }
    this.#lastSequence = sequence;
    this.#lastTimeNs = timeNs;
  }
}

/** Reports sequences that occur in two streams: a merge of streams that increase each by itself. */
export function checkUniqueSequences(
  streams: readonly { readonly stream: SequencedStream; readonly problems: FileProblems }[],
): void {
  const cursors = streams.map(({ stream, problems }) => ({ cursor: new SequenceCursor(stream), problems }));
  let last = -1;
  for (;;) {
    let earliest: (typeof cursors)[number] | undefined;
    for (const candidate of cursors) {
      if (candidate.cursor.sequence < (earliest?.cursor.sequence ?? Number.POSITIVE_INFINITY)) earliest = candidate;
    }
    if (earliest === undefined) return;
    const { cursor, problems } = earliest;
    const { sequence } = cursor;
    if (sequence === last) {
      problems.error(cursor.row, 'duplicate', () => `sequence ${sequence} occurs in another stream, too`);
    }
    last = sequence;
    cursor.advance();
  }
}

class SequenceCursor {
  /** Sequence of the current row; infinite behind the last. */
  sequence = Number.POSITIVE_INFINITY;
  row = -1;
  readonly #chunks: Iterator<{ readonly rowCount: number; readonly columns: { readonly sequence: Uint32Array } }>;
  #values = new Uint32Array(0);
  #index = 0;

  constructor(stream: SequencedStream) {
    this.#chunks = stream.chunks(CHUNK_ROWS)[Symbol.iterator]();
    this.advance();
  }

  advance(): void {
    if (this.#index === this.#values.length) {
      const next = this.#chunks.next();
      this.#values =
        next.done === true ? new Uint32Array(0) : (next.value.columns.sequence as Uint32Array<ArrayBuffer>);
      this.#index = 0;
    }
    this.row++;
    this.sequence = this.#values[this.#index++] ?? Number.POSITIVE_INFINITY;
  }
}
