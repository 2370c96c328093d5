/** Cuts a byte stream into lines without copying them. Any chunking of the same bytes gives the same lines. */

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/** Takes bytes `start` .. `end`-1, a line without its end; they are valid during the call only. */
export type LineHandler = (bytes: Uint8Array, start: number, end: number, lineNumber: number) => void;

/** Push parser for lines of UTF-8 text ending in `\n` or `\r\n`; a last line without end counts too. */
export class LineSplitter {
  /** Lines handed out so far. */
  lineCount = 0;
  #rest: Uint8Array = new Uint8Array(0);
  readonly #onLine: LineHandler;

  constructor(onLine: LineHandler) {
    this.#onLine = onLine;
  }

  /** Hands out every line that is complete after `chunk`. @hot */
  feed(chunk: Uint8Array): void {
    const bytes =
      this.#rest.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
        : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (;;) {
      const at = bytes.indexOf(NEWLINE, start);
      if (at < 0) break;
      this.#handOut(bytes, start, at > start && bytes[at - 1] === CARRIAGE_RETURN ? at - 1 : at);
      start = at + 1;
    }
    // A copy: the chunk is the caller's, and a view would keep all of it.
    this.#rest = Uint8Array.prototype.slice.call(bytes, start);
  }

  /** Hands out what is left when the input ends. */
  end(): void {
    const bytes = this.#rest;
    this.#rest = new Uint8Array(0);
    if (bytes.length > (this.lineCount === 0 ? byteOrderMark(bytes) : 0)) this.#handOut(bytes, 0, bytes.length);
  }

  #handOut(bytes: Uint8Array, start: number, end: number): void {
    const first = this.lineCount === 0 ? byteOrderMark(bytes) : start;
    this.#onLine(bytes, Math.min(first, end), end, ++this.lineCount);
  }
}

/** [bytes] Length of the mark that may stand in front of UTF-8 text. */
function byteOrderMark(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}
