/**
 * Cases of two runs that belong together: same workload, hardware profile, kernel profile and scenario (which includes
 * the pacing). Where each run has one choice only and these differ (`run --hw vtd-bdw` against `run --hw vtd-emr`), the
 * difference is what the user asks about: such cases are paired across it, and the pairing says so.
 */
import type { ReportCase, ReportModel } from '../schema/report.ts';
import { streamsOf } from './trace-relation.ts';

/** What cases may be paired across, in the order in which it is said. */
export const DIMENSIONS = ['workload', 'hardware profile', 'kernel profile', 'scenario'] as const;

/** A name in {@link DIMENSIONS}. */
export type Dimension = (typeof DIMENSIONS)[number];

/** Two cases that belong together. */
export interface CasePair {
  readonly base: ReportCase;
  readonly run: ReportCase;
  /** In what they differ, of what would be the same otherwise. */
  readonly across: readonly Dimension[];
}

/** All cases of two runs. */
export interface Pairing {
  /** In the order of the run. */
  readonly pairs: readonly CasePair[];
  readonly onlyBase: readonly ReportCase[];
  readonly onlyRun: readonly ReportCase[];
}

/** Pairs every case once. Workloads are found by name, then by their streams, then as the only ones of both runs. */
export function pairCases(base: ReportModel, run: ReportModel): Pairing {
  const workloads = pairWorkloads(base, run);
  const left = new Set(base.cases);
  const pairs: CasePair[] = [];
  for (const one of run.cases) {
    const workload = workloads.get(one.workload);
    if (workload === undefined) continue;
    const free = freeDimensions(base, workload, run, one.workload);
    const match = [...left].find(
      (other) =>
        other.workload === workload &&
        free.every(({ dimension, isFree }) => isFree || choiceOf(other, dimension) === choiceOf(one, dimension)),
    );
    if (match === undefined) continue;
    left.delete(match);
    const across = DIMENSIONS.filter((dimension) => choiceOf(match, dimension) !== choiceOf(one, dimension));
    pairs.push({ base: match, run: one, across });
  }
  const paired = new Set(pairs.map((pair) => pair.run));
  return { pairs, onlyBase: [...left], onlyRun: run.cases.filter((one) => !paired.has(one)) };
}

/** Workload of the base by that of the run. */
function pairWorkloads(base: ReportModel, run: ReportModel): Map<string, string> {
  const ofBase = [...new Set(base.cases.map(({ workload }) => workload))];
  const ofRun = [...new Set(run.cases.map(({ workload }) => workload))];
  const pairs = new Map(ofRun.filter((name) => ofBase.includes(name)).map((name) => [name, name]));
  const taken = new Set(pairs.values());
  const streams = (model: ReportModel, workload: string): string | null =>
    streamsOf(model.cases.find((one) => one.workload === workload)?.identity ?? null);
  for (const name of ofRun.filter((one) => !pairs.has(one))) {
    const own = streams(run, name);
    const same = ofBase.find((other) => !taken.has(other) && own !== null && streams(base, other) === own);
    if (same === undefined) continue;
    pairs.set(name, same);
    taken.add(same);
  }
  // A run that lost workloads has not chosen one.
  if (pairs.size === 0 && ofBase.length === 1 && ofRun.length === 1 && base.complete && run.complete) {
    pairs.set(ofRun[0]!, ofBase[0]!);
  }
  return pairs;
}

/** Dimensions in which both runs have one choice for the workload. */
function freeDimensions(base: ReportModel, baseWorkload: string, run: ReportModel, runWorkload: string) {
  return DIMENSIONS.filter((dimension) => dimension !== 'workload').map((dimension) => ({
    dimension,
    isFree: hasOneChoice(base, baseWorkload, dimension) && hasOneChoice(run, runWorkload, dimension),
  }));
}

/** Whether the run replayed the workload under one value only; what an incomplete run lost counts as a choice. */
function hasOneChoice(model: ReportModel, workload: string, dimension: Dimension): boolean {
  const cases = model.cases.filter((one) => (model.complete ? one.workload === workload : true));
  const values = new Set(cases.map((one) => choiceOf(one, dimension)));
  if (!model.complete) for (const name of plannedProfiles(model, dimension)) values.add(name);
  return values.size === 1;
}

function plannedProfiles({ model_card: { profiles } }: ReportModel, dimension: Dimension): string[] {
  return profiles.filter(({ kind }) => dimension === `${kind} profile`).map(({ name }) => name);
}

/** What the case has of a dimension. */
export function choiceOf(one: ReportCase, dimension: Dimension): string {
  switch (dimension) {
    case 'workload':
      return one.workload;
    case 'hardware profile':
      return one.hardware_profile;
    case 'kernel profile':
      return one.kernel_profile;
    case 'scenario':
      return one.scenario;
  }
}
