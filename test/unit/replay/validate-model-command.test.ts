/** `validate-model --table` from command line to exit code and files. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProgram } from '../../../src/cli/program.ts';

let folder = '';
let file = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'validate-model-command-'));
  file = join(folder, 'curves.json');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function command(...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const exitCode = await runProgram(['validate-model', '--samples', '2000', ...args], {
    data: (text) => out.push(text),
    talk: (text) => err.push(text),
    error: (text) => err.push(text),
    interactive: false,
  });
  return { exitCode, out: out.join('\n'), err: err.join('\n') };
}

/** Superpages that add nothing, as `--table` takes them. */
const CURVE = { name: 'superpages', direction: 'read', bytes: 64, outstanding: 1, superpages: true } as const;
const POINTS = [
  { pages: 64, value: 3 },
  { pages: 512, value: -0.5 },
];
function write(content: object): void {
  const curve = { ...CURVE, quantity: 'added-latency-ns', points: POINTS };
  writeFileSync(file, JSON.stringify({ schemaVersion: 1, name: 'a machine', curves: [curve], ...content }));
}

test('curves that hold are exit code 0, curves that do not 1', async () => {
  write({});
  expect(await command('--table', file)).toMatchObject({ exitCode: 0, err: '' });
  expect(await command('--table', file, '--set', 'translation.hitNs=20')).toMatchObject({ exitCode: 1, err: '' });
});

test.each([
  [{ profile: 'qemu-7.2' }, 2, /curves\.json: profile: 'qemu-7\.2' is the emulated unit/],
  [{ set: ['iotlb.entires=1'] }, 2, /curves\.json: set\.0: iotlb\.entires/],
  [
    { curves: [{ ...CURVE, quantity: 'gbps', points: POINTS }] },
    2,
    /curves\.json: curves\.0\.points\.1\.value: .*'superp/,
  ],
])('what is wrong in the file is exit code 2 with file and place: %j', async (content, exitCode, message) => {
  write(content);
  const outcome = await command('--table', file);
  expect(outcome).toMatchObject({ exitCode, out: '' });
  expect(outcome.err).toMatch(message);
});

test('a file that cannot be read is exit code 3', async () => {
  expect(await command('--table', join(folder, 'absent.json'))).toMatchObject({ exitCode: 3 });
  expect(await command('--table', folder)).toMatchObject({ exitCode: 3 });
});

test('a fit is printed and written: JSON of the folder is that of stdout', async () => {
  const points = [{ pages: 512, value: 160 }];
  write({ curves: [{ ...CURVE, superpages: false, quantity: 'added-latency-ns', points }] });
  const target = join(folder, 'page');
  const args = ['--table', file, '--fit', 'singleMissPenaltyNs', '--set', 'iotlb.entries=120'];
  const { exitCode, out, err } = await command(...args, '--format', 'json', '-o', target);
  // The exit code is that of the values as they are.
  expect({ exitCode, err }).toEqual({ exitCode: 1, err: `model validation: ${target}` });
  const json = JSON.parse(out);
  expect(json).toMatchObject({ schemaVersion: 2, pass: false, fit: { improved: true } });
  expect(json.fit.overrides[0]).toBe('iotlb.entries=120');
  expect(JSON.parse(readFileSync(join(target, 'model-validation.json'), 'utf8'))).toEqual(json);
  expect(readdirSync(target)).toEqual(
    expect.arrayContaining(['index.html', 'model-validation.md', 'model-validation.txt']),
  );
  expect(readFileSync(join(target, 'model-validation.txt'), 'utf8')).toContain('--set translation.walkFixedNs=');
  // What it says to apply gives the curve that it shows.
  const sets = (json.fit.overrides as string[]).flatMap((override) => ['--set', override]);
  const applied = await command('--table', file, ...sets, '--format', 'json');
  expect(applied.exitCode).toBe(0);
  expect(JSON.parse(applied.out).tables[0].points[0].modelled).toBe(json.fit.after.points[0].modelled);
});
