/** Promise 6: bad input is a clear message with file, row and reason, the documented exit code, and nothing half written. */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandLine } from '../support/command-line.ts';

const RECORDING = fileURLToPath(new URL('../../workloads/recorded/vfio-edu-live', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'bad-input-'));
const bundle = join(scratch, 'good.bundle');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
beforeAll(async () => {
  expect((await commandLine('import', '--from', 'recorded', RECORDING, '-o', bundle)).exitCode).toBe(0);
});

let copies = 0;
/** A copy of the recording or of the good bundle, to be damaged. */
function copyOf(source: string): string {
  const path = join(scratch, `copy-${copies++}`);
  cpSync(source, path, { recursive: true });
  return path;
}

/** Rewrites the guest text of a recording. */
function editTrace(recording: string, edit: (lines: string[]) => string[]): void {
  const path = join(recording, 'ftrace.txt.gz');
  writeFileSync(path, gzipSync(edit(gunzipSync(readFileSync(path)).toString().split('\n')).join('\n')));
}

async function importOf(recording: string, ...options: string[]) {
  const output = join(scratch, `out-${copies++}`);
  const before = readdirSync(scratch).length;
  const outcome = await commandLine('import', '--from', 'recorded', recording, '-o', output, ...options);
  return { ...outcome, output, leftBehind: readdirSync(scratch).length - before - (existsSync(output) ? 1 : 0) };
}

describe('import', () => {
  it('names a truncated gzip file and writes nothing', async () => {
    const recording = copyOf(RECORDING);
    const path = join(recording, 'qemu-trace.log.gz');
    truncateSync(path, Math.floor(readFileSync(path).length / 2));
    const { exitCode, stderr, output, leftBehind } = await importOf(recording);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/qemu-trace\.log\.gz: .*(truncated|unexpected end)/i);
    expect(existsSync(output)).toBe(false);
    expect(leftBehind).toBe(0);
  });

  it('counts an unknown event, and refuses it with its line when strict', async () => {
    const recording = copyOf(RECORDING);
    editTrace(recording, (lines) => {
      const at = lines.findIndex((line) => line.includes(': map:'));
      const odd = (lines[at] as string).replace(': map:', ': frobnicate:');
      return [...lines.slice(0, at), odd, ...lines.slice(at)];
    });
    const counted = await importOf(recording);
    expect(counted.exitCode).toBe(0);
    expect(counted.stderr).toMatch(/unknown_event 1\b/);
    const strict = await importOf(recording, '--strict');
    expect(strict.exitCode).toBe(3);
    expect(strict.stderr).toMatch(/ftrace\.txt(\.gz)?: row \d+: .*frobnicate/);
    expect(existsSync(strict.output)).toBe(false);
  });

  it('turns a lost-events marker into a gap that the bundle reports', async () => {
    const recording = copyOf(RECORDING);
    editTrace(recording, (lines) => {
      const at = lines.findIndex((line) => line.includes(': map:'));
      return [...lines.slice(0, at), 'CPU:1 [LOST 42 EVENTS]', ...lines.slice(at)];
    });
    const { exitCode, stderr, output } = await importOf(recording);
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/lost events +42\b/);
    const inspected = await commandLine('inspect', output, '--format', 'json');
    expect(JSON.parse(inspected.stdout).lostEvents).toBe(42);
  });

  it('names a file that is not there', async () => {
    const { exitCode, stderr } = await importOf(join(scratch, 'nowhere'));
    expect(exitCode).toBe(3);
    expect(stderr).toContain('nowhere');
  });

  it('does not replace a bundle unless told to', async () => {
    const { exitCode, stderr } = await commandLine('import', '--from', 'recorded', RECORDING, '-o', bundle);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('good.bundle');
  });

  it('knows no importer of that name', async () => {
    const outcome = await commandLine('import', '--from', 'ftrase', RECORDING, '-o', join(scratch, 'x'));
    expect(outcome.exitCode).toBe(2);
    expect(outcome.stderr).toContain('ftrase');
  });
});

describe('a damaged bundle', () => {
  const run = (path: string) => commandLine('run', path, '-o', join(scratch, `run-${copies++}`), '--workers', '0');

  it('with a cut Arrow file is refused by run and validate', async () => {
    const path = copyOf(bundle);
    const file = join(path, 'dma-0.arrow');
    truncateSync(file, readFileSync(file).length - 100);
    const ran = await run(path);
    expect(ran.exitCode).toBe(3);
    expect(ran.stderr).toMatch(/dma-0\.arrow: /);
    const validated = await commandLine('validate', path);
    expect(validated.exitCode).toBe(3);
    expect(validated.stdout).toMatch(/dma-0\.arrow/);
  });

  it('whose manifest lies about counts is refused with both numbers', async () => {
    const path = copyOf(bundle);
    const manifest = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'));
    const actual = manifest.streams.control.rows;
    manifest.streams.control.rows = actual + 7;
    writeFileSync(join(path, 'manifest.json'), JSON.stringify(manifest));
    const { exitCode, stderr } = await run(path);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(
      new RegExp(`control\\.arrow: row ${actual}: has ${actual} rows, the manifest says ${actual + 7}`),
    );
  });

  it('of a newer format version is refused', async () => {
    const path = copyOf(bundle);
    const manifest = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'));
    writeFileSync(join(path, 'manifest.json'), JSON.stringify({ ...manifest, formatVersion: 99 }));
    const { exitCode, stderr } = await run(path);
    expect(exitCode).toBe(3);
    expect(stderr).toContain('99');
  });

  it('without a stream is refused by name', async () => {
    const path = copyOf(bundle);
    rmSync(join(path, 'frames.arrow'));
    const { exitCode, stderr } = await run(path);
    expect(exitCode).toBe(3);
    expect(stderr).toContain('frames.arrow');
  });
});

describe('run', () => {
  const output = () => join(scratch, `run-${copies++}`);

  it('names an unknown profile key with its path and the nearest one, before any work', async () => {
    const target = output();
    const { exitCode, stderr } = await commandLine('run', bundle, '-o', target, '--set', 'iotlb.entrys=3');
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/iotlb\.entrys.*entries/s);
    expect(existsSync(target)).toBe(false);
  });

  it('names an unknown profile and the nearest one', async () => {
    const { exitCode, stderr } = await commandLine('run', bundle, '-o', output(), '--hw', 'vtd-bdv');
    expect(exitCode).toBe(2);
    expect(stderr).toContain("did you mean 'vtd-bdw'");
  });

  it('refuses a pacing it does not know and a folder that is in use', async () => {
    const pace = await commandLine('run', bundle, '-o', output(), '--pace', 'warp');
    expect([pace.exitCode, pace.stderr]).toEqual([2, expect.stringContaining('warp')]);
    const used = await commandLine('run', bundle, '-o', bundle);
    expect([used.exitCode, used.stderr]).toEqual([2, expect.stringContaining('not empty')]);
  });

  it('needs its arguments', async () => {
    expect((await commandLine('run')).exitCode).toBe(2);
    expect((await commandLine('no-such-command')).exitCode).toBe(2);
  });
});
