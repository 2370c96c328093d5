/** Trends of each run: its charts, what the trend test says, and what changed of configuration and tool. */
import type { Block, Section } from '../../report/document/block.ts';
import { capital, plural } from '../../report/format.ts';
import { formatMetric, formatMetricChange } from '../../report/metrics/direction.ts';
import { MAX_CHARTS, markTexts, trendCharts } from './charts.ts';
import type { Dashboard, DashboardSeries } from './schema.ts';
import { TREND_LEAST_ENTRIES, TREND_LEAST_P } from './trend.ts';
import { shortMetric } from './words.ts';

/** One section a run. */
export function trendSections(dashboard: Dashboard): Section[] {
  const charts = trendCharts(dashboard);
  const runs = [...new Set(dashboard.series.map(({ run }) => run))];
  return runs.map((run): Section => {
    const own = dashboard.series.filter((one) => one.run === run);
    const drawn = charts.filter(({ series }) => series.run === run);
    const left = own.length - drawn.length;
    const blocks: Block[] = [
      { kind: 'charts', names: drawn.map(({ chart }) => chart.name) },
      { kind: 'list', items: [...trendTexts(own), ...changeTexts(own)] },
    ];
    if (left > 0 && charts.length === MAX_CHARTS) {
      blocks.push({
        kind: 'paragraph',
        text: `${plural(left, 'metric')} of this run: in the table and dashboard.json.`,
      });
    }
    return { id: `run-${run}`, title: `Trend of ${run}`, blocks };
  });
}

/** What the trend test says of a run. */
function trendTexts(series: readonly DashboardSeries[]): string[] {
  const tested = series.filter(({ trend }) => trend !== null);
  if (tested.length === 0) return [`No trend test yet: it needs ${TREND_LEAST_ENTRIES} entries of one configuration.`];
  const flagged = tested.flatMap((one) => {
    const { trend, metric, direction, newest } = one;
    if (trend?.flagged !== true) return [];
    const rises = trend.slope_per_entry > 0 || (trend.slope_per_entry === 0 && trend.s > 0);
    const worse = direction === (rises ? 'lower' : 'higher');
    const tone = direction === 'neutral' ? '' : worse ? ', which is worse' : ', which is better';
    const slope = formatMetricChange(metric, Math.abs(trend.slope_per_entry)).replace('+', '');
    const chance = `p ${trend.p_value <= TREND_LEAST_P ? '≤' : '='} ${trend.p_value.toFixed(3)}`;
    return [
      `Trend: ${shortMetric(one.name)} of ${one.label} ${rises ? 'rises' : 'falls'} by ${slope} an entry${tone} (${chance}, ${trend.entries} entries, newest ${formatMetric(metric, newest)}).`,
    ];
  });
  return flagged.length === 0 ? ['The trend test finds no drift.'] : flagged;
}

/** Changes of configuration and tool, once for all series of a case that share them. */
function changeTexts(series: readonly DashboardSeries[]): string[] {
  const byText = new Map<string, Set<string>>();
  for (const one of series) {
    for (const text of markTexts(one)) byText.set(text, (byText.get(text) ?? new Set()).add(one.label));
  }
  const all = new Set(series.map(({ label }) => label)).size;
  return [...byText].map(([text, labels]) => {
    const which = labels.size === all ? '' : ` (${[...labels].join(', ')})`;
    return `${capital(text)}${which}.`;
  });
}
