import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkHistoryFolder } from '../../../src/history/history-folder.ts';
import { readPast } from '../../../src/history/past.ts';
import { appendEntry, entryIds, entryPath, readEntries, readEntry } from '../../../src/history/store.ts';
import { appendNight, nightlyEntry, nightlyPlan } from '../../support/nightly-history.ts';

const plan = nightlyPlan();
let history = '';
beforeEach(() => {
  history = join(mkdtempSync(join(tmpdir(), 'nightly-store-')), 'history');
});
afterEach(() => rmSync(join(history, '..'), { recursive: true, force: true }));

test('entries have numbers in order and are read back as they were', async () => {
  const first = await appendNight(history, plan);
  const second = await appendNight(history, plan, { label: 'again' });
  expect([first.id, second.id]).toEqual(['000001', '000002']);
  expect([...readEntries(history)]).toEqual([first, second]);
  // Nothing but whole entries is left behind.
  expect(readdirSync(join(history, 'entries')).sort()).toEqual(['000001.json', '000002.json']);
});

test('two that append at once get a number each, and the second sees the first', async () => {
  // The other process is as far along as can be: it takes the number after this one has asked for it.
  let asked = 0;
  const late = await appendEntry(history, (id) => {
    if (++asked === 1) {
      mkdirSync(join(history, 'entries'), { recursive: true });
      const other = nightlyEntry(id, history, plan, { label: 'other' });
      writeFileSync(entryPath(history, id), JSON.stringify(other));
    }
    return nightlyEntry(id, history, plan, { label: 'mine' });
  });
  expect(asked).toBe(2);
  expect(late.id).toBe('000002');
  expect([...readEntries(history)].map(({ label }) => label)).toEqual(['other', 'mine']);
  expect(late.cases.map(({ change }) => change.against)).toEqual(late.cases.map(() => '000001'));
});

test('many that append at once lose nothing', async () => {
  const labels = Array.from({ length: 12 }, (_, n) => `night ${n}`);
  await Promise.all(labels.map((label) => appendNight(history, plan, { label })));
  expect(entryIds(history)).toHaveLength(12);
  expect([...readEntries(history)].map(({ label }) => label).sort()).toEqual([...labels].sort());
});

test('an entry that cannot be made leaves nothing', async () => {
  const failing = appendEntry(history, () => {
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(existsSync(history)).toBe(false);
});

test('what a crash left under a hidden name is no entry', async () => {
  await appendNight(history, plan);
  mkdirSync(join(history, 'entries', '.entry-x'));
  writeFileSync(join(history, 'entries', '.entry-x', '000002.json'), '{');
  expect(entryIds(history)).toEqual(['000001']);
});

test.each([
  ['half an entry', (text: string) => text.slice(0, text.length / 2), /000002\.json: not JSON/],
  ['nothing', () => '', /000002\.json: not JSON/],
  ['null', () => 'null', /000002\.json: entry schema undefined, this version reads 1/],
  [
    'a newer format',
    (text: string) => text.replace('"schemaVersion": 1', '"schemaVersion": 2'),
    /000002\.json: entry schema 2, this version reads 1/,
  ],
  ['a key too few', (text: string) => text.replace(/"commit".*\n/, ''), /000002\.json: is damaged: commit/],
  [
    'a key too many',
    (text: string) => text.replace('"commit"', '"more": 1, "commit"'),
    /is damaged: more: unknown key/,
  ],
  ['another id', (text: string) => text.replace('"id": "000002"', '"id": "000003"'), /it says that it is entry 000003/],
])('%s in place of an entry is an error with its file', async (_, damage, message) => {
  for (let night = 0; night < 3; night++) await appendNight(history, plan);
  const file = entryPath(history, '000002');
  writeFileSync(file, damage(readFileSync(file, 'utf8')));
  expect(() => readPast(history)).toThrow(message);
  expect(() => readPast(history)).toThrow(expect.objectContaining({ name: 'InputError' }));
});

test('a file that is no entry is not passed over', async () => {
  await appendNight(history, plan);
  writeFileSync(join(history, 'entries', '2.json'), '{}');
  expect(() => entryIds(history)).toThrow(/2\.json: is no entry of a history/);
});

test('numbers beyond six digits go on', async () => {
  const entry = await appendNight(history, plan);
  writeFileSync(entryPath(history, '999999'), JSON.stringify({ ...entry, id: '999999' }));
  const next = await appendNight(history, plan);
  expect(next.id).toBe('1000000');
  expect(readEntry(history, '1000000')).toEqual(next);
  expect(entryIds(history)).toEqual(['000001', '999999', '1000000']);
});

test('a folder that holds something else is no history', async () => {
  await expect(checkHistoryFolder(history)).resolves.toBeUndefined();
  mkdirSync(history);
  writeFileSync(join(history, 'thesis.txt'), '');
  await expect(checkHistoryFolder(history)).rejects.toThrow(/is not empty and holds no history/);
  await expect(checkHistoryFolder(join(history, 'thesis.txt'))).rejects.toThrow(/cannot be read as a folder/);
});
