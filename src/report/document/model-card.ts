/** The model card in words and tables. */
import { formatCount, formatShare, plural } from '../format.ts';
import type { ModelCardSection } from '../schema/model-card.ts';
import { type Block, figures, type Section, words } from './block.ts';

/** Every number of the profiles with its basis and source, and what the model leaves out. */
export function modelCardChapter(card: ModelCardSection): Section {
  const blocks: Block[] = [
    {
      kind: 'paragraph',
      text:
        `${plural(card.number_count, 'number')} in ${plural(card.profiles.length, 'profile')}; ` +
        `${formatShare(card.assumption_share)} of them are assumptions (a count of numbers, not of their effect on the result). ` +
        effectOnResult(card),
    },
    {
      kind: 'table',
      caption: 'What the numbers rest on',
      columns: [words('basis'), words('meaning'), figures('numbers'), figures('share')],
      rows: card.by_basis.map((row) => [row.basis, row.meaning, formatCount(row.count), formatShare(row.share)]),
    },
  ];
  if (card.assumptions !== null && card.assumptions.not_moved.length > 0) {
    blocks.push({
      kind: 'table',
      caption: 'Assumed numbers that were not moved',
      columns: [words('profile'), words('number', { code: true }), words('value'), words('why')],
      rows: card.assumptions.not_moved.map(({ profile, path, value, reason }) => [profile, path, value, reason]),
      folded: true,
    });
  }
  for (const profile of card.profiles) {
    blocks.push(
      {
        kind: 'facts',
        facts: [
          { label: `${profile.kind} profile`, value: `${profile.name}: ${profile.description}` },
          { label: 'sha256', value: profile.sha256, code: true },
          { label: 'changed for this run', value: profile.overrides.join(' ') || 'nothing', code: true },
        ],
      },
      {
        kind: 'table',
        caption: `Numbers of ${profile.name}`,
        columns: [words('number', { code: true }), figures('value'), words('basis'), words('source')],
        rows: profile.numbers.map((row) => [row.path, `${row.value} ${row.unit}`.trim(), row.basis, row.source]),
        folded: true,
      },
    );
  }
  blocks.push({ kind: 'paragraph', text: 'What the model leaves out:' }, { kind: 'list', items: card.limits });
  return { id: 'model-card', title: 'Model card', blocks };
}

/** The share of the result, or how to have it computed. */
function effectOnResult({ assumptions, assumption_result_share: share }: ModelCardSection): string {
  if (assumptions === null) return 'What of the result rests on them is computed by `run --assumptions`.';
  if (share === null) {
    return 'Replays with them moved do not give a share of mean DMA latency: "What the result rests on" has every metric.';
  }
  return (
    `${plural(assumptions.replays, 'replay')} with them moved say that ${formatShare(share)} of mean DMA latency rests on ` +
    'them (of the case where it is most): "What the result rests on" has every metric.'
  );
}
