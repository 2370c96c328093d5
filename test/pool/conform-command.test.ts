/** `conform` on the command line: exit codes, text, JSON and the kernel's name. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { commandLine } from '../support/command-line.ts';

const SHIPPED = fileURLToPath(new URL('../../workloads/conformance', import.meta.url));
const MAP = join(SHIPPED, 'v7.3/iommufd-map.jsonl.gz');
const PASID = join(SHIPPED, 'v7.3/pasid.jsonl.gz');
const scratch = mkdtempSync(join(tmpdir(), 'conform-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The shipped map transcript, edited, as plain text in a folder of that name. */
function edited(folder: string, edit: (text: string) => string): string {
  mkdirSync(join(scratch, folder), { recursive: true });
  const path = join(scratch, folder, 'edited.jsonl');
  writeFileSync(path, edit(gunzipSync(readFileSync(MAP)).toString()));
  return path;
}

/** Changes the return value that was recorded for the first successful IOMMU_IOAS_ALLOC. */
function withOneWrongAnswer(text: string): string {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.includes('"IOMMU_IOAS_ALLOC"') && line.includes('"ret":0'));
  expect(at).toBeGreaterThan(0);
  lines[at] = (lines[at] as string).replace('"ret":0', '"ret":7');
  return lines.join('\n');
}

describe('transcripts that match', () => {
  it('exit with 0 and print a line a file and the total', async () => {
    const { exitCode, stdout } = await commandLine('conform', MAP, PASID);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'pass  191/191 steps  iommufd-map.jsonl.gz  v7.3, mock, 11 sequences',
      'pass  238/238 steps  pasid.jsonl.gz  v7.3, mock, 8 sequences',
      'total  429/429 steps in 19 sequences of 2 files',
    ]);
  });

  it('are the documented JSON with --format json', async () => {
    const { exitCode, stdout } = await commandLine('conform', MAP, '--format', 'json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      schemaVersion: 1,
      files: [
        {
          file: 'iommufd-map.jsonl.gz',
          kernel: 'v7.3',
          setup: 'mock',
          sequences: 11,
          steps: 191,
          matched: 191,
          mismatches: [],
        },
      ],
      totals: { files: 1, sequences: 11, steps: 191, matched: 191, mismatches: 0 },
    });
  });
});

describe('a transcript that does not match', () => {
  it('exits with 1 and names sequence, step, operation, field and both values', async () => {
    const file = edited('conformance-v7', withOneWrongAnswer);
    const text = await commandLine('conform', file);
    expect(text.exitCode).toBe(1);
    expect(text.stdout).toMatch(/^FAIL {2}190\/191 steps {2}edited\.jsonl {2}v7\.3, mock/);
    expect(text.stdout).toMatch(/^ {6}\S+ step \d+ IOMMU_IOAS_ALLOC: ret expected 7, got 0$/m);
    const json = await commandLine('conform', file, '--format', 'json');
    expect(json.exitCode).toBe(1);
    const [result] = JSON.parse(json.stdout).files;
    expect(result.mismatches).toEqual([
      {
        seq: expect.any(String),
        step: expect.any(Number),
        op: 'IOMMU_IOAS_ALLOC',
        field: 'ret',
        expected: 7,
        actual: 0,
      },
    ]);
  });

  it('is what another kernel than the recorded one gives', async () => {
    const { exitCode, stdout } = await commandLine('conform', '--kernel', 'v6.12', PASID);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('v6.12, mock');
  });
});

describe('the kernel', () => {
  it('follows from the folder of a plain file', async () => {
    const { exitCode, stdout } = await commandLine(
      'conform',
      edited('conformance-v7', (text) => text),
    );
    expect([exitCode, stdout.includes('v7.3, mock')]).toEqual([0, true]);
  });

  it('must be named for a file in any other folder: exit 2', async () => {
    const file = edited('elsewhere', (text) => text);
    const { exitCode, stderr } = await commandLine('conform', file);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--kernel');
    expect((await commandLine('conform', '--kernel', 'v7.3', file)).exitCode).toBe(0);
  });

  it('must be known: exit 2 and the known names', async () => {
    const { exitCode, stderr } = await commandLine('conform', '--kernel', 'v9.9', MAP);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/v9\.9.*v6\.12.*v7\.3/);
  });
});

describe('bad usage and bad input', () => {
  it('exits with 2 for an unknown format', async () => {
    expect((await commandLine('conform', MAP, '--format', 'xml')).exitCode).toBe(2);
  });

  it('exits with 2 without a file', async () => {
    expect((await commandLine('conform')).exitCode).toBe(2);
  });

  it.each([
    ['an unknown setup', (text: string) => text.replaceAll('"setup":"mock"', '"setup":"toaster"'), /toaster/],
    ['a line that is not JSON', (text: string) => text.replace('\n', '\n{not json\n'), /edited\.jsonl.*2.*JSON/s],
    ['no sequence at all', () => '', /no sequence/],
  ])('exits with 3 for %s', async (_name, edit, message) => {
    const { exitCode, stderr } = await commandLine('conform', edited('conformance-v7', edit));
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(message);
  });

  it('exits with 3 for a file that is not there', async () => {
    const { exitCode, stderr } = await commandLine('conform', join(SHIPPED, 'v7.3/none.jsonl'));
    expect(exitCode).toBe(3);
    expect(stderr).toContain('none.jsonl');
  });
});
