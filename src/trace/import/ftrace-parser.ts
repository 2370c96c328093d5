/** Turns ftrace text into guest events; takes its input in chunks of any size. */
import type { DiagnosticCounts } from './diagnostics.ts';
import { type FtraceHeader, readFtraceHeader } from './ftrace-header.ts';
import { markerEvent, type PayloadDecoder, payloadDecoder } from './ftrace-payload.ts';
import type { GuestEvent } from './guest-event.ts';
import { LineSplitter } from './line-splitter.ts';
import { TextCursor } from './text-cursor.ts';
import { ascii, decodeText } from './word-table.ts';

/** Everything one ftrace text holds. */
export interface GuestTrace {
  readonly file: string;
  /** Events in text order, which is the kernel's order by its trace clock. */
  readonly events: readonly GuestEvent[];
  /** [ns] Trace clock of the first and the last event of any kind; NaN when there is none. */
  readonly firstNs: number;
  readonly lastNs: number;
  readonly lineCount: number;
  /** Lines that are events, used or not. */
  readonly eventCount: number;
  readonly lostEvents: number;
  readonly dialect: 'trace' | 'function_graph' | 'none';
}

/** Event names whose decoder is remembered, at most; a damaged text may hold any number of names. */
const MAX_DECODERS = 1024;

/** Push parser of ftrace text. */
export class FtraceParser {
  readonly #file: string;
  readonly #diagnostics: DiagnosticCounts;
  readonly #lines = new LineSplitter((bytes, start, end, lineNumber) => this.#line(bytes, start, end, lineNumber));
  readonly #cursor = new TextCursor();
  readonly #header: FtraceHeader = { timeNs: 0, cpu: 0, thread: 0, name: '' };
  readonly #events: GuestEvent[] = [];
  readonly #decoders = new Map<string, PayloadDecoder>();
  #lineStart = 0;
  #lineEnd = 0;
  #firstNs = Number.NaN;
  #lastNs = Number.NaN;
  #eventCount = 0;
  #lostEvents = 0;
  #dialect: GuestTrace['dialect'] = 'none';

  constructor(file: string, diagnostics: DiagnosticCounts) {
    this.#file = file;
    this.#diagnostics = diagnostics;
  }

  /** Takes the next bytes of the text. */
  feed(chunk: Uint8Array): void {
    this.#lines.feed(chunk);
  }

  /** Ends the text and hands out what it held. */
  end(): GuestTrace {
    this.#lines.end();
    return {
      file: this.#file,
      events: this.#events,
      firstNs: this.#firstNs,
      lastNs: this.#lastNs,
      lineCount: this.#lines.lineCount,
      eventCount: this.#eventCount,
      lostEvents: this.#lostEvents,
      dialect: this.#dialect,
    };
  }

  #line(bytes: Uint8Array, start: number, end: number, lineNumber: number): void {
    this.#lineStart = start;
    this.#lineEnd = end;
    this.#cursor.set(bytes, start, end);
    const form = readFtraceHeader(this.#cursor, this.#header);
    switch (form) {
      case 'comment':
        return;
      case 'unrecognised':
        this.#count('malformed_line', 'error', lineNumber);
        return;
      case 'lost':
        this.#lost(lineNumber);
        return;
      case 'graph-call':
        this.#stamp(lineNumber);
        this.#dialect = 'function_graph';
        this.#count('function_graph_call', 'info', lineNumber);
        return;
      case 'graph-event':
        this.#dialect = 'function_graph';
        break;
      case 'event':
        if (this.#dialect === 'none') this.#dialect = 'trace';
        break;
    }
    this.#stamp(lineNumber);
    this.#event(lineNumber, form === 'graph-event');
  }

  #event(lineNumber: number, inComment: boolean): void {
    const { name } = this.#header;
    this.#eventCount++;
    const event = this.#decoder(name)(this.#cursor, this.#header);
    if (typeof event === 'object') this.#events.push(event);
    else if (event === 'unused') this.#count('unused_event', 'info', lineNumber);
    else if (event === 'malformed') this.#count('malformed_line', 'error', lineNumber);
    else if (inComment) {
      // A trace marker stands in the call tree as bare text, which may look like `name: payload`.
      this.#events.push(markerEvent(`${name}: ${this.#cursor.rest()}`, this.#header));
    } else this.#count('unknown_event', 'data-loss', lineNumber);
  }

  #decoder(name: string): PayloadDecoder {
    const known = this.#decoders.get(name);
    if (known !== undefined) return known;
    const decoder = payloadDecoder(name);
    if (this.#decoders.size < MAX_DECODERS) this.#decoders.set(name, decoder);
    return decoder;
  }

  #stamp(lineNumber: number): void {
    const { timeNs } = this.#header;
    if (Number.isNaN(this.#firstNs)) this.#firstNs = timeNs;
    if (timeNs < this.#lastNs) this.#count('time_runs_backwards', 'info', lineNumber);
    else this.#lastNs = timeNs;
  }

  #lost(lineNumber: number): void {
    const cursor = this.#cursor;
    const count = cursor.decimal();
    const lost = Number.isNaN(count) ? 1 : count;
    this.#lostEvents += lost;
    this.#count('lost_events', 'data-loss', lineNumber, lost);
    const timeNs = Number.isNaN(this.#lastNs) ? 0 : this.#lastNs;
    cursor.at = this.#lineStart;
    this.#events.push({ timeNs, cpu: cpuOfLost(cursor), thread: 0, kind: 'lost', count: lost });
  }

  #count(code: string, severity: 'info' | 'data-loss' | 'error', line: number, amount = 1): void {
    if (this.#diagnostics.again(code, amount)) return;
    const text = decodeText(this.#cursor.bytes, this.#lineStart, this.#lineEnd);
    this.#diagnostics.count(code, severity, { file: this.#file, line, text }, amount);
  }
}

const CPU_COLON = ascii('CPU:');

function cpuOfLost(cursor: TextCursor): number {
  if (!cursor.seek(CPU_COLON)) return 0;
  cursor.skipSpaces();
  const cpu = cursor.decimal();
  return Number.isNaN(cpu) ? 0 : cpu;
}
