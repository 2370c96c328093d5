/** Vega-Lite configuration that all charts share: type, rules and colours. */
import { PALETTE, SERIES_COLOURS } from './palette.ts';

/** System fonts; the page's own stack takes over where a chart is part of it. */
export const CHART_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif';

const FONT_SIZE_PX = 12;

/** [px] Pictures narrower than this are made for phones. */
export const NARROW_BELOW_PX = 420;

/** [px] Room for the vertical axis of page-wide charts, so that their time axes line up. */
const WIDE_AXIS_EXTENT_PX = 62;

/** [px] Pictures wider than this span the page. */
const WIDE_ABOVE_PX = 700;

/** Configuration for a chart `widthPx` wide: fewer ticks and legend columns when narrow. */
export function chartTheme(widthPx: number): object {
  const narrow = widthPx < NARROW_BELOW_PX;
  const text = PALETTE.muted.light;
  return {
    aria: false,
    background: null,
    font: CHART_FONT,
    view: { stroke: null },
    axis: {
      labelFontSize: FONT_SIZE_PX,
      titleFontSize: FONT_SIZE_PX,
      titleFontWeight: 'normal',
      labelColor: text,
      titleColor: text,
      gridColor: PALETTE.grid.light,
      domainColor: PALETTE.rule.light,
      tickColor: PALETTE.rule.light,
      tickSize: 4,
      labelPadding: 4,
      titlePadding: 8,
      labelOverlap: 'greedy',
      labelSeparation: 6,
    },
    axisX: { tickCount: narrow ? 4 : widthPx < WIDE_ABOVE_PX ? 6 : 10, labelFlush: false },
    axisY: { domain: false, ticks: false, minExtent: widthPx < WIDE_ABOVE_PX ? 0 : WIDE_AXIS_EXTENT_PX },
    legend: {
      orient: 'top',
      direction: 'horizontal',
      columns: narrow ? 2 : 4,
      labelFontSize: FONT_SIZE_PX,
      labelColor: PALETTE.ink.light,
      labelLimit: 240,
      symbolStrokeWidth: 2.5,
      symbolSize: 90,
      offset: 8,
      rowPadding: 4,
      columnPadding: 14,
    },
    title: { anchor: 'start', fontSize: 14, fontWeight: 600, color: PALETTE.ink.light, offset: 10 },
    text: { fontSize: FONT_SIZE_PX, font: CHART_FONT },
    range: { category: SERIES_COLOURS },
  };
}
