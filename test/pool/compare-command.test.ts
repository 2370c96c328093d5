/** `compare` and `gate` from the command line: exit codes, what is printed, what is written, and the examples of README. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandOutcome, commandLine } from '../support/command-line.ts';

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'compare-command-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const at = (name: string): string => join(scratch, name);

async function ok(...args: string[]): Promise<CommandOutcome> {
  const outcome = await commandLine(...args);
  expect(outcome.exitCode, outcome.stderr).toBe(0);
  return outcome;
}

function run(name: string, bundle: string, ...options: string[]): Promise<CommandOutcome> {
  return ok('run', at(bundle), '-o', at(name), '--workers', '0', '--format', 'json', ...options);
}

/** A copy of a run folder with its run.json changed. */
function copyOf(name: string, copy: string, edit: (run: Record<string, unknown>) => object): void {
  cpSync(at(name), at(copy), { recursive: true });
  const file = join(at(copy), 'run.json');
  writeFileSync(file, JSON.stringify(edit(JSON.parse(readFileSync(file, 'utf8')))));
}

/** Text without its line breaks. */
const flat = (text: string): string => text.replace(/\s+/g, ' ');

function thresholds(...list: object[]): string {
  writeFileSync(at('thresholds.json'), JSON.stringify({ schemaVersion: 1, thresholds: list }));
  return at('thresholds.json');
}

beforeAll(async () => {
  await ok('synth', root('workloads/recipes/tenants.json'), '-o', at('tenants.bundle'), '--rows', '6000');
  await run('base.run', 'tenants.bundle');
  await run('small.run', 'tenants.bundle', '--set', 'iotlb.entries=16', '--set', 'iotlb.ways=0');
  await run('bdw.run', 'tenants.bundle', '--hw', 'vtd-bdw');
  copyOf('small.run', 'partial.run', (whole) => ({ ...whole, complete: false, missing: ['tenants/9'] }));
});

