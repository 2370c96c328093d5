/** An interrupt in the middle of a job: what was replayed is kept, marked incomplete, and nothing is half written. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as InlineExecutor from '../../src/replay/inline-executor.ts';
import type * as PiscinaExecutor from '../../src/replay/piscina-executor.ts';
import type { JobOutcome, JobSpec } from '../../src/replay/protocol.ts';
import type * as Run from '../../src/replay/run.ts';
import { commandLine } from '../support/command-line.ts';

const ROWS = 1_000_000;
const dist = (path: string): string => new URL(`../../dist/${path}`, import.meta.url).href;
const scratch = mkdtempSync(join(tmpdir(), 'interrupt-'));
const bundle = join(scratch, 'ring');
let jobs: readonly JobSpec[];

beforeAll(async () => {
  const recipe = fileURLToPath(new URL('../../workloads/recipes/ring.json', import.meta.url));
  const made = await commandLine('synth', recipe, '-o', bundle, '--rows', String(ROWS));
  expect(made.exitCode, made.stderr).toBe(0);
  const { planRun } = (await import(dist('replay/run.js'))) as typeof Run;
  ({ jobs } = planRun({ bundles: [bundle], hardware: ['vtd-emr'], workers: 1, toolVersion: 'test' }));
  expect(jobs).toHaveLength(1);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.each(['inline', 'pool'] as const)('%s', (kind) => {
  async function executor() {
    if (kind === 'inline') {
      return ((await import(dist('replay/inline-executor.js'))) as typeof InlineExecutor).createInlineExecutor();
    }
    const { createPiscinaExecutor } = (await import(dist('replay/piscina-executor.js'))) as typeof PiscinaExecutor;
    return createPiscinaExecutor({ workers: 1 });
  }

  test('the only job ends where it is, the ones behind it do not begin', async () => {
    const controller = new AbortController();
    const runner = await executor();
    const job = jobs[0] as JobSpec;
    const both = [job, { ...job, key: `${job.key}/second` }];
    const finished: JobOutcome[] = [];
    const running = runner.run(both, (outcome) => finished.push(outcome), controller.signal);
    // The first job has begun: in this thread with the next turn of the event loop, on a worker with this call.
    if (kind === 'inline') await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    const [first, second] = await running;
    await runner.close();
    expect(second).toEqual({ status: 'cancelled', key: both[1]?.key });
    expect(finished).toHaveLength(2);
    if (first?.status !== 'ok') throw new Error(`the first job is ${first?.status}`);
    const { stoppedEarly, dmaRows, devices, spanPs } = first.result;
    expect(stoppedEarly).toBe(true);
    expect(dmaRows).toBeGreaterThan(0);
    expect(dmaRows).toBeLessThan(ROWS);
    expect(spanPs).toBeGreaterThan(0);
    const measured = devices.reduce((sum, device) => sum + device.reads + device.writes, 0);
    expect(measured).toBeGreaterThan(0);
    expect(measured).toBeLessThanOrEqual(dmaRows);
  });

  test('SIGINT: exit code 130, a whole report that says it is incomplete', async () => {
    const folder = join(scratch, `run-${kind}`);
    const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
    const workers = kind === 'inline' ? '0' : '1';
    // What it says before the first job is the sign to interrupt it.
    const args = [main, 'run', bundle, '-o', folder, '--workers', workers, '--assumptions'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => {
      if (!stderr.includes('assumptions:') && `${stderr}${text}`.includes('assumptions:')) child.kill('SIGINT');
      stderr += String(text);
    });
    const exitCode = await new Promise((resolve) => child.on('close', resolve));
    expect(exitCode, stderr).toBe(130);
    expect(stderr).toContain('interrupted');
    const report = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'));
    expect(report.complete).toBe(false);
    expect(report.missing).toEqual([(jobs[0] as JobSpec).key]);
    expect(readFileSync(join(folder, 'report.txt'), 'utf8')).toContain('incomplete');
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
    // Rendered again from what is on disk.
    const again = await commandLine('report', folder, '-o', join(scratch, `again-${kind}`), '--format', 'json');
    expect(again.exitCode, again.stderr).toBe(0);
  });
});
