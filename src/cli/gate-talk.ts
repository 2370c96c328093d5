/** What `compare` and `gate` say on stderr of gates that were not passed and runs that are incomplete. */
import { plural } from '../report/format.ts';
import type { GateRow } from '../report/gate/schema.ts';

/** One line a gate that was breached or could not be evaluated. */
export function gateLines(gates: readonly GateRow[]): string[] {
  return gates
    .filter(({ verdict }) => verdict !== 'pass')
    .map((gate) => `${gate.verdict}: ${gate.condition} (${gate.case ?? 'no case'})`);
}

/** One line a run that is incomplete. */
export function incompleteLines(
  runs: readonly { readonly folder: string; readonly complete: boolean; readonly missing: readonly string[] }[],
): string[] {
  return runs
    .filter(({ complete }) => !complete)
    .map(({ folder, missing }) => `incomplete: ${folder} (${plural(missing.length, 'job')} missing)`);
}
