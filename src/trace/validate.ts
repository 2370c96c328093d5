/**
 * Everything that can be checked about a bundle without replaying it: digests, row counts, columns, order, and
 * references between streams. A damaged file becomes a problem of that file; the others are still checked.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../input-error.ts';
import { type ControlFacts, checkControl, checkFrames, checkInitial } from './checks/control-check.ts';
import { checkDma } from './checks/dma-check.ts';
import { checkHardware, checkObservedDma, checkSubmissions, checkTables } from './checks/observed-check.ts';
import { checkUniqueSequences } from './checks/order-check.ts';
import { FileProblems, Problems, type ValidationProblem } from './checks/problems.ts';
import { checkUserData } from './checks/user-data-check.ts';
import { MANIFEST_FILE } from './manifest.ts';
import { BundleReader } from './reader.ts';
import type { StreamName } from './schema/streams.ts';

/** [bytes] Read at a time for a digest. */
const DIGEST_BLOCK = 1 << 20;

/** What `validate` has to say. */
export interface ValidationResult {
  /** False when there is an error; warnings do not count. */
  readonly valid: boolean;
  readonly problems: readonly ValidationProblem[];
}

/** Checks the bundle in folder `path`; throws InputError only when its manifest cannot be read. */
export function validateBundle(path: string): ValidationResult {
  const bundle = BundleReader.open(path);
  const problems = new Problems();
  try {
    checkManifest(bundle, problems);
    const sound = new Set<string>();
    for (const name of Object.keys(bundle.manifest.streams)) {
      if (checkFile(bundle, name as StreamName, problems)) sound.add(name);
    }
    checkRows(bundle, sound, problems);
  } finally {
    bundle.close();
  }
  const list = problems.list();
  return { valid: list.every(({ severity }) => severity !== 'error'), problems: list };
}

function checkManifest(bundle: BundleReader, problems: Problems): void {
  const { manifest } = bundle;
  const at = new FileProblems(problems, MANIFEST_FILE);
  const { windowStartNs, windowEndNs } = manifest.time;
  if (windowEndNs < windowStartNs) at.error(undefined, 'window', () => 'the window ends before it starts');
  if (manifest.lostEvents > 0) at.warning(undefined, 'lost', () => `${manifest.lostEvents} events were lost`);
  for (const { code, severity, count, first } of manifest.diagnostics) {
    if (severity !== 'info') at.warning(undefined, code, () => `import: ${code}: ${count}, first ${first}`);
  }
  const known = new Set([MANIFEST_FILE, ...Object.values(manifest.streams).map(({ file }) => file)]);
  for (const file of readdirSync(bundle.path).sort()) {
    if (!known.has(file)) problems.add('warning', file, undefined, 'stray', () => 'not listed in the manifest');
  }
}

/** Opens a stream and holds the file against its digest; false when its rows cannot be read. */
function checkFile(bundle: BundleReader, name: StreamName, problems: Problems): boolean {
  const entry = bundle.manifest.streams[name]!;
  const at = new FileProblems(problems, entry.file);
  const opened = guard(at, () => {
    const stream = bundle.stream(name);
    for (const _batch of stream.batches());
  });
  const digest = digestFile(join(bundle.path, entry.file));
  if (digest !== undefined && digest !== entry.sha256) {
    at.error(undefined, 'sha256', () => `SHA-256 is ${digest}, the manifest says ${entry.sha256}`);
  }
  return opened;
}

function checkRows(bundle: BundleReader, sound: ReadonlySet<string>, problems: Problems): void {
  const { streams, topology, provenance } = bundle.manifest;
  const at = (name: string): FileProblems => new FileProblems(problems, streams[name]?.file ?? MANIFEST_FILE);
  if (!sound.has('control')) return;
  const control: ControlFacts = checkControl(bundle, at('control'));
  if (sound.has('frames')) checkFrames(bundle, control, at('frames'));
  if (sound.has('initial')) checkInitial(bundle, at('initial'));
  if (sound.has('user-data')) checkUserData(bundle, control, at('user-data'));
  const sequenced: StreamName[] = ['control'];
  const split = { measured: 0, inferred: 0, synthetic: 0 };
  const columns = { size: 0, direction: 0, time: 0 };
  for (let unit = 0; unit < topology.units.length; unit++) {
    const name: StreamName = `dma-${unit}`;
    if (streams[name] !== undefined && !sound.has(name)) continue;
    const counts = checkDma(bundle, unit, control, at(name), at('control'));
    split.measured += counts.measured;
    split.inferred += counts.inferred;
    split.synthetic += counts.synthetic;
    columns.size += counts.columns.size;
    columns.direction += counts.columns.direction;
    columns.time += counts.columns.time;
    if (sound.has(name)) sequenced.push(name);
    if (sound.has(`observed-dma-${unit}`)) checkObservedDma(bundle, unit, at(`observed-dma-${unit}`));
  }
  const { dma, inferredColumns } = provenance;
  if (dma.measured + dma.inferred + dma.synthetic !== split.measured + split.inferred + split.synthetic) {
    at('').error(undefined, 'provenance', () => 'the provenance split does not add up to the number of DMA rows');
  } else {
    for (const kind of ['synthetic', 'measured'] as const) {
      if (dma[kind] === split[kind]) continue;
      at('').error(undefined, 'provenance', () => `${split[kind]} DMA rows are ${kind}, not ${dma[kind]}`);
    }
  }
  for (const column of ['size', 'direction', 'time'] as const) {
    const stated = inferredColumns?.[column];
    if (stated === undefined || stated === columns[column]) continue;
    at('').error(
      undefined,
      'provenance',
      () => `${columns[column]} measured DMA rows have an inferred ${column}, not ${stated}`,
    );
  }
  if (sound.has('observed-submissions')) checkSubmissions(bundle, control.rowCount, at('observed-submissions'));
  if (sound.has('observed-hardware')) checkHardware(bundle, at('observed-hardware'));
  if (sound.has('observed-tables')) checkTables(bundle, at('observed-tables'));
  checkUniqueSequences(sequenced.map((name) => ({ stream: bundle.stream(name as 'control'), problems: at(name) })));
}

function guard(at: FileProblems, action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    at.error(error.row, 'unreadable', () => error.reason);
    return false;
  }
}

function digestFile(file: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return undefined;
  }
  try {
    const hash = createHash('sha256');
    const block = new Uint8Array(DIGEST_BLOCK);
    for (;;) {
      const count = readSync(fd, block, 0, block.length, null);
      if (count === 0) return hash.digest('hex');
      hash.update(block.subarray(0, count));
    }
  } finally {
    closeSync(fd);
  }
}
