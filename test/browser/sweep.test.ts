/// <reference lib="dom" />
/** The page of a sweep in a browser: both colour schemes, desktop and phone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeSweepFolder } from '../../src/report/sweep/writer.ts';
import { launchChromium } from '../support/chromium.ts';
import { gridResult, sweepResult } from '../support/sweep-result-builder.ts';

const scratch = mkdtempSync(join(tmpdir(), 'sweep-page-'));
let browser: Browser;
/** Charts of each page. */
const charts = new Map<string, number>();

beforeAll(async () => {
  for (const [name, result] of [
    ['sweep', sweepResult()],
    ['grid', gridResult()],
  ] as const) {
    const { sweep } = await writeSweepFolder(result, join(scratch, name));
    charts.set(name, sweep.charts.flat().length);
  }
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true, force: true });
});

test.each(
  ['sweep', 'grid'].flatMap((name) =>
    (['light', 'dark'] as const).flatMap((scheme) => [1280, 390].map((width) => [name, scheme, width] as const)),
  ),
)('%s in %s at %d px fits, shows every chart once and complains about nothing', async (name, colorScheme, width) => {
  const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('requestfailed', (request) => complaints.push(request.url()));
  await page.goto(pathToFileURL(join(scratch, name, 'index.html')).href);
  const seen = await page.evaluate(() => ({
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    charts: [...document.querySelectorAll('figure.chart svg')].filter((svg) => svg.getBoundingClientRect().width > 0)
      .length,
  }));
  expect(complaints).toEqual([]);
  expect(seen.overflow).toBeLessThanOrEqual(0);
  expect(charts.get(name)).toBeGreaterThan(1);
  expect(seen.charts).toBe(charts.get(name));
  await page.close();
});
