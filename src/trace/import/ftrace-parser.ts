/** Turns ftrace text into guest events; takes its input in chunks of any size. */
import type { DiagnosticCounts } from './diagnostics.ts';
import { type FtraceHeader, readFtraceHeader } from './ftrace-header.ts';
import { decodeFtraceEvent, markerEvent } from './ftrace-payload.ts';
import type { GuestEvent } from './guest-event.ts';
import { LineSplitter } from './line-splitter.ts';
import { TextCursor } from './text-cursor.ts';

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

/** Push parser of ftrace text. */
export class FtraceParser {
  readonly #file: string;
  readonly #diagnostics: DiagnosticCounts;
  readonly #lines = new LineSplitter();
  readonly #cursor = new TextCursor();
  readonly #header: FtraceHeader = { timeNs: 0, cpu: 0, thread: 0, name: '' };
  readonly #events: GuestEvent[] = [];
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
    this.#lines.feed(chunk, (line, lineNumber) => this.#line(line, lineNumber));
  }

  /** Ends the text and hands out what it held. */
  end(): GuestTrace {
    this.#lines.end((line, lineNumber) => this.#line(line, lineNumber));
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

  #line(line: string, lineNumber: number): void {
    const form = readFtraceHeader(line, this.#cursor, this.#header);
    switch (form) {
      case 'comment':
        return;
      case 'unrecognised':
        this.#count('malformed_line', 'error', lineNumber, line);
        return;
      case 'lost':
        this.#lost(line, lineNumber);
        return;
      case 'graph-call':
        this.#stamp(lineNumber, line);
        this.#dialect = 'function_graph';
        this.#count('function_graph_call', 'info', lineNumber, line);
        return;
      case 'graph-event':
        this.#dialect = 'function_graph';
        break;
      case 'event':
        if (this.#dialect === 'none') this.#dialect = 'trace';
        break;
    }
    this.#stamp(lineNumber, line);
    this.#event(line, lineNumber, form === 'graph-event');
  }

  #event(line: string, lineNumber: number, inComment: boolean): void {
    const { name } = this.#header;
    this.#eventCount++;
    const event = decodeFtraceEvent(name, this.#cursor, this.#header);
    if (typeof event === 'object') this.#events.push(event);
    else if (event === 'unused') this.#count('unused_event', 'info', lineNumber, line);
    else if (event === 'malformed') this.#count('malformed_line', 'error', lineNumber, line);
    else if (inComment) {
      // A trace marker stands in the call tree as bare text, which may look like `name: payload`.
      const text = `${name}: ${this.#cursor.line.slice(this.#cursor.at)}`;
      this.#events.push(markerEvent(text, this.#header));
    } else this.#count('unknown_event', 'data-loss', lineNumber, line);
  }

  #stamp(lineNumber: number, line: string): void {
    const { timeNs } = this.#header;
    if (Number.isNaN(this.#firstNs)) this.#firstNs = timeNs;
    if (timeNs < this.#lastNs) this.#count('time_runs_backwards', 'info', lineNumber, line);
    else this.#lastNs = timeNs;
  }

  #lost(line: string, lineNumber: number): void {
    const count = this.#cursor.decimal();
    const lost = Number.isNaN(count) ? 1 : count;
    this.#lostEvents += lost;
    this.#count('lost_events', 'data-loss', lineNumber, line, lost);
    const timeNs = Number.isNaN(this.#lastNs) ? 0 : this.#lastNs;
    this.#events.push({ timeNs, cpu: cpuOfLost(line), thread: 0, kind: 'lost', count: lost });
  }

  #count(code: string, severity: 'info' | 'data-loss' | 'error', line: number, text: string, amount = 1): void {
    if (this.#diagnostics.again(code, amount)) return;
    this.#diagnostics.count(code, severity, { file: this.#file, line, text }, amount);
  }
}

function cpuOfLost(line: string): number {
  const at = line.indexOf('CPU:');
  const cpu = at < 0 ? Number.NaN : Number.parseInt(line.slice(at + 4), 10);
  return Number.isNaN(cpu) ? 0 : cpu;
}
