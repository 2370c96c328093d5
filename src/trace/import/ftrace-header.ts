/**
 * The line headers of ftrace text: `trace`/`trace_pipe`, `trace-cmd report`, `perf script`, and function_graph output
 * with events in comments. Each recogniser leaves the cursor at the payload.
 */
import { isDigit, type TextCursor } from './text-cursor.ts';
import { ascii, decodeText } from './word-table.ts';

/** What stands before a payload. */
export interface FtraceHeader {
  timeNs: number;
  cpu: number;
  thread: number;
  /** Event name without its system. */
  name: string;
}

/** Which form a line has. */
export type FtraceLineForm = 'event' | 'graph-event' | 'graph-call' | 'lost' | 'comment' | 'unrecognised';

const EVENT_SYSTEMS = new Set([
  'iommu',
  'dma',
  'intel_iommu',
  'syscalls',
  'raw_syscalls',
  'nvme',
  'block',
  'net',
  'ftrace',
]);

const SYS_IOCTL = ascii('sys_ioctl');
const LOST = ascii('LOST ');
const DROPPED = ascii('EVENTS DROPPED');
const OPEN_BRACKET = ascii('[');
const COMMENT_START = ascii('/* ');

const TAB = 9;
const SPACE = 32;
const HASH = 35;
const OPENING = 40;
const CLOSING = 41;
const ASTERISK = 42;
const MINUS = 45;
const DOT = 46;
const SLASH = 47;
const COLON = 58;
const LEFT_BRACKET = 91;
const RIGHT_BRACKET = 93;
const BAR = 124;

/**
 * Recognises the line on which `cursor` stands and fills `header`; `cursor` then stands at the payload (for `lost`, at
 * the count). @hot
 */
export function readFtraceHeader(cursor: TextCursor, header: FtraceHeader): FtraceLineForm {
  const { bytes, at: start, end } = cursor;
  const bracket = find(bytes, LEFT_BRACKET, start, end);
  if (bracket > start && readBracketed(cursor, start, bracket, header)) return 'event';
  cursor.set(bytes, start, end);
  if (isComment(bytes, start, end)) return 'comment';
  if (seekLost(cursor)) return 'lost';
  cursor.at = start;
  return readGraph(cursor, header);
}

/** `TASK-PID [CPU] FLAGS TIME: name: `, `TASK TID [CPU] TIME: system:name: `; flags may be missing. */
function readBracketed(cursor: TextCursor, start: number, firstBracket: number, header: FtraceHeader): boolean {
  const { bytes, end } = cursor;
  for (let bracket = firstBracket; bracket >= 0; bracket = find(bytes, LEFT_BRACKET, bracket + 1, end)) {
    cursor.at = bracket + 1;
    const cpu = cursor.decimal();
    if (Number.isNaN(cpu) || cursor.peek() !== RIGHT_BRACKET) continue;
    const thread = threadBefore(bytes, start, bracket);
    if (Number.isNaN(thread)) continue;
    cursor.at++;
    if (!readTime(cursor, header)) continue;
    header.cpu = cpu;
    header.thread = thread;
    readName(cursor, header);
    return true;
  }
  return false;
}

/** Number that ends `task-PID ` or `task TID ` before the CPU bracket; an optional `(TGID)` in between is skipped. */
function threadBefore(bytes: Uint8Array, lineStart: number, bracket: number): number {
  let end = bracket;
  while (end > lineStart && bytes[end - 1] === SPACE) end--;
  if (end > lineStart && bytes[end - 1] === CLOSING) {
    while (end > lineStart && bytes[end] !== OPENING) end--;
    while (end > lineStart && bytes[end - 1] === SPACE) end--;
  }
  let start = end;
  while (start > lineStart && isDigit(bytes[start - 1])) start--;
  if (start === end || start === lineStart) return Number.NaN;
  const before = bytes[start - 1];
  if (before !== MINUS && before !== SPACE) return Number.NaN;
  let thread = 0;
  for (let at = start; at < end; at++) thread = thread * 10 + bytes[at]! - 48;
  return thread;
}

/** Optional flags, then `SECONDS.FRACTION:`. */
function readTime(cursor: TextCursor, header: FtraceHeader): boolean {
  cursor.skipSpaces();
  if (!isDigit(cursor.peek()) || !numberThenDot(cursor)) {
    cursor.skipWord();
    cursor.skipSpaces();
  }
  const timeNs = cursor.secondsAsNs();
  if (Number.isNaN(timeNs) || cursor.peek() !== COLON) return false;
  header.timeNs = timeNs;
  cursor.at++;
  cursor.skipSpaces();
  return true;
}

