/// <reference lib="dom" />
/** The nightly dashboard in a browser: both colour schemes, desktop and phone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeDashboard } from '../../src/history/dashboard/writer.ts';
import { launchChromium } from '../support/chromium.ts';
import { appendNight, nightlyPlan } from '../support/nightly-history.ts';

let browser: Browser;
const history = mkdtempSync(join(tmpdir(), 'nightly-page-'));

beforeAll(async () => {
  const plan = nightlyPlan({ track: ['headline.throughput_bytes_per_s', 'dma_latency_ns.p99'] });
  for (let night = 1; night <= 30; night++) {
    await appendNight(history, plan, {
      commit: `c0ffee${night}`,
      iotlbEntries: night < 26 ? 128 : 64,
      toolVersion: night < 20 ? '0.1.0' : '0.2.0',
      slower: 1 + 0.001 * night,
      ...(night === 16 ? { failed: 'ring/ring/vtd-emr/v6.12/closed' } : {}),
    });
  }
  await writeDashboard(history, plan, '0.2.0');
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  rmSync(history, { recursive: true, force: true });
});

test.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
] as const)(
  'in %s at %d px it fits, shows every chart once and complains about nothing',
  async (colorScheme, width) => {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(request.url()));
    await page.goto(pathToFileURL(join(history, 'index.html')).href);
    const seen = await page.evaluate(() => {
      const svgs = [...document.querySelectorAll('figure.chart svg')].filter(
        (svg) => svg.getBoundingClientRect().width > 0,
      );
      const texts = svgs.flatMap((svg) => [...svg.querySelectorAll('text')]);
      return {
        overflow: document.documentElement.scrollWidth - window.innerWidth,
        charts: svgs.length,
        notes: texts.filter((text) => text.textContent?.includes('iotlb.entries 128 → 64')).length,
        // Words of a chart that leave the page.
        outside: texts
          .map((text) => text.getBoundingClientRect())
          .filter(({ left, right }) => left < 0 || right > window.innerWidth).length,
        verdict: document.querySelector('.badges li')?.textContent,
      };
    });
    expect(complaints).toEqual([]);
    expect(seen).toEqual({ overflow: 0, charts: 8, notes: 8, outside: 0, verdict: 'FAIL' });
    await page.close();
  },
);
