/** A fit in words: what it proposes, what it gains, how to apply it. */
import type { FittedParameter, ModelFit } from '../../replay/validate-model/result.ts';
import { tally } from '../../replay/validate-model/result.ts';
import type { Block, Fact, Section } from '../document/block.ts';
import { figures, words } from '../document/block.ts';
import { formatQuotient, formatShare, NOT_AVAILABLE } from '../format.ts';

const STATE: Readonly<Record<FittedParameter['state'], string>> = {
  proposed: 'proposed',
  kept: 'no better value found',
  flat: 'flat: the curves do not depend on it near this value',
  refused: 'the profile accepts no value near this one',
};

/** The section. */
export function fitSection(fit: ModelFit): Section {
  return {
    id: 'fit',
    title: 'Fit',
    blocks: [
      { kind: 'paragraph', text: sentence(fit) },
      { kind: 'facts', facts: facts(fit) },
      {
        kind: 'table',
        caption: 'Parameters of the fit',
        columns: [words('parameter', { code: true }), figures('before'), figures('proposed'), words('what was found')],
        rows: fit.parameters.map(({ path, unit, before, proposed, state }) => [
          path,
          inUnit(before, unit),
          state === 'proposed' ? inUnit(proposed, unit) : NOT_AVAILABLE,
          STATE[state],
        ]),
      },
      ...apply(fit),
    ],
  };
}

function sentence({ improved, leastGainShare }: ModelFit): string {
  const least = `at least ${formatQuotient(leastGainShare * 100)} %`;
  if (!improved) return `No better value found: none lowers the misfit by ${least}. All values stay.`;
  return (
    `These values lower the misfit to these curves by ${least}. They change no profile; hold them against a curve that ` +
    'was not in the file before you believe them.'
  );
}

function facts(fit: ModelFit): Fact[] {
  const { decided, passed } = tally(fit.after);
  const misfit = `${formatQuotient(fit.misfitBefore)} before, ${formatQuotient(fit.misfitAfter)} after`;
  const { errorShareBefore: before, errorShareAfter: after } = fit;
  return [
    { label: 'Misfit', value: `${misfit} (root mean square of error over what is allowed)` },
    ...(before === null || after === null
      ? []
      : [{ label: 'Relative error', value: `${formatShare(before)} before, ${formatShare(after)} after` }]),
    { label: 'Points that hold', value: `${passed} of ${decided} after` },
  ];
}

function apply({ improved, overrides }: ModelFit): Block[] {
  if (!improved) return [];
  return [
    { kind: 'paragraph', text: 'To apply the proposal:' },
    { kind: 'list', items: overrides.map((override) => `\`--set ${override}\``) },
  ];
}

function inUnit(value: number, unit: string): string {
  return unit === '' ? String(value) : `${value} ${unit}`;
}
