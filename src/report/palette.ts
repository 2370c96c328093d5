/**
 * Colours of page and charts. The series colours are those of Okabe and Ito, "Color Universal Design" (2008), which
 * stay distinct under the common colour vision deficiencies; the dark variants keep each hue and raise its lightness.
 * Charts are drawn in the light colours; the page swaps each for a custom property, so that both schemes share one SVG.
 */

/** One colour in both schemes; the light value identifies it inside a chart, so light values are unique. */
export interface PaletteColour {
  readonly light: string;
  readonly dark: string;
}

/** Name of the series palette, as the page states it. */
export const PALETTE_NAME = 'Okabe–Ito';

/** Colours by custom property name (without the leading dashes). */
export const PALETTE = {
  surface: { light: '#fefefe', dark: '#14171c' },
  panel: { light: '#f6f7f9', dark: '#1b2027' },
  ink: { light: '#1b212b', dark: '#e8ebf0' },
  muted: { light: '#576172', dark: '#a3adbb' },
  rule: { light: '#d5dae1', dark: '#363e49' },
  grid: { light: '#e7eaee', dark: '#2a313b' },
  blue: { light: '#0072b2', dark: '#58b5f0' },
  vermillion: { light: '#d55e00', dark: '#ff9152' },
  green: { light: '#009e73', dark: '#3fcfa4' },
  purple: { light: '#cc79a7', dark: '#e5a5ca' },
  orange: { light: '#e69f00', dark: '#f4bd4a' },
  sky: { light: '#56b4e9', dark: '#9bd6f7' },
  grey: { light: '#7a8490', dark: '#98a3b1' },
} as const satisfies Readonly<Record<string, PaletteColour>>;

/** Series colours in order of use. */
export const SERIES_COLOURS: readonly string[] = [
  PALETTE.blue.light,
  PALETTE.vermillion.light,
  PALETTE.green.light,
  PALETTE.purple.light,
  PALETTE.orange.light,
  PALETTE.sky.light,
  PALETTE.grey.light,
];

/** Custom property declarations of one scheme. */
export function paletteDeclarations(scheme: 'light' | 'dark'): string {
  return Object.entries(PALETTE)
    .map(([name, colour]) => `--${name}:${colour[scheme]}`)
    .join(';');
}
