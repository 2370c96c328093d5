/** Promise 1 for devices that translate for themselves and ask for pages: the same bytes for any worker count and batch. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { commandLine } from '../support/command-line.ts';

const RECIPES = fileURLToPath(new URL('../../workloads/recipes', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'device-tlbs-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

it('report.json has the same bytes with and without workers', async () => {
  const bundles = ['ats', 'pasid', 'pri'].map((name) => join(scratch, name));
  for (const bundle of bundles) {
    const recipe = join(RECIPES, `${bundle.slice(scratch.length + 1)}.json`);
    expect((await commandLine('synth', recipe, '--rows', '5000', '-o', bundle)).exitCode).toBe(0);
  }
  const reportOf = async (...options: string[]): Promise<string> => {
    const folder = join(scratch, `run-${options.join('-')}`);
    const outcome = await commandLine('run', ...bundles, '-o', folder, '--format', 'json', ...options);
    expect(outcome.exitCode, outcome.stderr).toBe(0);
    return readFileSync(join(folder, 'report.json'), 'utf8');
  };
  const inline = await reportOf('--workers', '0');
  expect((await reportOf('--workers', '2')) === inline).toBe(true);
  expect((await reportOf('--workers', '1', '--batch-rows', '1')) === inline).toBe(true);
});
