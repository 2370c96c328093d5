/** The points of a sweep before it runs: what `--dry-run` prints. */
import type { SweepPlan } from '../../replay/sweep/plan.ts';
import { figures, type Table, words } from '../document/block.ts';
import { plural } from '../format.ts';
import { tableText } from '../text.ts';

/** One table a case, at most 72 columns wide where values allow, and the number of replays. */
export function planText(plan: SweepPlan): string {
  const tables = plan.cases.map(({ key, own, base, points }): Table => {
    const replay = (sameAs: number | null): string =>
      sameAs === null ? plural(base.jobs.length, 'replay') : sameAs < 0 ? 'as profile' : `as ${sameAs + 1}`;
    const change = (values: readonly (string | null)[]): string =>
      plan.params.flatMap(({ path }, index) => (values[index] === null ? [] : [`${path}=${values[index]}`])).join(', ');
    return {
      kind: 'table',
      caption: key,
      columns: [figures('point'), words('values'), words('replay')],
      rows: [
        ['profile', change(own.map(({ value }) => value)), replay(null)],
        ...points.map(({ values, sameAs }, index) => [String(index + 1), change(values), replay(sameAs)]),
      ],
    };
  });
  return `${tables.map(tableText).join('\n\n')}\n\n${planSummary(plan)}\n`;
}

/** How much there is to replay. */
export function planSummary({ cases, jobs }: SweepPlan): string {
  return `${plural(cases[0]?.points.length ?? 0, 'point')} a case, ${plural(jobs.length, 'replay')} in all`;
}
