/** Cuts a byte stream into lines. Any chunking of the same bytes gives the same lines. */

/** Push parser for lines of UTF-8 text ending in `\n` or `\r\n`; a last line without end counts too. */
export class LineSplitter {
  /** Lines handed out so far. */
  lineCount = 0;
  #rest = '';
  readonly #decoder = new TextDecoder('utf-8');

  /** Hands every line that is complete after `chunk` to `onLine`. */
  feed(chunk: Uint8Array, onLine: (line: string, lineNumber: number) => void): void {
    this.#split(this.#decoder.decode(chunk, { stream: true }), onLine);
  }

  /** Hands out what is left when the input ends. */
  end(onLine: (line: string, lineNumber: number) => void): void {
    this.#split(this.#decoder.decode(), onLine);
    if (this.#rest === '') return;
    const line = this.#rest;
    this.#rest = '';
    onLine(line, ++this.lineCount);
  }

  #split(decoded: string, onLine: (line: string, lineNumber: number) => void): void {
    const text = this.#rest === '' ? decoded : this.#rest + decoded;
    let start = 0;
    for (;;) {
      const newline = text.indexOf('\n', start);
      if (newline < 0) break;
      const end = newline > start && text.charCodeAt(newline - 1) === 13 ? newline - 1 : newline;
      onLine(text.slice(start, end), ++this.lineCount);
      start = newline + 1;
    }
    this.#rest = start === 0 ? text : text.slice(start);
  }
}
