/** Charts of a report drawn for the page (two widths) and as files of their own. */
import { chartCsv } from './csv.ts';
import type { PageChart } from './html-blocks.ts';
import type { Report } from './model.ts';
import { inlineSvg, renderSvg } from './svg.ts';
import { bindChart, compileChart } from './vega.ts';

/** [px] Widths of a chart by its span of the page; the narrow one is for phones. */
const WIDTHS_PX = { half: 544, full: 1120, narrow: 358, standalone: { half: 640, full: 1120 } };

/** Charts as files of `charts/`: specification, data and picture beside each other. Map of file name to content. */
export async function chartFiles(report: Pick<Report, 'charts'>): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const chart of report.charts.flat()) {
    const spec = bindChart(chart, { widthPx: WIDTHS_PX.standalone[chart.span], standalone: true });
    files.set(`charts/${chart.name}.vl.json`, `${JSON.stringify(spec, null, 1)}\n`);
    files.set(`charts/${chart.name}.csv`, chartCsv(chart));
    files.set(`charts/${chart.name}.svg`, `${await renderSvg(compileChart(spec))}\n`);
  }
  return files;
}

/** Charts of each case for the page, by name without the prefix of the case. */
export async function pageCharts(report: Pick<Report, 'charts'>): Promise<Map<string, PageChart>[]> {
  const chapters: Map<string, PageChart>[] = [];
  for (const charts of report.charts) {
    const drawn = new Map<string, PageChart>();
    for (const chart of charts) {
      const draw = async (widthPx: number, cssClass: string) => {
        const svg = await renderSvg(compileChart(bindChart(chart, { widthPx, standalone: false })));
        return inlineSvg(svg, { id: `${chart.name}-${cssClass}`, label: chart.description, cssClass });
      };
      drawn.set(chart.name.replace(/^case\d+-/, ''), {
        name: chart.name,
        title: chart.title,
        span: chart.span,
        wideSvg: await draw(WIDTHS_PX[chart.span], 'wide'),
        narrowSvg: await draw(WIDTHS_PX.narrow, 'narrow'),
      });
    }
    chapters.push(drawn);
  }
  return chapters;
}
