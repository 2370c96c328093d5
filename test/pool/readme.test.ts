/** The examples of README run as written, in a folder of their own and with fewer rows. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { commandLine } from '../support/command-line.ts';

const scratch = mkdtempSync(join(tmpdir(), 'readme-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const ROWS = '4000';
const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');
const examples = readme
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => line.startsWith('npx iommu-replay '));

test('the examples are there', () => {
  const commands = new Set(examples.map((line) => line.split(' ')[2]));
  for (const command of ['import', 'run', 'verify', 'compare', 'gate', 'sweep', 'replace', 'nightly', 'profiles']) {
    expect(commands, command).toContain(command);
  }
});

test.each(examples)('%s', async (example) => {
  const expected = Number(/# exit (\d+)/.exec(example)?.[1] ?? 0);
  const words = [...example.replace(/ {2,}#.*$/, '').matchAll(/'([^']*)'|(\S+)/g)].map(
    (match) => match[1] ?? match[2]!,
  );
  const args = words.slice(2).map((word, at) => argument(word, words[at + 1]!));
  // The plan itself is replayed by its own test.
  if (args[0] === 'nightly') args.push('--dry-run');
  const { exitCode, stderr } = await commandLine(...args);
  expect(exitCode, stderr).toBe(expected);
});

function argument(word: string, before: string): string {
  if (before === '--rows') return ROWS;
  if (word.startsWith('out/')) return join(scratch, word);
  if (!/^(docs|workloads)\//.test(word)) return word;
  return fileURLToPath(new URL(`../../${word}`, import.meta.url));
}
