/**
 * The replays of a sweep: for each case (workload x hardware x kernel x scenario) the profiles as they are, then every
 * point. Two points that come to the same profiles and scenario are one replay.
 */
import { canonicalJson } from '../../canonical-json.ts';
import { ConfigError } from '../../input-error.ts';
import type { JobSpec } from '../protocol.ts';
import type { RunPlan } from '../run.ts';
import type { RunProfile } from '../run-profiles.ts';
import { scenarioOf } from '../scenario.ts';
import { type MovableProfile, overridePath, profileName, variantJob } from '../variant.ts';
import { ownNumber, ownScenario, scenarioChange } from './param.ts';
import type { OwnValue, SweepMode, SweptParam } from './protocol.ts';

/** Most points: a grid grows by multiplication, and so does a slip of the pen. */
export const MOST_POINTS = 4096;

/** A point of a case before it is replayed. */
export interface PlannedPoint {
  /** By parameter; null = the profile's own. */
  readonly values: readonly (string | null)[];
  /** One a shard; those of {@link sameAs} where that is set. */
  readonly jobs: readonly JobSpec[];
  readonly sameAs: number | null;
}

/** A case before it is replayed. */
export interface PlannedCase {
  readonly key: string;
  readonly own: readonly OwnValue[];
  readonly base: PlannedPoint;
  readonly points: readonly PlannedPoint[];
}

/** All replays of a sweep. */
export interface SweepPlan {
  readonly mode: SweepMode;
  readonly params: readonly SweptParam[];
  readonly cases: readonly PlannedCase[];
  /** Each once, cases and points in order. */
  readonly jobs: readonly JobSpec[];
}

/** Values by parameter of every point: one parameter after the other, or all combinations, the last one fastest. */
export function sweepPoints(params: readonly SweptParam[], mode: SweepMode): (string | null)[][] {
  const count = params.reduce(
    (total, { values }) => (mode === 'grid' ? total * values.length : total + values.length),
    mode === 'grid' ? 1 : 0,
  );
  if (count > MOST_POINTS) {
    const sizes = params.map(({ path, values }) => `${values.length} of ${path}`).join(mode === 'grid' ? ' x ' : ' + ');
    throw new ConfigError({ source: '--param', reason: `${count} points (${sizes}) are more than ${MOST_POINTS}` });
  }
  if (mode === 'one-at-a-time') {
    return params.flatMap((param, index) =>
      param.values.map((value) => params.map((_, other) => (other === index ? value : null))),
    );
  }
  return params.reduce<string[][]>(
    (points, { values }) => points.flatMap((point) => values.map((value) => [...point, value])),
    [[]],
  );
}

/** Plans a sweep around `run`; throws ConfigError for a parameter or value that a profile refuses. */
export function planSweep(run: RunPlan, params: readonly SweptParam[], mode: SweepMode): SweepPlan {
  const points = sweepPoints(params, mode);
  const resolver = new PointResolver(run.movable);
  const cases = new Map<string, JobSpec[]>();
  for (const job of run.jobs) {
    const key = [job.workload, profileName(job, 'hardware'), profileName(job, 'kernel'), job.scenario].join('/');
    cases.set(key, [...(cases.get(key) ?? []), job]);
  }
  const planned = [...cases].map(([key, jobs]) => planCase(key, jobs, params, points, resolver));
  return {
    mode,
    params,
    cases: planned,
    jobs: planned.flatMap(({ base, points: own }) => [
      ...base.jobs,
      ...own.flatMap(({ jobs, sameAs }) => (sameAs === null ? jobs : [])),
    ]),
  };
}

function planCase(
  key: string,
  jobs: readonly JobSpec[],
  params: readonly SweptParam[],
  points: readonly (readonly (string | null)[])[],
  resolver: PointResolver,
): PlannedCase {
  const first = jobs[0]!;
  const own = params.map(({ path, kind }) =>
    kind === 'scenario' ? ownScenario(path, first) : resolver.own(kind, profileName(first, kind), path),
  );
  const seen = new Map([[identityOf(first), -1]]);
  const base: PlannedPoint = {
    values: params.map(() => null),
    jobs: jobs.map((job) => ({ ...job, lean: true })),
    sameAs: null,
  };
  const planned: PlannedPoint[] = [];
  for (const [index, values] of points.entries()) {
    const changed = resolver.change(first, params, values);
    const identity = identityOf({ ...first, ...changed });
    const sameAs = seen.get(identity) ?? null;
    if (sameAs === null) seen.set(identity, index);
    const earlier = sameAs === -1 ? base : sameAs === null ? undefined : planned[sameAs];
    const id = pointName(params, values);
    planned.push({ values, sameAs, jobs: earlier?.jobs ?? jobs.map((job) => variantJob(job, id, changed)) });
  }
  return { key, own, base, points: planned };
}

/** `iotlb.entries=64` or `iotlb.entries=64,iotlb.ways=8`. */
export function pointName(params: readonly SweptParam[], values: readonly (string | null)[]): string {
  return params.flatMap(({ path }, index) => (values[index] === null ? [] : [`${path}=${values[index]}`])).join(',');
}

/** Everything that a result depends on besides the trace. */
function identityOf({ hardware, kernel, pacing, defaultDomain }: JobSpec): string {
  return canonicalJson({ hardware, kernel, pacing, defaultDomain });
}

/** Profiles with the values of a point, each resolved once. */
class PointResolver {
  readonly #profiles: readonly MovableProfile[];
  readonly #resolved = new Map<string, RunProfile>();

  constructor(profiles: readonly MovableProfile[]) {
    this.#profiles = profiles;
  }

  own(kind: 'hardware' | 'kernel', name: string, path: string): OwnValue {
    return ownNumber(this.#profile(kind, name).card, path);
  }

  /** What differs in a job at the point; throws ConfigError that names the point. */
  change(job: JobSpec, params: readonly SweptParam[], values: readonly (string | null)[]): Partial<JobSpec> {
    const overrides = { hardware: [] as string[], kernel: [] as string[] };
    let replayed: Pick<JobSpec, 'pacing' | 'defaultDomain'> = job;
    for (const [index, { path, kind }] of params.entries()) {
      const value = values[index];
      if (value === null || value === undefined) continue;
      if (kind === 'scenario') replayed = { ...replayed, ...scenarioChange(path, value) };
      else overrides[kind].push(`${overridePath(path)}=${value}`);
    }
    const { pacing, defaultDomain } = replayed;
    const point = pointName(params, values);
    return {
      hardware: this.#resolve('hardware', profileName(job, 'hardware'), overrides.hardware, point),
      kernel: this.#resolve('kernel', profileName(job, 'kernel'), overrides.kernel, point),
      scenario: scenarioOf(pacing, defaultDomain).name,
      pacing,
      ...(defaultDomain === undefined ? {} : { defaultDomain }),
    };
  }

  #resolve(kind: 'hardware' | 'kernel', name: string, overrides: readonly string[], point: string): unknown {
    const profile = this.#profile(kind, name);
    if (overrides.length === 0) return profile.planned.profile;
    const id = [kind, name, ...overrides].join('\n');
    let resolved = this.#resolved.get(id);
    if (resolved === undefined) {
      try {
        resolved = profile.resolve(overrides);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        throw new ConfigError({ source: `--param ${point}`, reason: error.message });
      }
      this.#resolved.set(id, resolved);
    }
    return resolved.planned.profile;
  }

  #profile(kind: 'hardware' | 'kernel', name: string): MovableProfile {
    return this.#profiles.find(({ card }) => card.kind === kind && card.name === name)!;
  }
}
