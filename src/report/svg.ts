/**
 * A compiled Vega specification as SVG text. The same specification gives the same bytes in every process: definition
 * ids restart, and text is measured by a table instead of an installed font.
 */
import * as vega from 'vega';
import { escapeHtml } from './escape-html.ts';
import { PALETTE } from './palette.ts';
import { textWidth } from './text-width.ts';

/** What vega hands to a text measure; its typings leave it out. */
interface TextMetrics {
  canvas(use: boolean): void;
  width: (item: { fontSize?: number }, text: unknown) => number;
}

/** Font size that Vega draws a text mark with when the mark names none. */
const DEFAULT_FONT_SIZE_PX = 11;

/** Renders `spec` without a display. Throws what Vega throws on a broken specification. */
export async function renderSvg(spec: vega.Spec): Promise<string> {
  const metrics = (vega as unknown as { textMetrics: TextMetrics }).textMetrics;
  metrics.canvas(false);
  metrics.width = (item, text) => textWidth(String(text ?? ''), item.fontSize ?? DEFAULT_FONT_SIZE_PX);
  vega.resetSVGDefIds();
  const view = new vega.View(vega.parse(spec), { renderer: 'none' });
  try {
    await view.runAsync();
    return roundCoordinates(await view.toSVG());
  } finally {
    view.finalize();
  }
}

/** Hundredths of a pixel are enough; more only makes the file larger. */
function roundCoordinates(svg: string): string {
  return svg.replace(/ (?:transform|d|x|y|x2|y2|width|height)="[^"]*"/g, (attribute) =>
    attribute.replace(/\d+\.\d{3,}/g, (number) => String(Math.round(Number(number) * 100) / 100)),
  );
}

/** Accessible name and description of an inline chart. */
export interface SvgLabel {
  /** Prefix of every id, unique in the page. */
  readonly id: string;
  readonly label: string;
  readonly cssClass: string;
}

/**
 * Makes a rendered chart part of a page: colours become the page's custom properties, ids become unique, the size
 * becomes the view box, and the whole is one image with a name to assistive technology.
 */
export function inlineSvg(svg: string, { id, label, cssClass }: SvgLabel): string {
  let text = svg;
  for (const [name, colour] of Object.entries(PALETTE)) text = text.replaceAll(`"${colour.light}"`, `"var(--${name})"`);
  // The whole is one image: roles inside it, and the font that the page sets anyway, are dead weight.
  text = text.replace(/ (?:role|aria-roledescription|aria-hidden|font-family)="[^"]*"/g, '');
  text = text.replace(/ id="([^"]+)"/g, ` id="${id}-$1"`).replace(/url\(#([^)]+)\)/g, `url(#${id}-$1)`);
  const opening = `<svg class="${cssClass}" role="img" aria-label="${escapeHtml(label)}" focusable="false"`;
  return text.replace(/^<svg[^>]*?viewBox="([^"]+)"[^>]*>/, (_, viewBox: string) => {
    const [, , width] = viewBox.split(' ');
    return `${opening} viewBox="${viewBox}" style="max-width:${width}px" fill="none" stroke-miterlimit="10">`;
  });
}
