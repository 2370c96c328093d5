/** Writes the dashboard of a history beside its entries: page, charts, text, Markdown, JSON and feeds. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { reportMarkdown } from '../../report/markdown.ts';
import { reportText } from '../../report/text.ts';
import { REPORT_FORMATS, writeFiles } from '../../report/writer.ts';
import type { NightlyPlan } from '../plan.ts';
import { entryIds } from '../store.ts';
import { benchmarkValues } from './benchmark.ts';
import { trendCharts } from './charts.ts';
import { dashboardDocument } from './document.ts';
import { buildDashboard } from './model.ts';
import { openMetrics } from './open-metrics.ts';
import { DASHBOARD_SCHEMA, type Dashboard } from './schema.ts';

/** The dashboard as text of at most 72 columns. */
export function dashboardText(dashboard: Dashboard): string {
  return reportText({ tool_version: dashboard.tool_version }, dashboardDocument(dashboard));
}

/** The dashboard as Markdown; charts are linked when they lie beside it. */
export function dashboardMarkdown(dashboard: Dashboard, chartLinks: boolean): string {
  const charts = trendCharts(dashboard).map(({ chart: { name } }) => ({ name }));
  const model = { tool_version: dashboard.tool_version, cases: [{ charts }] };
  return reportMarkdown(model, dashboardDocument(dashboard), chartLinks);
}

/** The dashboard as JSON. Throws `ZodError` when it does not satisfy the published schema. */
export function dashboardJson(dashboard: Dashboard): string {
  return `${JSON.stringify(DASHBOARD_SCHEMA.parse(dashboard), null, 2)}\n`;
}

/** Files of the dashboard by their path in the folder of the history. */
export async function dashboardFiles(dashboard: Dashboard): Promise<Map<string, string>> {
  const [{ chartFiles, pageCharts }, { reportHtml }] = await Promise.all([
    import('../../report/draw.ts'),
    import('../../report/html.ts'),
  ]);
  const charts = [trendCharts(dashboard).map(({ chart }) => chart)];
  const files = new Map(await chartFiles({ charts }));
  const page = await pageCharts({ charts });
  const { tool_version } = dashboard;
  files.set('index.html', reportHtml({ tool_version }, dashboardDocument(dashboard), page, REPORT_FORMATS));
  files.set('dashboard.txt', dashboardText(dashboard));
  files.set('dashboard.md', dashboardMarkdown(dashboard, true));
  files.set('dashboard.json', dashboardJson(dashboard));
  files.set('metrics.prom', openMetrics(dashboard));
  files.set('benchmark.json', `${JSON.stringify(benchmarkValues(dashboard), null, 2)}\n`);
  return files;
}

/**
 * Builds the dashboard from the entries and writes it; returns it. An entry that another process appends meanwhile is in
 * it, too. Throws InputError, ConfigError, and what the file system throws.
 */
export async function writeDashboard(history: string, plan: NightlyPlan, toolVersion: string): Promise<Dashboard> {
  for (;;) {
    const ids = entryIds(history);
    const dashboard = buildDashboard(history, plan, toolVersion, ids);
    const files = await dashboardFiles(dashboard);
    await writeFiles(history, files);
    await removeStaleCharts(history, files);
    if (entryIds(history).length === ids.length) return dashboard;
  }
}

/** Charts of cases and metrics that are no longer followed would tell of other nights. */
async function removeStaleCharts(history: string, files: ReadonlyMap<string, string>): Promise<void> {
  const folder = join(history, 'charts');
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const stale = /^trend-.*\.(vl\.json|csv|svg)$/.test(name) && !files.has(`charts/${name}`);
    if (stale) await rm(join(folder, name), { force: true });
  }
}
