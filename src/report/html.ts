/**
 * `index.html`: one file without script and without network, readable as it is. A content security policy in the page
 * itself makes that a guarantee. Charts are inline SVG in two widths; the style sheet shows the one that fits.
 */
import type { Badge, Chapter, Head, ReportDocument, Section } from './document/block.ts';
import { escapeHtml } from './escape-html.ts';
import { blockHtml, checksHtml, inlineHtml, type PageChart } from './html-blocks.ts';
import { pageStyle } from './html-style.ts';
import { PALETTE_NAME } from './palette.ts';
import type { ReportModel } from './schema/report.ts';

/** Colours of the provenance bar: measured, inferred, synthetic. */
const PROVENANCE_COLOURS = ['blue', 'orange', 'grey'];

/** Format, ending of the file and use of what may lie beside the page. */
const OTHER_FORMATS: readonly (readonly [string, string, string])[] = [
  ['json', 'json', 'for programs'],
  ['text', 'txt', 'for mailing lists'],
  ['md', 'md', 'for pull requests'],
];

/** The page. `charts` holds one map a chapter, keyed by chart name without the prefix of the case. */
export function reportHtml(
  model: Pick<ReportModel, 'tool_version'>,
  document: ReportDocument,
  charts: readonly ReadonlyMap<string, PageChart>[],
  formats: readonly string[],
): string {
  const single = document.chapters.length === 1 && document.head === undefined;
  const overview = document.overview.map((block) => blockHtml(block, new Map())).join('\n');
  const chapters = document.chapters.map((chapter, index) =>
    chapterHtml(chapter, charts[index] ?? new Map(), {
      prefix: single ? '' : `case${index + 1}-`,
      overview: single ? overview : '',
      lastSection: document.modelCard.title,
    }),
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="iommu-replay ${escapeHtml(model.tool_version)}">
<title>${escapeHtml(document.title)} – iommu-replay ${escapeHtml(document.label ?? 'report')}</title>
<style>${pageStyle()}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the report</a>
<div class="page">
<header class="brand"><span><b>iommu-replay</b> ${escapeHtml(document.label ?? 'run report')}</span><span>version ${escapeHtml(model.tool_version)}</span></header>
<main id="content">
${single ? '' : overviewHtml(document, overview)}
${chapters.join('\n')}
${sectionHtml(document.modelCard, new Map(), '', 2)}
</main>
<footer><p>${othersHtml(formats, document.fileStem ?? 'report')}Rates use SI prefixes, sizes IEC. Chart colours: ${PALETTE_NAME}, distinct under colour vision deficiencies.</p></footer>
</div>
</body>
</html>
`;
}

/** Links to the other formats that were written with the page. */
function othersHtml(formats: readonly string[], stem: string): string {
  const links = OTHER_FORMATS.filter(([format]) => formats.includes(format)).map(
    ([, ending, use]) => `<a href="${stem}.${ending}">${stem}.${ending}</a> ${use}`,
  );
  return links.length === 0 ? '' : `The same report: ${links.join(', ')}. `;
}

/** Head of a page with several cases, or none. */
function overviewHtml(document: ReportDocument, overview: string): string {
  const links = document.chapters.map(
    (chapter, index) =>
      `<li><a href="#case${index + 1}">${escapeHtml(chapter.title)}, ${escapeHtml(chapter.subtitle)}</a></li>`,
  );
  const contents =
    links.length === 0 || (links.length === 1 && document.head !== undefined)
      ? ''
      : `<nav class="contents" aria-label="Cases"><ul>${links.join('')}</ul></nav>`;
  const head = document.head === undefined ? '' : headHtml(document.head);
  return `<section class="part overview"><h1>${escapeHtml(document.title)}</h1>${head}${overview}${contents}</section>`;
}

/** Verdict bar of a whole report, with its conditions. */
function headHtml({ badges, sentence, checks }: Head): string {
  return verdictHtml(badges, sentence, checks.length === 0 ? '' : checksHtml(checks));
}

/** States and a sentence; the worst state colours the bar. */
function verdictHtml(badges: readonly Badge[], sentence: string, more = ''): string {
  const worst = ['bad', 'warn', 'good'].find((tone) => badges.some((badge) => badge.tone === tone)) ?? 'plain';
  const list = badges.map((badge) => `<li class="${badge.tone}">${inlineHtml(badge.text)}</li>`);
  return `<div class="verdict ${worst}"><ul class="badges" aria-label="State">${list.join('')}</ul><p>${inlineHtml(sentence)}</p>${more}</div>`;
}

function chapterHtml(
  chapter: Chapter,
  charts: ReadonlyMap<string, PageChart>,
  { prefix, overview, lastSection }: { prefix: string; overview: string; lastSection: string },
): string {
  const level = prefix === '' ? 'h1' : 'h2';
  const tiles = chapter.tiles.map(
    (tile) =>
      `<div class="tile${tile.alert ? ' alert' : ''}"><dt>${escapeHtml(tile.label)}</dt><dd class="value">${inlineHtml(tile.value)}</dd><dd class="detail">${inlineHtml(tile.detail)}</dd></div>`,
  );
  const answers = chapter.answers.map(
    ({ question, answer, answered }) =>
      `<div${answered ? '' : ' class="open"'}><dt>${escapeHtml(question)}</dt><dd>${inlineHtml(answer)}</dd></div>`,
  );
  const contents = chapter.sections.map(
    (section) => `<li><a href="#${prefix}${section.id}">${escapeHtml(section.title)}</a></li>`,
  );
  return `<article class="chapter" id="${prefix.replace(/-$/, '') || 'run'}">
<div class="chapter-head"><${level}>${escapeHtml(chapter.title)}</${level}><p class="subtitle">${escapeHtml(chapter.subtitle)}</p></div>
${verdictHtml(chapter.badges, chapter.sentence)}
${overview === '' ? '' : `<div class="overview">${overview}</div>`}
<dl class="tiles">${tiles.join('\n')}</dl>
<dl class="answers">${answers.join('\n')}</dl>
${provenanceHtml(chapter)}
<nav class="contents" aria-label="Sections"><ul>${contents.join('')}<li><a href="#model-card">${escapeHtml(lastSection)}</a></li></ul></nav>
${chapter.sections.map((section) => sectionHtml(section, charts, prefix, prefix === '' ? 2 : 3)).join('\n')}
</article>`;
}

function provenanceHtml({ provenance, pacing }: Chapter): string {
  if (provenance === null) return '';
  const parts = provenance.parts.map((part, i) => ({ ...part, colour: `var(--${PROVENANCE_COLOURS[i]})` }));
  const bar = parts
    .filter((part) => part.share > 0)
    .map((part) => `<span style="flex:${part.share} 0 3px;background:${part.colour}"></span>`);
  const keys = parts.map((part) => `<li><i style="background:${part.colour}"></i>${inlineHtml(part.text)}</li>`);
  const label = escapeHtml(`DMA rows: ${parts.map((part) => part.text).join(', ')}`);
  return `<div class="provenance"><h2>Provenance of the DMA stream</h2>
<div class="share" role="img" aria-label="${label}">${bar.join('')}</div>
<ul class="keys">${keys.join('')}</ul>
<p>${provenance.notes.map(inlineHtml).join(' · ')}</p>
<p>Pacing ${inlineHtml(pacing)}</p></div>`;
}

function sectionHtml(section: Section, charts: ReadonlyMap<string, PageChart>, prefix: string, level: 2 | 3): string {
  const id = `${prefix}${section.id}`;
  return `<section class="part" id="${id}" aria-labelledby="${id}-title"><h${level} class="section" id="${id}-title">${escapeHtml(section.title)}</h${level}>
${section.blocks.map((block) => blockHtml(block, charts)).join('\n')}
</section>`;
}
