// Guests with tables of their own, from recipe to report.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PhysicalMemory } from '../../../src/hw/memory.ts';
import { emptyRow } from '../../../src/replay/control-row.ts';
import { storeUserWords } from '../../../src/replay/nested-calls.ts';
import type { JobResult } from '../../../src/replay/protocol.ts';
import { runReplay } from '../../../src/replay/run.ts';
import { synthesize } from '../../../src/trace/synth/synthesize.ts';

async function replayed(set: readonly string[] = [], kernel = 'v7.3'): Promise<JobResult> {
  const bundle = join(mkdtempSync(join(tmpdir(), 'nested-run-')), 'nested');
  const recipe = new URL('../../../workloads/recipes/nested.json', import.meta.url).pathname;
  await synthesize(recipe, bundle, { rows: 6000, set: ['regionBytes=1048576', 'rounds=6', ...set] });
  const options = { bundles: [bundle], hardware: ['vtd-emr'], kernels: [kernel], workers: 0, toolVersion: 'test' };
  const { run, exitCode } = await runReplay(options);
  expect(exitCode).toBe(0);
  return run.jobs[0] as JobResult;
}

test.each([
  ['v7.3', []],
  ['v7.3', ['pasids=0']],
  // Linux 6.12 attaches nested tables to RIDs only.
  ['v6.12', ['pasids=0']],
])('%s %j: every call succeeds, nothing faults, and nothing is stale', async (kernel, set) => {
  const job = await replayed(set, kernel);
  expect([job.diagnostics, job.faults, job.stale]).toEqual([{}, [], []]);
  const lanes = set.length === 0 ? 16 : 4;
  expect(job.controlLatency['IOMMU_HWPT_INVALIDATE']!.count).toBe(6 * lanes);
  expect(job.controlLatency['user_store']!.count).toBe(lanes + 12 * lanes);
  // Page-selective by PASID, a submission each.
  expect(job.invalidation.submissions).toBeGreaterThanOrEqual(6 * lanes);
});

test('a guest that forgets to invalidate is found by the lint', async () => {
  const { stale, faults } = await replayed(['forgetEvery=2']);
  expect(faults).toEqual([]);
  expect(stale!.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(10);
});

test('words go behind the frames of the IOAS; a word without memory ends the store', () => {
  const memory = new PhysicalMemory();
  const words = { kind: 'words', address: 0x1ff8n, value: 7n, step: 0x1000n, count: 3n };
  const row = { ...emptyRow(), userData: [words] };
  const frames = new Map([
    [1n, 0x50],
    [2n, 0x80],
  ]);
  expect(storeUserWords(row, memory, (address) => frames.get(address >> 12n) ?? -1)).toBe(0);
  expect(memory.readWord(0x50, 1022)).toBe(7);
  expect([memory.readWord(0x80, 0), memory.readWord(0x80, 2)]).toEqual([0x1007, 0x2007]);
  frames.delete(2n);
  expect(storeUserWords(row, memory, (address) => frames.get(address >> 12n) ?? -1)).toBe(-14);
});

test('adopted pages are data pages with contents: zeros at first, and kept when adopted again', () => {
  const memory = new PhysicalMemory();
  expect(memory.slotOf(0x50)).toBe(-1);
  memory.adopt(0x50);
  expect(memory.readWord(0x50, 5)).toBe(0);
  memory.writeQword(0x50, 4, 1, 2);
  memory.adopt(0x50);
  expect([memory.readWord(0x50, 4), memory.readWord(0x50, 5)]).toEqual([1, 2]);
  expect(memory.slotOf(0x51)).toBe(-1);
});
