/** The nightly command as it is built: the shipped plan with fewer rows, two nights, any number of workers. */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DATA_FRAME_LIMIT } from '../../src/trace/schema/frames-stream.ts';
import { commandLine } from '../support/command-line.ts';
import { writeTestBundle } from '../support/replay-bundle.ts';

const WORKLOADS = fileURLToPath(new URL('../../workloads', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'nightly-'));
/** What the command makes for itself is made here, so that it can be seen to be gone. */
const temporary = join(scratch, 'temporary');
beforeAll(() => {
  mkdirSync(temporary);
  vi.stubEnv('TMPDIR', temporary);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(scratch, { recursive: true, force: true });
});

const shipped = JSON.parse(readFileSync(join(WORKLOADS, 'nightly.json'), 'utf8'));

/** The shipped plan with its paths made absolute, `rows` rows a recipe, and something of it replaced. */
function planFile(name: string, overrides: object = {}, rows = 3000): string {
  const runs = shipped.runs.map((run: { bundles: (string | { path: string; rows: number })[] }) => ({
    ...run,
    bundles: run.bundles.map((bundle) =>
      typeof bundle === 'string' ? join(WORKLOADS, bundle) : { path: join(WORKLOADS, bundle.path), rows },
    ),
  }));
  const file = join(scratch, `${name}.json`);
  writeFileSync(file, JSON.stringify({ ...shipped, runs, ...overrides }));
  return file;
}

/** One small run. */
const ring = {
  name: 'ring',
  bundles: [{ path: join(WORKLOADS, 'recipes/ring.json'), rows: 2000 }],
  hardware: ['vtd-emr'],
};

function nightly(plan: string, history: string, ...options: string[]) {
  return commandLine('nightly', plan, '--history', history, '--date', '2026-11-30', '--workers', '0', ...options);
}

/** What nights left in the folder for temporary files. */
const leftBehind = (): string[] => readdirSync(temporary).filter((name) => name.startsWith('iommu-replay-nightly-'));

/** Content of every file of a folder by its path. */
function filesOf(folder: string): Map<string, string> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = paths.map((entry) => join(entry.parentPath, entry.name)).sort();
  return new Map(names.map((name) => [relative(folder, name), readFileSync(name, 'utf8')]));
}

function entryOf(history: string, id: string) {
  return JSON.parse(readFileSync(join(history, 'entries', `${id}.json`), 'utf8'));
}

describe('two nights of the shipped plan', () => {
  // Fewer metrics than are shipped: drawing takes longer than replaying.
  const plan = planFile('shipped', { track: shipped.track.slice(0, 2) });
  const [inline, pooled] = [join(scratch, 'inline'), join(scratch, 'pooled')];
  beforeAll(async () => {
    for (const [history, workers] of [
      [inline, '0'],
      [pooled, '2'],
    ] as const) {
      for (const commit of ['c0ffee1', 'c0ffee2']) {
        const night = await nightly(plan, history, '--commit', commit, '--workers', workers);
        expect(night.exitCode, night.stderr + night.stdout).toBe(0);
      }
    }
  });

  test('agree: nothing changed, and every gate was held against the first', () => {
    const [first, second] = [entryOf(inline, '000001'), entryOf(inline, '000002')];
    expect(first.cases).toHaveLength(6);
    expect(second.cases.map((one: { change: unknown }) => one.change)).toEqual(
      Array(6).fill({ against: '000001', kind: 'none', configuration: [], metrics: [], differing: 0 }),
    );
    expect(second.verdict).toBe('pass');
    expect(new Set(second.gates.map((gate: { verdict: string }) => gate.verdict))).toEqual(new Set(['pass']));
    expect(Object.keys(second.cases[0].metrics).length).toBeGreaterThan(200);
  });

  test('have the same bytes with 0 and 2 workers: entries, page, charts and feeds', () => {
    const files = filesOf(inline);
    expect([...files.keys()].filter((name) => name.startsWith('charts'))).toHaveLength(12 * 3);
    expect(filesOf(pooled)).toEqual(files);
  });

  test('are rebuilt to the same bytes, without a replay', async () => {
    const before = filesOf(inline);
    rmSync(join(inline, 'charts'), { recursive: true });
    writeFileSync(join(inline, 'index.html'), '');
    const rebuilt = await nightly(plan, inline, '--rebuild', '--format', 'json');
    expect(rebuilt.exitCode, rebuilt.stderr).toBe(0);
    expect(filesOf(inline)).toEqual(before);
    expect(`${rebuilt.stdout}`).toBe(before.get('dashboard.json'));
  });

  test('leave no file of their own in the folder for temporary files', () => {
    expect(leftBehind()).toEqual([]);
  });
});

