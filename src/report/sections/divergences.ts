/** Modelled results of control-plane calls that differ from the recorded ones. */
import type { CaseData } from '../case-data.ts';
import { ratio } from '../quantities.ts';
import type { DivergenceSection } from '../schema/events.ts';

/** The section. */
export function divergenceSection(data: CaseData): DivergenceSection {
  const { compared, count, first } = data.divergences;
  return {
    compared,
    count,
    share: ratio(count, compared),
    first: first.map((divergence) => ({
      control_row: divergence.controlRow,
      op: divergence.op,
      recorded: divergence.recorded,
      modelled: divergence.modelled,
    })),
  };
}