function numberThenDot({ bytes, at: start, end }: TextCursor): boolean {
  let at = start;
  while (at < end && isDigit(bytes[at])) at++;
  return at < end && bytes[at] === DOT;
}

/** `name: payload`; a system call prints itself in the place of the name. */
function readName(cursor: TextCursor, header: FtraceHeader): void {
  const { bytes, at: start, end: lineEnd } = cursor;
  let end = start;
  while (end < lineEnd && NAME_CHARACTERS[bytes[end]!] === 1) end++;
  if (startsWith(bytes, start, lineEnd, SYS_IOCTL)) {
    cursor.at = start + SYS_IOCTL.length;
    header.name = cursor.peek() === OPENING ? 'sys_enter_ioctl' : 'sys_exit_ioctl';
    return;
  }
  const named = end > start && end < lineEnd && bytes[end] === COLON;
  const name = named ? cursor.wordAt(start, end) : '';
  if (end + 1 < lineEnd && bytes[end] === COLON && NAME_CHARACTERS[bytes[end + 1]!] === 1 && EVENT_SYSTEMS.has(name)) {
    cursor.at = end + 1;
    readName(cursor, header);
    return;
  }
  header.name = name;
  cursor.at = named ? end + 1 : start;
  cursor.skipSpaces();
}

/** `TIME | CPU) TASK-PID | DURATION | calls`, where an event is a comment of the call tree. */
function readGraph(cursor: TextCursor, header: FtraceHeader): FtraceLineForm {
  const { bytes, at: start, end: lineEnd } = cursor;
  cursor.skipSpaces();
  const timeNs = cursor.secondsAsNs();
  if (Number.isNaN(timeNs)) return 'unrecognised';
  cursor.skipSpaces();
  if (cursor.peek() !== BAR) return 'unrecognised';
  cursor.at++;
  cursor.skipSpaces();
  const cpu = cursor.decimal();
  if (Number.isNaN(cpu) || cursor.peek() !== CLOSING) return 'unrecognised';
  const taskEnd = find(bytes, BAR, cursor.at, lineEnd);
  if (taskEnd < 0) return 'unrecognised';
  const thread = threadBefore(bytes, start, taskEnd);
  const durationEnd = find(bytes, BAR, taskEnd + 1, lineEnd);
  if (durationEnd < 0 || Number.isNaN(thread)) return 'unrecognised';
  header.timeNs = timeNs;
  header.cpu = cpu;
  header.thread = thread;
  cursor.at = durationEnd;
  if (!cursor.seek(COMMENT_START)) return 'graph-call';
  const comment = cursor.at - COMMENT_START.length;
  const end = lastCommentEnd(bytes, comment, lineEnd);
  if (end > comment) cursor.end = end;
  readName(cursor, header);
  if (header.name === '') header.name = 'tracing_mark_write';
  return 'graph-event';
}

/** Where the last ` *\/` behind `start` begins, or -1. */
function lastCommentEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let at = end - 3; at > start; at--) {
    if (bytes[at] === SPACE && bytes[at + 1] === ASTERISK && bytes[at + 2] === SLASH) return at;
  }
  return -1;
}

/** `CPU:n [LOST 5 EVENTS]` of trace, `CPU:n [5 EVENTS DROPPED]` of trace-cmd, `LOST 5 events` of perf. */
function seekLost(cursor: TextCursor): boolean {
  const start = cursor.at;
  if (cursor.seek(LOST)) return true;
  if (!cursor.seek(DROPPED)) return false;
  cursor.at = start;
  return cursor.seek(OPEN_BRACKET);
}

function isComment(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = bytes[at];
    if (code === SPACE || code === TAB) continue;
    if (code === HASH) return true;
    break;
  }
  const trimmed = decodeText(bytes, start, end).trim();
  return (
    trimmed === '' ||
    trimmed.startsWith('cpus=') ||
    trimmed.startsWith('version = ') ||
    trimmed.startsWith('CPU ') ||
    trimmed.startsWith('------') ||
    trimmed.includes(' => ')
  );
}

/** Position of `code` between `start` and `end`, or -1. @hot */
function find(bytes: Uint8Array, code: number, start: number, end: number): number {
  for (let at = start; at < end; at++) if (bytes[at] === code) return at;
  return -1;
}

function startsWith(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start < word.length) return false;
  for (let at = 0; at < word.length; at++) if (bytes[start + at] !== word[at]) return false;
  return true;
}

/** 1 for letters, digits and the underscore. */
const NAME_CHARACTERS = Uint8Array.from({ length: 256 }, (_, code) =>
  /[A-Za-z0-9_]/.test(String.fromCharCode(code)) ? 1 : 0,
);
