/// <reference lib="dom" />
/** The report page as a reader meets it: from a file, without network, without script. Runs against `dist`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { jobResult, runResult } from '../support/run-result-builder.ts';

const SECTIONS = [
  'Identity and provenance',
  'Latency',
  'Where time goes',
  'Caches',
  'Invalidation queue',
  'Throughput and control plane',
  'Faults',
  'Divergences from recorded results',
  'Model card',
];

/** WCAG 2.2 success criterion 1.4.3, normal text. */
const MIN_TEXT_CONTRAST = 4.5;

const SINGLE = 'single';
const SEVERAL = 'several';

let browser: Browser;
let folder: string;

beforeAll(async () => {
  const writer = new URL('../../dist/report/writer.js', import.meta.url).href;
  const { writeReport } = (await import(writer)) as typeof import('../../src/report/writer.ts');
  folder = await mkdtemp(join(tmpdir(), 'report-page-'));
  await writeReport(runResult([jobResult({ faults: 12, divergences: 3 })]), join(folder, SINGLE));
  const devices = ['0000:01:00.0', '0000:02:00.0', '0000:05:00.0'];
  const jobs = [jobResult({ workload: 'ring', devices }), jobResult({ workload: 'scatter', seed: 9 })];
  await writeReport(
    runResult(jobs, { complete: false, failures: [{ key: 'b/1', error: 'row 7: cut off' }] }),
    join(folder, SEVERAL),
  );
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

/** Opens a report offline and without script; collects what a reader must never see. */
async function open(
  report: string,
  options: BrowserContextOptions,
  use: (page: Page, problems: string[]) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({ javaScriptEnabled: false, offline: true, ...options });
  try {
    const page = await context.newPage();
    const problems: string[] = [];
    const url = pathToFileURL(join(folder, report, 'index.html')).href;
    page.on('console', (message) => problems.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
    page.on('request', (request) => {
      if (request.url() !== url) problems.push(`request: ${request.url()}`);
    });
    await page.goto(url);
    await use(page, problems);
  } finally {
    await context.close();
  }
}

describe.each([SINGLE, SEVERAL])('report page of a run with a case or cases: %s', (report) => {
  test('opens offline and without script, asks for nothing and says nothing on the console', async () => {
    await open(report, {}, async (page, problems) => {
      expect(await page.locator('script, link, iframe, object, img').count()).toBe(0);
      expect(problems).toEqual([]);
    });
  });

  test('has every section', async () => {
    await open(report, {}, async (page) => {
      const headings = await page.locator('h2, h3').allInnerTexts();
      for (const section of SECTIONS) expect(headings).toContain(section);
    });
  });

  test('every chart is drawn, visible in one width only, and named for assistive technology', async () => {
    for (const [width, shown] of [
      [1280, 'wide'],
      [390, 'narrow'],
    ] as const) {
      await open(report, { viewport: { width, height: 900 } }, async (page) => {
        const charts = page.locator('figure.chart');
        expect(await charts.count()).toBeGreaterThanOrEqual(9);
        for (const chart of await charts.all()) {
          expect(await chart.locator('svg:visible').count()).toBe(1);
          const svg = chart.locator(`svg.${shown}`);
          expect(await svg.getAttribute('role')).toBe('img');
          expect((await svg.getAttribute('aria-label'))?.length).toBeGreaterThan(40);
          expect(await svg.locator('path[d]:not([d=""]), rect').count()).toBeGreaterThan(3);
          const box = await svg.boundingBox();
          expect(box?.width).toBeGreaterThan(250);
          expect(box?.height).toBeGreaterThan(80);
        }
      });
    }
  });

  test('ids are unique, so that no chart borrows the clip path of another', async () => {
    await open(report, {}, async (page) => {
      const html = await page.content();
      const ids = [...html.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]);
      expect(new Set(ids).size).toBe(ids.length);
      for (const [, id] of html.matchAll(/url\(#([^)]+)\)/g)) expect(ids).toContain(id);
    });
  });

  test.each([320, 390, 768, 1280])('does not scroll sideways at %i px', async (width) => {
    await open(report, { viewport: { width, height: 900 }, javaScriptEnabled: true }, async (page) => {
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow).toBeLessThanOrEqual(0);
    });
  });

  test.each([390, 1280])('no label of a chart lies outside its picture at %i px', async (width) => {
    await open(report, { viewport: { width, height: 900 }, javaScriptEnabled: true }, async (page) => {
      const clipped = await page.evaluate(() =>
        [...document.querySelectorAll('figure.chart svg')].flatMap((svg) => {
          const frame = svg.getBoundingClientRect();
          if (frame.width === 0) return [];
          return [...svg.querySelectorAll('text')]
            .filter((text) => {
              const box = text.getBoundingClientRect();
              return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1;
            })
            .map((text) => `${svg.getAttribute('aria-label')?.slice(0, 30)}: ${text.textContent}`);
        }),
      );
      expect(clipped).toEqual([]);
    });
  });

  test.each(['light', 'dark'] as const)('text of page and charts stands out in the %s scheme', async (colorScheme) => {
    await open(report, { colorScheme, javaScriptEnabled: true }, async (page) => {
      const weak = await page.evaluate((minimum) => {
        const luminance = (colour: string) => {
          const channels = (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map((text) => {
            const value = Number(text) / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * channels[0]! + 0.7152 * channels[1]! + 0.0722 * channels[2]!;
        };
        const surface = (element: Element | null): string => {
          if (element === null) return 'rgb(255, 255, 255)';
          const colour = getComputedStyle(element).backgroundColor;
          return colour === 'rgba(0, 0, 0, 0)' ? surface(element.parentElement) : colour;
        };
        return [...document.querySelectorAll('p, dt, dd, th, td, li, a, h1, h2, h3, h4, summary, svg text')]
          .filter((element) => element.textContent !== '')
          .map((element) => {
            const style = getComputedStyle(element);
            const [a, b] = [luminance(element.closest('svg') ? style.fill : style.color), luminance(surface(element))];
            const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            return { contrast, text: `${element.tagName} ${element.textContent?.slice(0, 30)}` };
          })
          .filter(({ contrast }) => contrast < minimum)
          .map(({ contrast, text }) => `${contrast.toFixed(2)} ${text}`);
      }, MIN_TEXT_CONTRAST);
      expect(weak).toEqual([]);
    });
  });

  test('the dark scheme changes the charts too', async () => {
    const colours: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      await open(report, { colorScheme, javaScriptEnabled: true }, async (page) => {
        colours.push(
          await page.evaluate(() => getComputedStyle(document.querySelector('svg .role-mark path[stroke]')!).stroke),
        );
      });
    }
    expect(colours[0]).not.toBe(colours[1]);
  });
});
