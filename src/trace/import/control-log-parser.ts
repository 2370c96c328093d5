/**
 * Reads a control log (`control.jsonl`): one JSON object for each call of a user-space driver, with entry time, duration,
 * result and arguments.
 */
import type { DiagnosticCounts } from './diagnostics.ts';
import { LineSplitter } from './line-splitter.ts';
import { decodeText } from './word-table.ts';

/** One call of the control log. */
export interface ControlLogCall {
  /** [ns] CLOCK_MONOTONIC at entry. */
  readonly timeNs: number;
  /** [ns] */
  readonly durationNs: number;
  readonly op: string;
  /** 0 or positive, or negative errno. */
  readonly result: number;
  /** All fields as they stand. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly line: number;
}

/** Everything one control log holds, in order of entry time. */
export interface ControlLog {
  readonly file: string;
  readonly calls: readonly ControlLogCall[];
  readonly lineCount: number;
}

/** Push parser of a control log. */
export class ControlLogParser {
  readonly #file: string;
  readonly #diagnostics: DiagnosticCounts;
  readonly #lines = new LineSplitter((bytes, start, end, lineNumber) =>
    this.#line(decodeText(bytes, start, end), lineNumber),
  );
  readonly #calls: ControlLogCall[] = [];

  constructor(file: string, diagnostics: DiagnosticCounts) {
    this.#file = file;
    this.#diagnostics = diagnostics;
  }

  /** Takes the next bytes of the log. */
  feed(chunk: Uint8Array): void {
    this.#lines.feed(chunk);
  }

  /** Ends the log and hands out its calls. */
  end(): ControlLog {
    this.#lines.end();
    // Calls are written when they return, so one that ran while another was outstanding stands before it.
    this.#calls.sort((a, b) => a.timeNs - b.timeNs);
    return { file: this.#file, calls: this.#calls, lineCount: this.#lines.lineCount };
  }

  #line(line: string, lineNumber: number): void {
    if (line.trim() === '') return;
    const fields = parseObject(line);
    const timeNs = fields === undefined ? undefined : numberField(fields, 't_ns');
    const op = fields === undefined ? undefined : textField(fields, 'op');
    if (fields === undefined || timeNs === undefined || op === undefined) {
      this.#diagnostics.count('malformed_line', 'error', { file: this.#file, line: lineNumber, text: line });
      return;
    }
    const ret = numberField(fields, 'ret') ?? 0;
    const errno = numberField(fields, 'errno') ?? 0;
    this.#calls.push({
      timeNs,
      durationNs: numberField(fields, 'dur_ns') ?? 0,
      op,
      result: ret < 0 && errno > 0 ? -errno : ret,
      fields,
      line: lineNumber,
    });
  }
}

/** Number in field `name`, given as JSON number or as decimal or 0x text; undefined when there is none. */
export function numberField(fields: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = fields[name];
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value === '') return undefined;
  const parsed = Number(value);
  return Number.isNaN(parsed) ? undefined : parsed;
}

/** Text in field `name`; undefined when there is none. */
export function textField(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' ? value : undefined;
}

/** 64-bit number in field `name`, exact when it is given as text. */
export function addressField(fields: Readonly<Record<string, unknown>>, name: string): bigint | undefined {
  const value = fields[name];
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value !== 'string' || !/^(0x[0-9a-fA-F]+|\d+)$/.test(value)) return undefined;
  return BigInt(value);
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
