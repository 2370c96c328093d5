/** Outcomes of the replays with moved numbers, in the order of the plan: who finished first leaves no trace. */
import type { AssumptionResult, JobOutcome, JobResult, MissingVariant } from '../protocol.ts';
import { ASSUMPTION_FACTOR } from './perturbation.ts';
import type { AssumptionPlan } from './plan.ts';

/** What the replays found; a variant of which a job is missing is left out, and the job is listed. */
export function foldAssumptions(
  { numbers, variants }: AssumptionPlan,
  outcomes: ReadonlyMap<string, JobOutcome>,
): AssumptionResult {
  const missing: MissingVariant[] = [];
  const found: { number: number; side: 'slow' | 'fast'; jobs: JobResult[] }[] = [];
  for (const { number, side, jobs } of variants) {
    const results: JobResult[] = [];
    for (const { key } of jobs) {
      const outcome = outcomes.get(key);
      if (outcome?.status === 'ok' && outcome.result.stoppedEarly !== true) results.push(outcome.result);
      else missing.push({ key, number, side, error: outcome?.status === 'failed' ? outcome.error : null });
    }
    if (results.length === jobs.length) found.push({ number, side, jobs: results });
  }
  return { factor: ASSUMPTION_FACTOR, numbers, variants: found, missing };
}