test('a dry run says what would be replayed, and does nothing', async () => {
  const history = join(scratch, 'dry');
  const dry = await nightly(planFile('dry'), history, '--dry-run');
  expect(dry.exitCode, dry.stderr).toBe(0);
  expect(dry.stdout).toContain('next entry 000001');
  expect(dry.stdout).toContain('recipes/ring.json: 3,000 DMA rows would be synthesised');
  expect(dry.stdout).toContain('run live-replace: vtd-emr, vtd-bdw');
  expect(readdirSync(scratch)).not.toContain('dry');
});

test('another configuration breaches the gate (exit 99) until it is accepted as the base', async () => {
  const history = join(scratch, 'breach');
  const track = ['latency.dma_latency_ns.mean'];
  const thresholds = [{ failOn: 'latency.dma_latency_ns.mean > +1%', because: 'tails matter' }];
  const scatter = { ...ring, bundles: [{ path: join(WORKLOADS, 'recipes/scatter.json'), rows: 2000 }] };
  const fast = planFile('fast', { runs: [scatter], thresholds, track });
  const slow = planFile('slow', { runs: [{ ...scatter, set: ['iotlb.entries=4'] }], thresholds, track });
  expect((await nightly(fast, history)).exitCode).toBe(0);
  const breached = await nightly(slow, history, '--label', 'a small IOTLB');
  expect(breached.exitCode, breached.stderr).toBe(99);
  expect(breached.stdout.replace(/\s+/g, ' ')).toContain(
    'FAIL: entry 2 (2026-11-30) fails its only gate: latency.dma_latency_ns.mean > +1% in ring vtd-emr (',
  );
  const entry = entryOf(history, '000002');
  expect(entry.cases[0].change).toMatchObject({ kind: 'configuration', against: '000001', metrics: [] });
  expect(entry.cases[0].change.configuration).toEqual([expect.stringMatching(/^iotlb\.entries \d+ → 4$/)]);
  // Still held against the entry that passed.
  expect((await nightly(slow, history)).exitCode).toBe(99);
  expect((await nightly(slow, history, '--base', '3')).exitCode).toBe(0);
  expect((await nightly(slow, history)).exitCode).toBe(0);
  expect(entryOf(history, '000005').gates[0]).toMatchObject({ base_entry: '000004', verdict: 'pass' });
  const page = readFileSync(join(history, 'index.html'), 'utf8');
  expect(page).toContain('configuration changed: iotlb.entries');
});

test('a job that fails is an entry without its case (exit 1), and its gates are unknown', async () => {
  const history = join(scratch, 'failed');
  // Found out only when it is replayed: the frame lies where the modelled tables are.
  const frames = [[0x100, DATA_FRAME_LIMIT, 1]] as const;
  const rows = [{ kind: 'control', op: 'dma_map', device: 0, iova: 0x100000, length: 4096, frames } as const];
  const bundle = await writeTestBundle({ name: 'high', devices: [{}], rows });
  const broken = { name: 'broken', bundles: [bundle], hardware: ['vtd-emr'] };
  const plan = planFile('failed', { runs: [ring, broken], thresholds: [{ require: 'headline.faulted_dma == 0' }] });
  const night = await nightly(plan, history);
  expect(night.exitCode, night.stdout).toBe(1);
  expect(night.stderr).toContain('failed: broken: high/00000/vtd-emr/');
  const entry = entryOf(history, '000001');
  expect(entry).toMatchObject({ complete: false, verdict: 'incomplete' });
  expect(entry.gates.map((gate: { verdict: string }) => gate.verdict)).toEqual(['pass', 'unknown']);
  expect(entry.cases[1]).toMatchObject({ key: 'broken/high/vtd-emr/v6.12/closed', metrics: {} });
  expect(entry.cases[1].error).toMatch(/at or above 1 TiB/);
  expect(readFileSync(join(history, 'dashboard.txt'), 'utf8')).toContain('INCOMPLETE');
});

