/** One night: the plan is replayed, held against the history, and appended to it as one entry. */
import { canonicalSha256 } from '../canonical-json.ts';
import { parsePacing } from '../replay/pacing.ts';
import { caseOfJob } from '../replay/plan.ts';
import type { ProfileCard, RunResult } from '../replay/protocol.ts';
import { planRun, type RunOptions, runReplay } from '../replay/run.ts';
import { caseMetrics } from '../report/metrics/case-metrics.ts';
import { buildReport } from '../report/model.ts';
import { changeOf, type NewCase } from './change.ts';
import { ENTRY_SCHEMA_VERSION, type EntryCase, type EntryProfile, gateFails, type NightlyEntry } from './entry.ts';
import { checkThresholds, entryGates } from './entry-gates.ts';
import { type Past, readPast } from './past.ts';
import type { NightlyPlan, PlannedRun } from './plan.ts';
import { BundleMaker, bundleSources } from './plan-bundles.ts';
import { appendEntry } from './store.ts';
import { trackedMetrics } from './track.ts';

/** What a night needs besides the plan. */
export interface NightlyOptions {
  readonly plan: NightlyPlan;
  /** Folder of the history; made when missing. */
  readonly history: string;
  /** Folder for bundles that have to be made; the caller removes it. */
  readonly scratch: string;
  /** Worker threads; 0 replays in this thread. Changes no result. */
  readonly workers: number;
  readonly toolVersion: string;
  /** Words for whom they concern. */
  readonly date: string;
  readonly label: string | null;
  readonly commit: string | null;
  /** Entry that changes are held against instead of the newest that passed. */
  readonly base?: string | undefined;
  /** Called once, when history and plan are known to be sound and the work begins. */
  readonly onBegin?: (() => void) | undefined;
  /** Called with the jobs finished and all jobs of all runs. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A case that the plan has, whatever comes of it. */
type PlannedCase = Pick<
  EntryCase,
  'key' | 'run' | 'workload' | 'hardware_profile' | 'kernel_profile' | 'scenario' | 'config' | 'config_sha256'
>;

interface PreparedRun {
  readonly name: string;
  readonly options: RunOptions;
  readonly jobs: number;
  readonly cases: readonly PlannedCase[];
  readonly profiles: readonly ProfileCard[];
}

/** A case with its result, before it is compared. */
type ReplayedCase = PlannedCase & Pick<EntryCase, 'metrics' | 'error'>;

interface ReplayedNight {
  readonly cases: readonly ReplayedCase[];
  readonly profiles: NightlyEntry['profiles'];
  readonly failures: NightlyEntry['failures'];
  readonly complete: boolean;
}

/**
 * Replays the plan and appends the entry; null when it was interrupted, and then nothing is appended. Throws InputError
 * and ConfigError; a job that fails is part of the entry.
 */
export async function runNightly(options: NightlyOptions): Promise<NightlyEntry | null> {
  const { plan, history, base } = options;
  // What is wrong with the history is said before hours of work.
  readPast(history, base);
  const runs = await prepareRuns(options);
  checkThresholds(
    plan.thresholds,
    runs.flatMap(({ cases }) => cases),
  );
  const results: RunResult[] = [];
  const total = runs.reduce((sum, { jobs }) => sum + jobs, 0);
  let before = 0;
  for (const { options: run, jobs } of runs) {
    const done = before;
    const onProgress = (finished: number): void => options.onProgress?.(done + finished, total);
    const outcome = await runReplay({ ...run, onProgress });
    if (outcome.interrupted || options.signal?.aborted === true) return null;
    results.push(outcome.run);
    before += jobs;
  }
  const night = foldNight(runs, results);
  trackedMetrics(
    plan.track,
    night.cases.filter(({ error }) => error === null),
    plan.file,
  );
  return appendEntry(history, (id) => entryOf(id, night, options, readPast(history, base)));
}

async function prepareRuns(options: NightlyOptions): Promise<PreparedRun[]> {
  const { plan, onBegin } = options;
  const sources = plan.runs.map((run) => bundleSources(plan, run));
  onBegin?.();
  const maker = new BundleMaker(options.scratch);
  const prepared: PreparedRun[] = [];
  for (const [at, run] of plan.runs.entries()) {
    const bundles: string[] = [];
    for (const source of sources[at]!) bundles.push(await maker.bundle(source));
    prepared.push(prepareRun(run, bundles, options));
  }
  return prepared;
}

function prepareRun(run: PlannedRun, bundles: readonly string[], options: NightlyOptions): PreparedRun {
  const { workers, toolVersion, signal } = options;
  const replay: RunOptions = {
    bundles,
    hardware: run.hardware,
    kernels: run.kernels,
    overrides: run.set,
    ...(run.pace === undefined ? {} : { pacing: parsePacing(run.pace, options.plan.file) }),
    workers,
    toolVersion,
    signal,
  };
  const { jobs, workloads, profiles } = planRun(replay);
  const keys = [...new Set(jobs.map(({ key }) => caseOfJob(key)))];
  const cases = keys.map((key): PlannedCase => {
    const [scenario, kernel, hardware, ...workload] = key.split('/').reverse() as [string, string, string, ...string[]];
    const name = workload.reverse().join('/');
    const digest = (kind: ProfileCard['kind'], profile: string): string =>
      profiles.find((card) => card.kind === kind && card.name === profile)!.sha256;
    const config = {
      hardware_sha256: digest('hardware', hardware),
      kernel_sha256: digest('kernel', kernel),
      manifest_sha256: workloads.find((one) => one.name === name)!.manifestSha256,
    };
    return {
      key: `${run.name}/${key}`,
      run: run.name,
      workload: name,
      hardware_profile: hardware,
      kernel_profile: kernel,
      scenario,
      config,
      config_sha256: canonicalSha256({ ...config, scenario }),
    };
  });
  return { name: run.name, options: replay, jobs: jobs.length, cases, profiles };
}

/** What the runs have to say, in the order of the plan. A case with a job missing has no result: its sums would lie. */
function foldNight(runs: readonly PreparedRun[], results: readonly RunResult[]): ReplayedNight {
  const cases: ReplayedCase[] = [];
  const profiles = new Map<string, EntryProfile>();
  for (const [at, { name, cases: planned, profiles: cards }] of runs.entries()) {
    const result = results[at]!;
    const missing = new Map(result.missing.map((job) => [`${name}/${caseOfJob(job)}`, 'no complete result']));
    for (const { key, error } of result.failures) missing.set(`${name}/${caseOfJob(key)}`, error);
    const metrics = new Map(
      buildReport(result).model.cases.map((one) => [`${name}/${one.key}`, Object.fromEntries(caseMetrics(one))]),
    );
    for (const one of planned) {
      const error = missing.get(one.key) ?? (metrics.has(one.key) ? null : 'no result');
      cases.push({ ...one, error, metrics: error === null ? metrics.get(one.key)! : {} });
    }
    for (const { kind, sha256, name: profile, overrides, numbers } of cards) {
      const values = Object.fromEntries(numbers.map(({ path, value }) => [path, value]));
      profiles.set(sha256, { kind, name: profile, overrides: [...overrides], numbers: values });
    }
  }
  return {
    cases,
    profiles: Object.fromEntries(profiles),
    failures: results.flatMap(({ failures }, at) =>
      failures.map(({ key, error }) => ({ run: runs[at]!.name, job: key, error })),
    ),
    complete: results.every(({ complete }) => complete),
  };
}

function entryOf(id: string, night: ReplayedNight, options: NightlyOptions, past: Past): NightlyEntry {
  const { plan, toolVersion, date, label, commit } = options;
  const gates = entryGates(plan.thresholds, night.cases, past);
  const cases = night.cases.map((one): EntryCase => {
    const { hardware_sha256, kernel_sha256 } = one.config;
    const now: NewCase = { ...one, hardware: night.profiles[hardware_sha256]!, kernel: night.profiles[kernel_sha256]! };
    return { ...one, change: changeOf(now, toolVersion, past.latest.get(one.key)) };
  });
  const { last } = past;
  return {
    schemaVersion: ENTRY_SCHEMA_VERSION,
    kind: 'nightly-entry',
    id,
    date,
    label,
    commit,
    tool_version: toolVersion,
    plan: { name: plan.name, sha256: plan.sha256 },
    complete: night.complete,
    verdict: !night.complete ? 'incomplete' : gates.some(gateFails) ? 'fail' : 'pass',
    tool_changed_from: last === undefined || last.toolVersion === toolVersion ? null : last.toolVersion,
    failures: night.failures,
    cases,
    gates,
    profiles: night.profiles,
  };
}
