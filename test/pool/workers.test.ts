/**
 * Promise 1 (same bytes for 1 or N workers), and what becomes of jobs whose worker dies. Runs the built `dist`, worker
 * threads included.
 */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import type * as CanonicalJson from '../../src/canonical-json.ts';
import type * as PiscinaExecutor from '../../src/replay/piscina-executor.ts';
import type { JobOutcome } from '../../src/replay/protocol.ts';
import type * as Run from '../../src/replay/run.ts';
import { type ControlEvent, type DmaRow, writeTestBundle } from '../support/replay-bundle.ts';

const dist = (path: string): string => new URL(`../../dist/${path}`, import.meta.url).href;

let run: typeof Run;
let executors: typeof PiscinaExecutor;
let canonicalJson: typeof CanonicalJson.canonicalJson;
let paths: string[];

beforeAll(async () => {
  run = (await import(dist('replay/run.js'))) as typeof Run;
  executors = (await import(dist('replay/piscina-executor.js'))) as typeof PiscinaExecutor;
  ({ canonicalJson } = (await import(dist('canonical-json.js'))) as typeof CanonicalJson);
  paths = [await churn('two-worlds', 400, 2), await churn('one-world', 900, 1), await stuck('stuck')];
});

/** Maps, DMA and unmaps on two CPUs and two devices, each behind a unit of its own when there are two. */
function churn(name: string, ios: number, units: number): Promise<string> {
  const rows: (DmaRow | ControlEvent)[] = [];
  const dmaRows = [0, 0];
  for (let i = 0; i < ios; i++) {
    const device = i % 2;
    const unit = units === 1 ? 0 : device;
    const page = 0x400 + ((i * 7) % 64) * 2;
    const cpu = i % 3;
    const range = { device, cpu, iova: page * 4096, length: 8192, timeNs: i * 900 };
    rows.push({ kind: 'control', op: 'dma_map', ...range, frames: [[page, 0x9000 + i, 2]] });
    const afterControl = 2 * i + 1;
    for (let j = 0; j < 5; j++) {
      const timeNs = i * 900 + 100 * j;
      rows.push({ kind: 'dma', device, iova: page * 4096 + 1024 * j, bytes: 512, flags: j % 2, timeNs, afterControl });
      dmaRows[unit]!++;
    }
    rows.push({ kind: 'control', op: 'dma_unmap', ...range, timeNs: i * 900 + 800, afterDma: dmaRows[unit]! });
  }
  const devices = [{ unit: 0 }, { unit: units - 1 }];
  return writeTestBundle({ name, units, devices, rows });
}

/** A bundle that cannot be replayed to its end. */
function stuck(name: string): Promise<string> {
  return writeTestBundle({ name, devices: [{}], rows: [{ kind: 'dma', device: 0, iova: 0, afterControl: 4 }] });
}

async function runWith(workers: number, batchRows?: number): Promise<string> {
  const { run: result } = await run.runReplay({
    bundles: paths,
    hardware: ['vtd-bdw', 'vtd-emr'],
    kernels: ['v6.12', 'v7.3'],
    workers,
    batchRows,
    toolVersion: 'test',
  });
  return canonicalJson(result);
}

describe('any number of workers', () => {
  test('gives the same bytes as none, whatever the batch size', async () => {
    const inline = await runWith(0);
    const result = JSON.parse(inline) as { jobs: { dmaRows: number }[]; failures: { error: string }[] };
    expect(result.jobs).toHaveLength(12);
    expect(result.failures).toHaveLength(4);
    expect(result.failures[0]!.error).toMatch(/no progress/);
    for (const workers of [1, 2, 3, 8]) expect(await runWith(workers)).toBe(inline);
    for (const batchRows of [1, 7, 1000, 262_144]) expect(await runWith(2, batchRows)).toBe(inline);
  });
});

describe('a worker that dies', () => {
  test('fails its job with a message; the pool goes on with the others', async () => {
    const { jobs } = run.planRun({
      bundles: paths.slice(0, 2),
      hardware: ['vtd-emr'],
      workers: 2,
      toolVersion: 'test',
    });
    const specs = jobs.map((job, index) => ({ ...job, key: index === 1 ? `${job.key}/dies` : job.key }));
    const workerFile = fileURLToPath(new URL('../support/dying-worker.mjs', import.meta.url));
    const executor = executors.createPiscinaExecutor({ workers: 2, workerFile });
    const seen: JobOutcome[] = [];
    const outcomes = await executor.run(specs, (outcome) => seen.push(outcome), undefined);
    await executor.close();
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['ok', 'failed', 'ok']);
    expect(outcomes[1]).toMatchObject({ key: specs[1]!.key, exitCode: 1, error: expect.stringMatching(/worker died/) });
    expect(seen).toHaveLength(3);
  });

  test('a worker module that cannot be loaded fails every job and ends', async () => {
    const { jobs } = run.planRun({
      bundles: paths.slice(0, 1),
      hardware: ['vtd-emr'],
      workers: 1,
      toolVersion: 'test',
    });
    const executor = executors.createPiscinaExecutor({ workers: 1, workerFile: '/nonexistent/worker.js' });
    const outcomes = await executor.run(jobs, () => {}, undefined);
    await executor.close();
    expect(new Set(outcomes.map((outcome) => outcome.status))).toEqual(new Set(['failed']));
  });
});

describe('an interrupt', () => {
  test('ends running workers and gives a partial result', async () => {
    const controller = new AbortController();
    const outcome = await run.runReplay({
      bundles: paths.slice(0, 2),
      hardware: ['vtd-bdw', 'vtd-emr'],
      kernels: ['v6.12', 'v7.3'],
      workers: 1,
      toolVersion: 'test',
      signal: controller.signal,
      onProgress: (done) => {
        if (done === 2) controller.abort();
      },
    });
    expect([outcome.interrupted, outcome.exitCode, outcome.run.complete]).toEqual([true, 130, false]);
    expect(outcome.run.jobs.length).toBeGreaterThanOrEqual(2);
    expect(outcome.run.jobs.length + outcome.run.missing.length).toBe(12);
    expect(outcome.run.failures).toEqual([]);
  });
});
