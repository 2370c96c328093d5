/** A scenario: how the same rows are replayed: pacing, default domains, switching policy. */
import { formatPacing } from './pacing.ts';
import type { JobResult, JobSpec, Pacing } from './protocol.ts';
import type { StudySpec } from './study/protocol.ts';

/** One way to replay a workload. */
export interface Scenario {
  /** Part of the job key; unique in a run. */
  readonly name: string;
  readonly pacing: Pacing;
  /** `iommu.strict=1`, `iommu.strict=0` or `iommu.passthrough=1` instead of what was recorded. */
  readonly defaultDomain?: JobSpec['defaultDomain'];
  readonly study?: StudySpec | undefined;
}

/** Scenario of a job; one that changes nothing but the pacing is named after it. */
export function scenarioName(job: Pick<JobResult, 'scenario' | 'pacing'>): string {
  return job.scenario ?? formatPacing(job.pacing);
}

/** A scenario named after what it changes. */
export function scenarioOf(pacing: Pacing, defaultDomain?: JobSpec['defaultDomain']): Scenario {
  const name = formatPacing(pacing);
  return defaultDomain === undefined ? { name, pacing } : { name: `${name}+${defaultDomain}`, pacing, defaultDomain };
}

/** The scenario of one policy and one timing of the invalidation queue. */
export function studyScenario(pacing: Pacing, study: StudySpec): Scenario {
  return { name: `${formatPacing(pacing)}+${study.policy}+${study.queue.name}`, pacing, study };
}
