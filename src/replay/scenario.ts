/** A scenario: how the same rows are replayed. Further kinds (switching policies, injected switches) join here. */
import { formatPacing } from './pacing.ts';
import type { Pacing } from './protocol.ts';

/** One way to replay a workload. */
export interface Scenario {
  /** Part of the job key; unique in a run. */
  readonly name: string;
  readonly pacing: Pacing;
}

/** The scenario that differs from the recording in nothing but its pacing. */
export function pacingScenario(pacing: Pacing): Scenario {
  return { name: formatPacing(pacing), pacing };
}
