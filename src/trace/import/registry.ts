/** All importers, and the one way to run them. */
import { existsSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { ConfigError, InputError } from '../../input-error.ts';
import { type BundleDraft, type ImportSummary, writeDraft } from './bundle-draft.ts';
import { controlLogImporter } from './control-log-importer.ts';
import { ftraceImporter } from './ftrace-importer.ts';
import type { DirectoryImporter, ImportContext, Importer, StreamImporter } from './importer.ts';
import { openInputBytes } from './input-bytes.ts';
import { qemuImporter } from './qemu-importer.ts';
import { isRecording } from './recorded-files.ts';
import { importRecorded } from './recorded-importer.ts';

const recordedImporter: DirectoryImporter = {
  kind: 'directory',
  name: 'recorded',
  description: 'directory of a recording: guest text, device-model log, control log, tables, merged into one bundle',
  sniff: isRecording,
  open: importRecorded,
};

/** Importers in the order in which they are asked whether an input is theirs. */
export const importers: readonly Importer[] = [recordedImporter, controlLogImporter, qemuImporter, ftraceImporter];

/** What to import and where to. */
export interface ImportRequest {
  /** Name of an importer; guessed from the input when left out. */
  readonly from?: string | undefined;
  /** One path; `-` is standard input. */
  readonly inputs: readonly string[];
  /** Bundle folder. */
  readonly output: string;
  readonly strict: boolean;
  readonly overwrite?: boolean | undefined;
  /** Seed of the access synthesis; 1 when left out. */
  readonly seed?: number | undefined;
}

/**
 * Imports one source and writes the bundle.
 * @throws ConfigError when no importer has that name or the inputs do not fit it
 * @throws InputError when the input cannot be read, or nothing recognises it
 */
export async function importTrace(request: ImportRequest): Promise<ImportSummary> {
  const draft = await draftTrace(request);
  await writeDraft(request.output, { overwrite: request.overwrite }, draft);
  return draft.summary;
}

/** As {@link importTrace}, without writing. */
export async function draftTrace(request: ImportRequest): Promise<BundleDraft> {
  const [input, ...more] = request.inputs;
  if (input === undefined || more.length > 0) {
    throw new ConfigError({ source: 'import', path: 'inputs', reason: 'one input at a time' });
  }
  const context: ImportContext = {
    name: basename(resolve(request.output)),
    strict: request.strict,
    seed: request.seed ?? 1,
  };
  const named = request.from === undefined ? undefined : importerNamed(request.from);
  if (input !== '-' && !existsSync(input)) throw new InputError({ file: input, reason: 'does not exist' });
  if (input !== '-' && isDirectory(input)) return openDirectory(input, named, context);
  return openStream(input, named, context);
}

function importerNamed(name: string): Importer {
  const found = importers.find((importer) => importer.name === name);
  if (found !== undefined) return found;
  const known = importers.map((importer) => importer.name).join(', ');
  throw new ConfigError({ source: 'import', path: 'from', reason: `no importer '${name}'; there are ${known}` });
}

function openDirectory(directory: string, named: Importer | undefined, context: ImportContext): Promise<BundleDraft> {
  if (named?.kind === 'stream') {
    throw new ConfigError({ source: 'import', path: 'inputs', reason: `${named.name} reads a file, not a directory` });
  }
  const importer =
    named ?? importers.find((one): one is DirectoryImporter => one.kind === 'directory' && one.sniff(directory));
  if (importer === undefined) {
    throw new InputError({ file: directory, reason: 'is no recording (it has no meta.json and no qemu-trace.log)' });
  }
  return importer.open(directory, context);
}

async function openStream(path: string, named: Importer | undefined, context: ImportContext): Promise<BundleDraft> {
  if (named?.kind === 'directory') {
    throw new ConfigError({ source: 'import', path: 'inputs', reason: `${named.name} reads a directory` });
  }
  const input = await openInputBytes(path);
  const prefix = new TextDecoder('utf-8').decode(input.prefix);
  const importer = named ?? importers.find((one): one is StreamImporter => one.kind === 'stream' && one.sniff(prefix));
  if (importer === undefined) {
    throw new InputError({ file: input.name, reason: 'is nothing that an importer recognises; name one with --from' });
  }
  return importer.open(input, context);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
