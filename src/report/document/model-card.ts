/** The model card in words and tables. */
import { formatCount, formatShare, plural } from '../format.ts';
import type { ModelCardSection } from '../schema.ts';
import { type Block, figures, type Section, words } from './block.ts';

/** Every number of the profiles with its basis and source, and what the model leaves out. */
export function modelCardChapter(card: ModelCardSection): Section {
  const blocks: Block[] = [
    {
      kind: 'paragraph',
      text:
        `${plural(card.number_count, 'number')} in ${plural(card.profiles.length, 'profile')}; ` +
        `${formatShare(card.assumption_share)} of them are assumptions (a count of numbers, not of their effect on the result).`,
    },
    {
      kind: 'table',
      caption: 'What the numbers rest on',
      columns: [words('basis'), words('meaning'), figures('numbers'), figures('share')],
      rows: card.by_basis.map((row) => [row.basis, row.meaning, formatCount(row.count), formatShare(row.share)]),
    },
  ];
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
