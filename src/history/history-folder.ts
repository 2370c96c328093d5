/** Whether a folder may be used as a history; said before any work starts. */
import { readdir } from 'node:fs/promises';
import { ConfigError } from '../input-error.ts';
import { checkWritable } from '../report/writer.ts';
import { ENTRIES_FOLDER } from './store.ts';

/** Throws {@link ConfigError} for a folder that holds something else, or may not be written. */
export async function checkHistoryFolder(history: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(history);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new ConfigError({ source: history, reason: `cannot be read as a folder (${code})` });
    names = [];
  }
  if (names.length > 0 && !names.includes(ENTRIES_FOLDER)) {
    throw new ConfigError({ source: history, reason: 'the folder is not empty and holds no history' });
  }
  await checkWritable(history);
}
