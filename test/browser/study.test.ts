/// <reference lib="dom" />
/** The page of a disruption study in a browser: both colour schemes, desktop and phone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeStudyFolder } from '../../src/report/study/writer.ts';
import { launchChromium } from '../support/chromium.ts';
import { studyRun, switchLoad } from '../support/switch-study.ts';

const CHARTS = 7;

let browser: Browser;
let folder: string;

beforeAll(async () => {
  folder = join(mkdtempSync(join(tmpdir(), 'study-page-')), 'study');
  await writeStudyFolder(await studyRun(await switchLoad({ failEvery: 5 }), { sensitivity: true }), folder);
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
  'in %s at %d px it fits, shows every chart once and complains about nothing',
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
      background: getComputedStyle(document.body).backgroundColor,
      ink: getComputedStyle(document.body).color,
    }));
    const brightness = (colour: string): number =>
      colour
        .match(/\d+/g)!
        .slice(0, 3)
        .reduce((sum, part) => sum + Number(part), 0);
    expect(complaints).toEqual([]);
    expect(seen.overflow).toBeLessThanOrEqual(0);
    expect(seen.charts).toBe(CHARTS);
    expect(brightness(seen.ink) > brightness(seen.background)).toBe(colorScheme === 'dark');
    await page.close();
  },
);
