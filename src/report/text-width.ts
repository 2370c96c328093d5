/**
 * Width of chart text without a font: advance widths of Helvetica in 1/1000 em (Adobe Core 14 AFM), the metrics that
 * common sans-serif user interface fonts stay close to. Measuring with an installed font would make the layout of a
 * chart differ between machines.
 */

/** [1/1000 em] Advances of U+0020 .. U+007E. */
const HELVETICA_ADVANCES: readonly number[] = [
  278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
  556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
  722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
  556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
  260, 334, 584,
];

/** [1/1000 em] Everything else (µ, –, ≥ ...): a digit's width. */
const OTHER_ADVANCE = 556;

/** APPROX: the widest common interface font (DejaVu Sans) runs this much wider; no label may be clipped with it. */
const SLACK = 1.18;

/** [px] Width of `text` at `fontSizePx`, the same on every machine. */
export function textWidth(text: string, fontSizePx: number): number {
  let advance = 0;
  for (const character of text) {
    advance += HELVETICA_ADVANCES[(character.codePointAt(0) ?? 0) - 0x20] ?? OTHER_ADVANCE;
  }
  return Math.round((advance * SLACK * fontSizePx) / 1000);
}