describe('compare', () => {
  test('a run with itself: no change anywhere, whatever must not grow', async () => {
    const names = ['dma_latency_ns.p99', 'dma_latency_ns.mean', 'throughput_bytes_per_s', 'iommu_mrds', 'span_ns'];
    const { stdout } = await ok(
      ...['compare', at('base.run'), at('base.run')],
      ...names.flatMap((name) => ['--fail-on', `${name} > +0%`, '--fail-on', `${name} < -0%`]),
    );
    expect(stdout).toMatch(/give\s+the\s+same\s+result/);
    expect(stdout).not.toMatch(/(regressed|improved|changed)$|✗/m);
  });

  test('exit 0 and a sentence first when nothing was to fail', async () => {
    const { stdout } = await ok('compare', at('base.run'), at('small.run'));
    expect(stdout.split('\n').slice(3, 4)[0]).toMatch(/^small\.run serves a DMA in [\d.]+ times/);
    expect(stdout).toMatch(/iotlb\.entries\s+256 entries\s+16 entries\s+ASSUMPTION/);
  });

  test('exit 99 when a condition is met, and which', async () => {
    const failOn = ['--fail-on', 'iotlb_hit_share < -1%', '--fail-on', 'faulted_dma > 0'];
    const { exitCode, stdout, stderr } = await commandLine('compare', at('base.run'), at('small.run'), ...failOn);
    expect(exitCode).toBe(99);
    expect(stdout).toContain('FAIL: 1 of 2 conditions is breached');
    expect(stderr).toMatch(/^breach: iotlb_hit_share < -1% \(tenants\/vtd-emr\//m);
  });

  test('exit 99 when a condition cannot be evaluated', async () => {
    await ok('synth', root('workloads/recipes/ring.json'), '-o', at('ring.bundle'), '--rows', '2000');
    const both = ['run', at('ring.bundle'), at('tenants.bundle'), '-o', at('both.run'), '--workers', '0'];
    await ok(...both, '--format', 'json');
    const args = ['compare', at('base.run'), at('both.run')];
    const { exitCode, stdout } = await commandLine(...args, '--fail-on', 'faulted_dma > +0');
    expect(exitCode).toBe(99);
    expect(flat(stdout)).toMatch(/\? `faulted_dma > \+0` cannot be evaluated in ring\/vtd-emr\S*: the base does not/);
    // Asked for nothing, or the other way round, there is nothing to fail.
    await ok(...args);
    await ok('compare', at('both.run'), at('base.run'), '--fail-on', 'faulted_dma > +0');
  });

  test('exit 4 when a run is incomplete and nothing was breached, 99 when something was', async () => {
    const { exitCode, stdout, stderr } = await commandLine('compare', at('base.run'), at('partial.run'));
    expect(exitCode).toBe(4);
    expect(stdout).toContain('incomplete, 1 job missing');
    expect(stderr).toMatch(/^incomplete: .* \(1 job missing\)$/m);
    const args = ['compare', at('partial.run'), at('small.run'), '--fail-on'];
    expect((await commandLine(...args, 'faulted_dma > 0')).exitCode).toBe(4);
    expect((await commandLine(...args, 'dma_requests > 0')).exitCode).toBe(99);
  });

  test('pairs two machines and says so', async () => {
    const { stdout } = await ok('compare', at('bdw.run'), at('base.run'));
    expect(flat(stdout)).toContain('cases are paired across it (vtd-emr against vtd-bdw)');
  });

  test.each([
    [['--fail-on', 'dma_latency_ns.p98 > +2%'], /no metric 'dma_latency_ns\.p98', did you mean/],
    [['--fail-on', 'dma_latency_ns.p99 > 2%'], /is no share/],
    [['--format', 'html'], /--format: 'html' is none of text, json, md/],
  ])('exit 2 for %j', async (options, message) => {
    const { exitCode, stdout, stderr } = await commandLine('compare', at('base.run'), at('base.run'), ...options);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  test('exit 3 for what is no run folder, with file and reason', async () => {
    const file = join(at('base.run'), 'report.json');
    for (const [path, message] of [
      [file, /report\.json: a file, not a run folder/],
      [at('tenants.bundle'), /tenants\.bundle\/run\.json: cannot be read \(ENOENT\)/],
    ] as const) {
      const { exitCode, stdout, stderr } = await commandLine('compare', at('base.run'), path);
      expect([exitCode, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(message);
    }
  });

  test('-o writes page, text, Markdown, JSON and charts, whole, again only with --force, and never over a run', async () => {
    const args = ['compare', at('base.run'), at('small.run'), '-o', at('compared')];
    expect((await ok(...args)).stdout).toBe('');
    expect(readdirSync(at('compared')).sort()).toEqual([
      'charts',
      'compare.json',
      'compare.md',
      'compare.txt',
      'index.html',
    ]);
    const page = readFileSync(join(at('compared'), 'index.html'), 'utf8');
    for (const [, link] of page.matchAll(/href="([^"#]+)"/g))
      expect(existsSync(join(at('compared'), link!)), link).toBe(true);
    expect(page).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
    const text = readFileSync(join(at('compared'), 'compare.txt'), 'utf8');
    expect(text).toBe((await ok('compare', at('base.run'), at('small.run'))).stdout);
    expect((await commandLine(...args)).stderr).toContain('the folder exists and is not empty');
    writeFileSync(join(at('compared'), 'charts', 'case7-latency-cdf.svg'), 'of an older comparison');
    const again = await ok(...args, '--force', '--format', 'json');
    expect(again.stdout).toBe(readFileSync(join(at('compared'), 'compare.json'), 'utf8'));
    expect(existsSync(join(at('compared'), 'charts', 'case7-latency-cdf.svg'))).toBe(false);
    const over = await commandLine('compare', at('base.run'), at('small.run'), '-o', at('base.run'), '--force');
    expect([over.exitCode, over.stderr]).toEqual([2, expect.stringContaining('holds a run; it will not be replaced')]);
  });

  test('the same folders give the same bytes, whatever the batches and workers of the runs', async () => {
    await ok(
      'run',
      at('tenants.bundle'),
      '-o',
      at('again.run'),
      '--workers',
      '2',
      '--batch-rows',
      '500',
      '--format',
      'json',
    );
    const text = async (base: string) => (await ok('compare', at(base), at('small.run'), '--format', 'json')).stdout;
    expect((await text('again.run')).replaceAll('again.run', 'base.run')).toBe(await text('base.run'));
  });
});

describe('gate', () => {
  test('exit 0 with a tick a threshold', async () => {
    const file = thresholds({ require: 'headline.divergences == 0' }, { failOn: 'dma_latency_ns.p99 > 1ms' });
    const { stdout, stderr } = await ok('gate', at('base.run'), '--thresholds', file);
    expect(stdout).toMatch(/all 2 gates are kept/i);
    expect(stderr).toBe('');
    expect(stdout.match(/✓ `/g)).toHaveLength(2);
  });

  test('exit 99 on a breach, with value, limit and reason', async () => {
    const file = thresholds({ require: 'dma_latency_ns.p99 <= 1ns', because: 'nothing is that fast' });
    const { exitCode, stdout, stderr } = await commandLine('gate', at('base.run'), '--thresholds', file);
    expect(exitCode).toBe(99);
    expect(stderr).toMatch(/^breach: dma_latency_ns\.p99 <= 1ns \(tenants\/vtd-emr\/\S+\)$/);
    expect(flat(stdout)).toMatch(
      /✗ `dma_latency_ns\.p99 <= 1ns` does not hold: .*; limit 1\.00 ns\. Nothing is that fast\./,
    );
    const json = JSON.parse(
      (await commandLine('gate', at('base.run'), '--thresholds', file, '--format', 'json')).stdout,
    );
    expect(json).toMatchObject({ schemaVersion: 1, kind: 'gate', pass: false, breached: 1 });
  });

  test('holds changes against --base, and refuses them without', async () => {
    const file = thresholds({ failOn: 'iotlb_hit_share < -1%', workload: 'ten*' });
    const args = ['gate', at('small.run'), '--thresholds', file];
    expect((await commandLine(...args, '--base', at('base.run'))).exitCode).toBe(99);
    expect((await commandLine(...args, '--base', at('small.run'))).exitCode).toBe(0);
    const without = await commandLine(...args);
    expect([without.exitCode, without.stderr]).toEqual([
      2,
      expect.stringMatching(/thresholds\.0: .*no base to change from/),
    ]);
  });

  test('exit 99 for a change from another trace, unless --across-traces is given', async () => {
    await ok('synth', root('workloads/recipes/tenants.json'), '-o', at('short.bundle'), '--rows', '3000');
    await run('short.run', 'short.bundle');
    const file = thresholds({ failOn: 'dma_latency_ns.mean > +900%' });
    const args = ['gate', at('short.run'), '--thresholds', file];
    const { exitCode, stdout, stderr } = await commandLine(...args, '--base', at('base.run'));
    expect(exitCode).toBe(99);
    expect(stderr).toMatch(/^unknown: dma_latency_ns\.mean > \+900% \(tenants\//);
    expect(flat(stdout)).toMatch(/FAIL, different traces.*cannot be evaluated: the base is another trace\./);
    expect(flat((await ok(...args, '--base', at('base.run'), '--across-traces')).stdout)).toContain('PASS, different');
    const alone = await commandLine(...args, '--across-traces');
    expect([alone.exitCode, alone.stderr]).toEqual([2, expect.stringContaining('give --base')]);
  });

  test('exit 4 for an incomplete run without a breach', async () => {
    const file = thresholds({ failOn: 'faulted_dma > 0' });
    const { exitCode, stdout, stderr } = await commandLine('gate', at('partial.run'), '--thresholds', file);
    expect([exitCode, stderr]).toEqual([4, `incomplete: ${at('partial.run')} (1 job missing)`]);
    expect(flat(stdout)).toContain('The run is incomplete');
  });

  test('exit 2 for a file that says something wrong, 3 for one that is not there', async () => {
    const wrong = await commandLine('gate', at('base.run'), '--thresholds', thresholds({ requires: 'a > 1' }));
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining("did you mean 'require'")]);
    const typo = thresholds({ failOn: 'faulted_dma > 0', workload: 'tenant' });
    expect((await commandLine('gate', at('base.run'), '--thresholds', typo)).exitCode).toBe(2);
    const missing = await commandLine('gate', at('base.run'), '--thresholds', at('missing.json'));
    expect([missing.exitCode, missing.stderr]).toEqual([3, expect.stringContaining('missing.json: cannot be read')]);
  });
});
