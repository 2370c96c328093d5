// docs/spec-map.md says where each behaviour of iommufd and below lives: it must name real files, all of them, and tests.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url).pathname;
const map = readFileSync(`${root}docs/spec-map.md`, 'utf8');
const paths = (text: string): string[] =>
  [...text.matchAll(/`((?:src|test)\/[^`]+\.ts)`/g)].map(([, path]) => path as string);
const rows = [...map.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].filter(
  ([, behaviour]) => behaviour !== 'behaviour' && behaviour !== '---',
);

it('names files that exist', () => {
  expect(paths(map).length).toBeGreaterThan(100);
  expect(paths(map).filter((path) => !existsSync(root + path))).toEqual([]);
});

it.each(['iommufd', 'iommu', 'drivers/intel', 'drivers/mock'])('leaves out no file of %s', (folder) => {
  const files = readdirSync(`${root}src/stack/${folder}`, { recursive: true, encoding: 'utf8' });
  const named = new Set(paths(map));
  expect(
    files
      .filter((file) => file.endsWith('.ts'))
      .map((file) => `src/stack/${folder}/${file}`)
      .filter((path) => !named.has(path)),
  ).toEqual([]);
});

it('gives every behaviour files and tests', () => {
  expect(rows.length).toBeGreaterThan(30);
  for (const [, behaviour, , files, tests] of rows) {
    const sources = paths(files as string);
    const checks = paths(tests as string);
    expect([behaviour, sources.length > 0, checks.length > 0]).toEqual([behaviour, true, true]);
    expect(sources.filter((path) => !path.startsWith('src/'))).toEqual([]);
    expect(checks.filter((path) => !path.endsWith('.test.ts'))).toEqual([]);
  }
});
