/** Vega-Lite: templates from `reports/templates`, bound to a chart's rows and compiled to Vega. */
import { readFileSync } from 'node:fs';
import type { Spec as VegaSpec } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { z } from 'zod';
import { assert } from '../assert.ts';
import { chartTheme, NARROW_BELOW_PX } from './chart-theme.ts';
import { type Chart, MAX_CHART_ROWS } from './charts/chart.ts';

/** `src/report` and `dist/report` are equally deep, so one path serves both. */
const TEMPLATES = new URL('../../reports/templates/', import.meta.url);

const templateSchema = z.looseObject({
  data: z.object({ name: z.literal('table') }),
  params: z.array(z.looseObject({ name: z.string(), value: z.unknown() })).optional(),
});

/** How a chart is drawn. */
export interface ChartLayout {
  /** [px] Of the whole picture, labels and all. */
  readonly widthPx: number;
  /** Set where the picture stands alone; on the page its heading names it. */
  readonly standalone: boolean;
}

/** Template file by name; throws when it is missing or not a template. */
function loadTemplate(name: string): z.infer<typeof templateSchema> {
  return templateSchema.parse(JSON.parse(readFileSync(new URL(`${name}.vl.json`, TEMPLATES), 'utf8')));
}

/** Parameters that any template may have: room for labels beside bars, as a multiple of the longest; legend columns. */
function layoutParams(widthPx: number) {
  const narrow = widthPx < NARROW_BELOW_PX;
  return { labelRoom: narrow ? 2.2 : 1.6, legendColumns: narrow ? 1 : 4 };
}

/** The chart as a self-contained Vega-Lite specification: template, rows, parameters, size and theme. */
export function bindChart(chart: Chart, { widthPx, standalone }: ChartLayout): TopLevelSpec {
  assert(chart.rows.length <= MAX_CHART_ROWS, `${chart.name}: ${chart.rows.length} rows are too many to draw`);
  const template = loadTemplate(chart.template);
  const known = new Set(template.params?.map(({ name }) => name));
  for (const name of Object.keys(chart.params)) assert(known.has(name), `${chart.template} has no parameter ${name}`);
  const values: Chart['params'] = { ...layoutParams(widthPx), ...chart.params };
  const { $schema, data: _, params, ...drawing } = template;
  return {
    $schema,
    description: chart.description,
    ...(standalone ? { title: chart.title, background: '#ffffff', padding: 16 } : {}),
    width: standalone ? widthPx - 32 : widthPx,
    height: chart.heightPx,
    autosize: { type: 'fit', contains: 'padding' },
    data: { name: 'table', values: chart.rows },
    ...(params === undefined
      ? {}
      : { params: params.map((param) => ({ ...param, value: values[param.name] ?? param.value })) }),
    ...drawing,
    config: chartTheme(widthPx),
  } as unknown as TopLevelSpec;
}

/** Compiles a specification; a warning of the compiler is an error, because a warned-about chart is a wrong chart. */
export function compileChart(spec: TopLevelSpec): VegaSpec {
  const warnings: unknown[] = [];
  const collect = (...message: unknown[]) => {
    warnings.push(...message);
    return logger;
  };
  const logger: object = {
    level: () => logger,
    error: collect,
    warn: collect,
    info: () => logger,
    debug: () => logger,
  };
  const compiled = compile(spec, { logger: logger as never });
  assert(warnings.length === 0, `vega-lite: ${warnings.map(String).join('; ')}`);
  return compiled.spec;
}
