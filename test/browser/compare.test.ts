/// <reference lib="dom" />
/** The page of a comparison in a browser: both colour schemes, desktop and phone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildComparison } from '../../src/report/compare/comparison.ts';
import { writeCompareFolder } from '../../src/report/compare/writer.ts';
import { failOnThresholds } from '../../src/report/metrics/thresholds.ts';
import { buildReport } from '../../src/report/model.ts';
import { launchChromium } from '../support/chromium.ts';
import { jobResult, runResult } from '../support/run-result-builder.ts';

/** Two curves and the bars, of each of two pairs. */
const CHARTS = 6;

let browser: Browser;
let folder: string;

beforeAll(async () => {
  folder = join(mkdtempSync(join(tmpdir(), 'compare-page-')), 'compare');
  const named = (name: string, seed: number) => {
    const run = runResult(
      ['nvme-live-replace', 'ring'].map((workload) => jobResult({ workload, requests: 300, seed })),
    );
    return { folder: `out/${name}`, run, model: buildReport(run).model };
  };
  const thresholds = failOnThresholds(['timeline.control[VFIO_DEVICE_ATTACH_IOMMUFD_PT].duration_ns.p99 > +0.001%']);
  await writeCompareFolder(buildComparison(named('base', 7), named('new', 8), thresholds, '0.1.0'), folder, false);
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

test.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
] as const)(
  'in %s at %d px it fits, begins with the verdict and shows every chart once',
  async (colorScheme, width) => {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(request.url()));
    await page.goto(pathToFileURL(join(folder, 'index.html')).href);
    const seen = await page.evaluate(() => ({
      overflow: document.documentElement.scrollWidth - window.innerWidth,
      charts: [...document.querySelectorAll('figure.chart svg')].filter((svg) => svg.getBoundingClientRect().width > 0)
        .length,
      verdictTop: document.querySelector('.verdict')!.getBoundingClientRect().top,
      marks: [...document.querySelectorAll('.checks li span')].map((mark) => mark.textContent),
    }));
    expect(complaints).toEqual([]);
    expect(seen.overflow).toBeLessThanOrEqual(0);
    expect(seen.charts).toBe(CHARTS);
    expect(seen.verdictTop).toBeLessThan(200);
    expect(seen.marks).toContain('✗');
    await page.close();
  },
);
