/** A scenario: how the same rows are replayed. Further kinds (switching policies, injected switches) join here. */
import { formatPacing } from './pacing.ts';
import type { JobSpec, Pacing } from './protocol.ts';

/** One way to replay a workload. */
export interface Scenario {
  /** Part of the job key; unique in a run. */
  readonly name: string;
  readonly pacing: Pacing;
  /** `iommu.strict=1`, `iommu.strict=0` or `iommu.passthrough=1` instead of what was recorded. */
  readonly defaultDomain?: JobSpec['defaultDomain'];
}

/** A scenario named after what it changes. */
export function scenarioOf(pacing: Pacing, defaultDomain?: JobSpec['defaultDomain']): Scenario {
  const name = formatPacing(pacing);
  return defaultDomain === undefined ? { name, pacing } : { name: `${name}+${defaultDomain}`, pacing, defaultDomain };
}