/** Begins a long night in a process of its own, and ends it by `times` SIGINT. */
async function interrupted(name: string, rows: number, times: number) {
  const history = join(scratch, name);
  const plan = planFile(`${name}-plan`, {
    runs: [{ ...ring, bundles: [{ ...ring.bundles[0], rows }] }],
    thresholds: undefined,
  });
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  const child = spawn(process.execPath, [main, 'nightly', plan, '--history', history, '--workers', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    const begins = !stderr.includes('replaying') && `${stderr}${text}`.includes('replaying');
    stderr += String(text);
    // A while apart, so that they are not taken for one; the recipe is still being synthesised.
    for (let time = 0; begins && time < times; time++) setTimeout(() => child.kill('SIGINT'), 50 * time);
  });
  const exitCode = await new Promise((resolve) => child.on('close', resolve));
  return { exitCode, stderr };
}

test('an interrupt appends nothing (exit 130), and says so', async () => {
  const { exitCode, stderr } = await interrupted('interrupted', 400_000, 1);
  expect(exitCode, stderr).toBe(130);
  expect(stderr).toContain('interrupted: nothing will be appended; once more to quit at once');
  expect(stderr).not.toContain('writing');
  expect(stderr).toContain('nothing was appended');
  expect(readdirSync(scratch)).not.toContain('interrupted');
  expect(leftBehind()).toEqual([]);
});

test('a second interrupt ends at once, and leaves nothing behind', async () => {
  const { exitCode, stderr } = await interrupted('quit', 2_000_000, 2);
  expect(exitCode, stderr).toBe(130);
  expect(stderr).not.toContain('nothing was appended');
  expect(leftBehind()).toEqual([]);
});

describe('what is wrong is said before anything is replayed, and nothing is appended', () => {
  const plan = planFile('wrong', { runs: [ring] });
  test.each([
    [['--date', '2026-02-30'], 2, /--date: '2026-02-30' is no date/],
    [['--label', 'two\nlines'], 2, /--label: not one line/],
    [['--commit', 'a b'], 2, /--commit: 'a b' is no name of a commit/],
    [['--format', 'xml'], 2, /--format: 'xml' is none of text, json, md/],
    [['--workers', '-1'], 2, /--workers/],
    [['--base', '4'], 2, /--base: no entry '4', the history is empty/],
    [['--base', 'abc'], 2, /--base: 'abc' is no number of an entry$/],
    [['--rebuild'], 2, /the history has no entries yet/],
    [['--rebuild', '--dry-run'], 2, /--rebuild: and --dry-run exclude each other/],
  ])('%j', async (options, exitCode, message) => {
    const history = join(scratch, 'untouched');
    const outcome = await nightly(plan, history, ...options);
    expect(outcome.exitCode).toBe(exitCode);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toContain('replaying');
    expect(readdirSync(scratch)).not.toContain('untouched');
  });

  test('a damaged entry is named (exit 3)', async () => {
    const history = join(scratch, 'damaged');
    mkdirSync(join(history, 'entries'), { recursive: true });
    copyFileSync(plan, join(history, 'entries', '000001.json'));
    for (const options of [[], ['--rebuild'], ['--dry-run']]) {
      const outcome = await nightly(plan, history, ...options);
      expect(outcome.exitCode).toBe(3);
      expect(outcome.stderr).toMatch(/entries\/000001\.json: is damaged/);
      expect(outcome.stderr).not.toContain('replaying');
    }
    expect(readdirSync(join(history, 'entries'))).toEqual(['000001.json']);
  });

  test('a threshold about no case and a metric that is none (exit 2)', async () => {
    const history = join(scratch, 'untouched');
    const about = (thresholds: object[], track = ['headline.iotlb_hit_share']) =>
      nightly(planFile('names', { runs: [ring], thresholds, track }), history);
    const none = await about([{ require: 'headline.faulted_dma == 0', workload: 'nvme*' }]);
    expect([none.exitCode, none.stderr]).toEqual([
      2,
      expect.stringMatching(/thresholds\.0: .* is about no case of the plan/),
    ]);
    const metric = await about([{ require: 'headline.faulted_dmas == 0' }]);
    expect([metric.exitCode, metric.stderr]).toEqual([
      2,
      expect.stringMatching(/did you mean '(headline\.)?faulted_dma'/),
    ]);
    const tracked = await about([{ require: 'headline.faulted_dma == 0' }], ['headline.hit_share']);
    expect([tracked.exitCode, tracked.stderr]).toEqual([2, expect.stringMatching(/no metric 'headline\.hit_share'/)]);
    expect(readdirSync(join(scratch))).not.toContain('untouched');
  });
});
