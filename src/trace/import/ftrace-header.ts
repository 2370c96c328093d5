/**
 * The line headers of ftrace text: `trace`/`trace_pipe`, `trace-cmd report`, `perf script`, and function_graph output
 * with events in comments. Each recogniser leaves the cursor at the payload.
 */
import type { TextCursor } from './text-cursor.ts';

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

/** Recognises `line` and fills `header`; `cursor` then stands at the payload (for `lost`, at the count). */
export function readFtraceHeader(line: string, cursor: TextCursor, header: FtraceHeader): FtraceLineForm {
  const bracket = line.indexOf('[');
  if (bracket > 0 && readBracketed(line, bracket, cursor, header)) return 'event';
  if (isComment(line)) return 'comment';
  if (seekLost(line, cursor)) return 'lost';
  return readGraph(line, cursor, header);
}

/** `TASK-PID [CPU] FLAGS TIME: name: `, `TASK TID [CPU] TIME: system:name: `; flags may be missing. */
function readBracketed(line: string, firstBracket: number, cursor: TextCursor, header: FtraceHeader): boolean {
  for (let bracket = firstBracket; bracket >= 0; bracket = line.indexOf('[', bracket + 1)) {
    cursor.set(line, bracket + 1);
    const cpu = cursor.decimal();
    if (Number.isNaN(cpu) || line.charCodeAt(cursor.at) !== 93) continue;
    const afterCpu = cursor.at + 1;
    const thread = threadBefore(line, bracket);
    if (Number.isNaN(thread)) continue;
    cursor.set(line, afterCpu);
    if (!readTime(cursor, header)) continue;
    header.cpu = cpu;
    header.thread = thread;
    readName(cursor, header);
    return true;
  }
  return false;
}

/** Number that ends `task-PID ` or `task TID ` before the CPU bracket; an optional `(TGID)` in between is skipped. */
function threadBefore(line: string, bracket: number): number {
  let end = bracket;
  while (end > 0 && line.charCodeAt(end - 1) === 32) end--;
  if (line.charCodeAt(end - 1) === 41) {
    end = line.lastIndexOf('(', end);
    while (end > 0 && line.charCodeAt(end - 1) === 32) end--;
  }
  let start = end;
  while (start > 0 && isDigit(line.charCodeAt(start - 1))) start--;
  if (start === end || start === 0) return Number.NaN;
  const before = line.charCodeAt(start - 1);
  return before === 45 || before === 32 ? Number(line.slice(start, end)) : Number.NaN;
}

/** Optional flags, then `SECONDS.FRACTION:`. */
function readTime(cursor: TextCursor, header: FtraceHeader): boolean {
  cursor.skipSpaces();
  if (!isDigit(cursor.line.charCodeAt(cursor.at)) || !numberThenDot(cursor)) {
    cursor.word();
    cursor.skipSpaces();
  }
  const timeNs = cursor.secondsAsNs();
  if (Number.isNaN(timeNs) || cursor.line.charCodeAt(cursor.at) !== 58) return false;
  header.timeNs = timeNs;
  cursor.at++;
  cursor.skipSpaces();
  return true;
}

function numberThenDot(cursor: TextCursor): boolean {
  let at = cursor.at;
  while (isDigit(cursor.line.charCodeAt(at))) at++;
  return cursor.line.charCodeAt(at) === 46;
}

/** `name: payload`; a system call prints itself in the place of the name. */
function readName(cursor: TextCursor, header: FtraceHeader): void {
  const { line } = cursor;
  const start = cursor.at;
  if (line.startsWith('sys_ioctl', start)) {
    header.name = line.startsWith('(', start + 9) ? 'sys_enter_ioctl' : 'sys_exit_ioctl';
    cursor.at = start + 9;
    return;
  }
  let end = start;
  while (isNameCharacter(line.charCodeAt(end))) end++;
  if (
    line.charCodeAt(end) === 58 &&
    isNameCharacter(line.charCodeAt(end + 1)) &&
    EVENT_SYSTEMS.has(line.slice(start, end))
  ) {
    cursor.at = end + 1;
    readName(cursor, header);
    return;
  }
  const named = line.charCodeAt(end) === 58 && end > start;
  header.name = named ? line.slice(start, end) : '';
  cursor.at = named ? end + 1 : start;
  cursor.skipSpaces();
}

/** `TIME | CPU) TASK-PID | DURATION | calls`, where an event is a comment of the call tree. */
function readGraph(line: string, cursor: TextCursor, header: FtraceHeader): FtraceLineForm {
  cursor.set(line, 0);
  cursor.skipSpaces();
  const timeNs = cursor.secondsAsNs();
  if (Number.isNaN(timeNs)) return 'unrecognised';
  cursor.skipSpaces();
  if (line.charCodeAt(cursor.at) !== 124) return 'unrecognised';
  cursor.at++;
  cursor.skipSpaces();
  const cpu = cursor.decimal();
  if (Number.isNaN(cpu) || line.charCodeAt(cursor.at) !== 41) return 'unrecognised';
  const taskEnd = line.indexOf('|', cursor.at);
  if (taskEnd < 0) return 'unrecognised';
  const thread = threadBefore(line, taskEnd);
  const durationEnd = line.indexOf('|', taskEnd + 1);
  if (durationEnd < 0 || Number.isNaN(thread)) return 'unrecognised';
  header.timeNs = timeNs;
  header.cpu = cpu;
  header.thread = thread;
  const comment = line.indexOf('/* ', durationEnd);
  if (comment < 0) return 'graph-call';
  const end = line.lastIndexOf(' */');
  cursor.set(end > comment ? line.slice(0, end) : line, comment + 3);
  readName(cursor, header);
  if (header.name === '') header.name = 'tracing_mark_write';
  return 'graph-event';
}

/** `CPU:n [LOST 5 EVENTS]` of trace, `CPU:n [5 EVENTS DROPPED]` of trace-cmd, `LOST 5 events` of perf. */
function seekLost(line: string, cursor: TextCursor): boolean {
  cursor.set(line, 0);
  if (line.includes('LOST ')) return cursor.seek('LOST ');
  if (!line.includes('EVENTS DROPPED')) return false;
  return cursor.seek('[');
}

function isComment(line: string): boolean {
  for (let at = 0; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code === 32 || code === 9) continue;
    if (code === 35) return true;
    break;
  }
  const trimmed = line.trim();
  return (
    trimmed === '' ||
    trimmed.startsWith('cpus=') ||
    trimmed.startsWith('version = ') ||
    trimmed.startsWith('CPU ') ||
    trimmed.startsWith('------') ||
    trimmed.includes(' => ')
  );
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isNameCharacter(code: number): boolean {
  return (code >= 97 && code <= 122) || code === 95 || isDigit(code) || (code >= 65 && code <= 90);
}
