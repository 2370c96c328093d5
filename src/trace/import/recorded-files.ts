/** The files of a recording directory: which are there, and their decoded content. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError } from '../../input-error.ts';
import { type ControlLog, ControlLogParser } from './control-log-parser.ts';
import { type ListedDevice, readDeviceList } from './device-list.ts';
import type { DiagnosticCounts } from './diagnostics.ts';
import { FtraceParser, type GuestTrace } from './ftrace-parser.ts';
import { parseInput } from './importer.ts';
import { openInputBytes, readInputText } from './input-bytes.ts';
import { type DeviceLog, QemuLogParser } from './qemu-log-parser.ts';
import { type RecordingMeta, readRecordingMeta } from './recording-meta.ts';
import { readTableDump, type TableDump } from './table-dump.ts';

/** A recording, decoded but not yet merged. */
export interface RecordedFiles {
  readonly name: string;
  readonly meta: RecordingMeta;
  readonly listed: readonly ListedDevice[];
  readonly guest: GuestTrace;
  readonly device: DeviceLog;
  readonly control: ControlLog | undefined;
  readonly before: TableDump | undefined;
  readonly after: TableDump | undefined;
}

/** Guest text, by preference: an empty `ftrace.txt` stands beside a `trace-cmd report`. */
const GUEST_FILES = ['ftrace.txt', 'trace-report.txt'];
const SUFFIXES = ['', '.gz', '.zst'];

/** True when `directory` holds a recording. */
export function isRecording(directory: string): boolean {
  try {
    const files = readdirSync(directory);
    return files.includes('meta.json') && find(files, 'qemu-trace.log') !== undefined;
  } catch {
    return false;
  }
}

/** Reads and decodes all files. @throws InputError when a needed one is missing or damaged. */
export async function readRecordedFiles(directory: string, diagnostics: DiagnosticCounts): Promise<RecordedFiles> {
  let files: string[];
  try {
    files = readdirSync(directory);
  } catch {
    throw new InputError({ file: directory, reason: 'is no directory that can be read' });
  }
  const path = (name: string): string | undefined => {
    const found = find(files, name);
    return found === undefined ? undefined : join(directory, found);
  };
  const needed = (name: string): string => {
    const found = path(name);
    if (found === undefined)
      throw new InputError({ file: directory, reason: `a recording needs ${name}, which is missing` });
    return found;
  };
  const meta = readRecordingMeta('meta.json', await readInputText(needed('meta.json')));
  const listed = readDeviceList('devices.txt', await readInputText(needed('devices.txt')), diagnostics);
  const firstStage = isFirstStage(meta);
  const dump = async (name: string): Promise<TableDump | undefined> => {
    const file = path(name);
    return file === undefined ? undefined : readTableDump(name, await readInputText(file), { firstStage, diagnostics });
  };
  const controlPath = path('control.jsonl');
  return {
    name: basename(directory),
    meta,
    listed,
    guest: await readGuest(GUEST_FILES.map(path), diagnostics, directory),
    device: await parse(needed('qemu-trace.log'), new QemuLogParser('qemu-trace.log', diagnostics)),
    control:
      controlPath === undefined
        ? undefined
        : await parse(controlPath, new ControlLogParser('control.jsonl', diagnostics)),
    before: await dump('pagetables-before.txt'),
    after: await dump('pagetables-after.txt'),
  };
}

/** True when the recorded kernel's domains use the first stage: scalable mode without second-stage support. */
export function isFirstStage({ ecap }: RecordingMeta): boolean {
  if (ecap === undefined) return false;
  // VT-d spec 11.4.3: FSTS (first-stage translation support) is bit 47, SSTS bit 46.
  const value = BigInt(`0x${ecap}`);
  return ((value >> 47n) & 1n) === 1n && ((value >> 46n) & 1n) === 0n;
}

async function readGuest(
  paths: readonly (string | undefined)[],
  diagnostics: DiagnosticCounts,
  directory: string,
): Promise<GuestTrace> {
  let empty: GuestTrace | undefined;
  for (const path of paths) {
    if (path === undefined) continue;
    const trace = await parse(path, new FtraceParser(basename(path).replace(/\.(gz|zst)$/, ''), diagnostics));
    if (trace.eventCount > 0) return trace;
    empty = trace;
  }
  if (empty !== undefined) throw new InputError({ file: directory, reason: 'the guest text holds no event' });
  throw new InputError({ file: directory, reason: `a recording needs ${GUEST_FILES.join(' or ')}, which is missing` });
}

async function parse<T>(path: string, parser: { feed(chunk: Uint8Array): void; end(): T }): Promise<T> {
  return parseInput((await openInputBytes(path)).chunks, parser);
}

function find(files: readonly string[], name: string): string | undefined {
  return SUFFIXES.map((suffix) => name + suffix).find((file) => files.includes(file));
}
