// docs/spec-map-vfio.md says where each behaviour of VFIO lives: it must name real files, all of them, and real tests.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url).pathname;
const map = readFileSync(`${root}docs/spec-map-vfio.md`, 'utf8');
const named = [...map.matchAll(/`((?:src|test)\/[^`]+\.ts)`/g)].map(([, path]) => path as string);

it('names files that exist', () => {
  expect(named.length).toBeGreaterThan(80);
  expect(named.filter((path) => !existsSync(root + path))).toEqual([]);
});

it('leaves out no file of VFIO', () => {
  const files = readdirSync(`${root}src/stack/vfio`, { recursive: true, encoding: 'utf8' });
  const missing = files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `src/stack/vfio/${file}`)
    .filter((path) => !named.includes(path));
  expect(missing).toEqual([]);
});

it('is right about the seam: five files of VFIO call iommufd, and iommufd calls none of VFIO', () => {
  const sources = (folder: string) =>
    readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => ({ file, text: readFileSync(`${root}${folder}/${file}`, 'utf8') }));
  // Types say nothing about calls; structure layouts are plain data.
  const calls = /^import \{[^}]*\} from '(?:\.\.\/)+iommufd\/(?!user-struct)/m;
  const callers = sources('src/stack/vfio').filter(({ text }) => calls.test(text));
  expect(callers.map(({ file }) => file).sort()).toEqual([
    'cdev.ts',
    'emulated.ts',
    'group-file.ts',
    'iommufd-glue.ts',
    'pin-pages.ts',
  ]);
  expect(sources('src/stack/iommufd').filter(({ text }) => /from '.*\/vfio\//.test(text))).toEqual([]);
});

it('gives each of the 47 scenarios to the file whose test has its number', () => {
  const seen: number[] = [];
  for (const [, path, list] of map.matchAll(/^\| `(test\/conformance\/vfio-scenario-[^`]+)` \| ([\d ]+) \|$/gm)) {
    const tests = [...readFileSync(root + (path as string), 'utf8').matchAll(/it\('(\d+): /g)].map(([, n]) =>
      Number(n),
    );
    const listed = (list as string).split(' ').map(Number);
    expect(tests.sort((a, b) => a - b)).toEqual(listed);
    seen.push(...listed);
  }
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 47 }, (_, index) => index + 1));
});
