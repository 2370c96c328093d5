/** What a new entry is held against: the newest earlier result of each case, and the newest that passed. */
import { ConfigError } from '../input-error.ts';
import { nearestName } from '../nearest-name.ts';
import { type EntryCase, type EntryProfile, entryIdOf, type NightlyEntry } from './entry.ts';
import { entryIds, readEntries, readEntry } from './store.ts';

/** A case as an earlier entry has it. */
export interface PastCase {
  readonly entry: string;
  readonly toolVersion: string;
  readonly case: EntryCase;
  readonly hardware: EntryProfile | undefined;
  readonly kernel: EntryProfile | undefined;
}

/** The history before a new entry. */
export interface Past {
  readonly last: { readonly id: string; readonly toolVersion: string } | undefined;
  /** Newest result of each case, by key. */
  readonly latest: ReadonlyMap<string, PastCase>;
  /** What changes are held against, by key of the case. */
  readonly base: ReadonlyMap<string, PastCase>;
  /** The user said which entry the base is: a case that it does not have is unknown, not new. */
  readonly baseChosen: boolean;
}

/**
 * Folds the whole history, one entry at a time. `baseId`: hold changes against that entry instead of the newest that
 * passed. Throws {@link InputError} for a damaged entry, {@link ConfigError} for a base that does not exist.
 */
export function readPast(history: string, baseId?: string): Past {
  const ids = entryIds(history);
  const latest = new Map<string, PastCase>();
  const passed = new Map<string, PastCase>();
  let last: Past['last'];
  for (const entry of readEntries(history, ids)) {
    last = { id: entry.id, toolVersion: entry.tool_version };
    for (const one of pastCases(entry)) {
      latest.set(one.case.key, one);
      if (entry.verdict === 'pass') passed.set(one.case.key, one);
    }
  }
  if (baseId === undefined) return { last, latest, base: passed, baseChosen: false };
  const chosen = readEntry(history, knownId(baseId, ids));
  return { last, latest, base: new Map(pastCases(chosen).map((one) => [one.case.key, one])), baseChosen: true };
}

/** The cases of an entry that have a result. */
function pastCases(entry: NightlyEntry): PastCase[] {
  return entry.cases
    .filter(({ error }) => error === null)
    .map((one) => ({
      entry: entry.id,
      toolVersion: entry.tool_version,
      case: one,
      hardware: entry.profiles[one.config.hardware_sha256],
      kernel: entry.profiles[one.config.kernel_sha256],
    }));
}

/** Id that the user means: zeros in front may be left out. */
function knownId(text: string, ids: readonly string[]): string {
  // No number is near to what is none.
  if (!/^\d+$/.test(text)) throw new ConfigError({ source: '--base', reason: `'${text}' is no number of an entry` });
  const id = entryIdOf(Number(text));
  if (ids.includes(id)) return id;
  const near = nearestName(id, ids);
  const hint = ids.length === 0 ? 'the history is empty' : `did you mean '${near ?? ids.at(-1)}'?`;
  throw new ConfigError({ source: '--base', reason: `no entry '${text}', ${hint}` });
}
