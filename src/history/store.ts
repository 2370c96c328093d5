/**
 * The history as a folder: one file an entry, `entries/000001.json` and so on, never changed once written. A file appears
 * whole or not at all, and never in place of another's: it is written under a hidden name and then linked to its own.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { link, mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeStrict } from '../decode.ts';
import { ConfigError, InputError } from '../input-error.ts';
import { ENTRY_SCHEMA, ENTRY_SCHEMA_VERSION, entryIdOf, type NightlyEntry } from './entry.ts';

/** Folder of the entries in a history. */
export const ENTRIES_FOLDER = 'entries';

const ENTRY_FILE = /^(\d{6,})\.json$/;

/** Ids of all entries, oldest first; none when there is no history. Throws {@link InputError} for a file that is none. */
export function entryIds(history: string): string[] {
  const folder = join(history, ENTRIES_FOLDER);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new InputError({ file: folder, reason: `cannot be read (${code})` });
  }
  const ids = names.flatMap((name) => {
    if (name.startsWith('.')) return [];
    const id = ENTRY_FILE.exec(name)?.[1];
    if (id === undefined || id !== entryIdOf(Number(id))) {
      throw new InputError({ file: join(folder, name), reason: 'is no entry of a history' });
    }
    return [id];
  });
  return ids.sort((a, b) => Number(a) - Number(b));
}

/** Path of an entry's file. */
export function entryPath(history: string, id: string): string {
  return join(history, ENTRIES_FOLDER, `${id}.json`);
}

/** Reads one entry; throws {@link InputError} with the file when it is missing, damaged, or of a newer format. */
export function readEntry(history: string, id: string): NightlyEntry {
  const file = entryPath(history, id);
  let value: { schemaVersion?: unknown } | null;
  try {
    value = JSON.parse(readFileSync(file, 'utf8')) as typeof value;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new InputError({ file, reason: code === undefined ? `not JSON: ${message}` : `cannot be read (${code})` });
  }
  const version = value?.schemaVersion;
  if (version !== ENTRY_SCHEMA_VERSION) {
    const reason = `entry schema ${String(version)}, this version reads ${ENTRY_SCHEMA_VERSION}`;
    throw new InputError({ file, reason });
  }
  let entry: NightlyEntry;
  try {
    entry = decodeStrict(ENTRY_SCHEMA, value, file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new InputError({ file, reason: `is damaged: ${error.path}: ${error.reason}` });
  }
  if (entry.id !== id) throw new InputError({ file, reason: `is damaged: it says that it is entry ${entry.id}` });
  return entry;
}

/** All entries, oldest first, one at a time. */
export function* readEntries(history: string, ids: readonly string[] = entryIds(history)): Generator<NightlyEntry> {
  for (const id of ids) yield readEntry(history, id);
}

/**
 * Appends what `make` makes for the next free number, and returns it. Another process may take that number first; then
 * `make` is asked again, with the history as it is by then. Throws what `make` and the file system throw.
 */
export async function appendEntry(history: string, make: (id: string) => NightlyEntry): Promise<NightlyEntry> {
  const folder = join(history, ENTRIES_FOLDER);
  for (;;) {
    const id = entryIdOf(Number(entryIds(history).at(-1) ?? 0) + 1);
    const entry = decodeStrict(ENTRY_SCHEMA, make(id), `entry ${id}`);
    await mkdir(folder, { recursive: true });
    const staging = await mkdtemp(join(folder, '.entry-'));
    try {
      const draft = join(staging, `${id}.json`);
      await writeDurably(draft, `${JSON.stringify(entry, null, 1)}\n`);
      if (!(await linkNew(draft, entryPath(history, id)))) continue;
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
    await syncFolder(folder);
    return entry;
  }
}

/** Gives `draft` its name; false when there is such a file. */
async function linkNew(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function writeDurably(path: string, content: string): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the new name survive a crash, where the file system lets a folder be synchronised. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync().catch(() => {});
  } finally {
    await handle.close();
  }
}
