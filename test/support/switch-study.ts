/** Small disruption studies in this thread: a synthetic switch load from a few fields, and its policies by name. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunResult } from '../../src/replay/protocol.ts';
import { SWITCH_POLICIES, type SwitchPolicy } from '../../src/replay/study/policy.ts';
import { runStudy, type StudyOptions } from '../../src/replay/study/study-run.ts';
import { type PolicyResult, studyCases } from '../../src/report/study/study-case.ts';
import { decodeRecipe } from '../../src/trace/synth/recipe.ts';
import { synthesizeRecipe } from '../../src/trace/synth/synthesize.ts';

/** A load of eight devices behind two units, switched 32 times, unless `fields` say otherwise. */
export function switchLoad(fields: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return syntheticLoad({
    name: 'switches',
    kind: 'switches',
    seed: 7,
    rows: 24_000,
    units: 2,
    mode: 'scalable',
    devices: 8,
    regionBytes: 8_388_608,
    pageBytes: 2_097_152,
    switches: 32,
    gapNs: 10,
    pacing: 'recorded',
    ...fields,
  });
}

/** The bundle of a recipe in a folder of its own. */
export async function syntheticLoad(recipe: Readonly<Record<string, unknown>>): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), 'iommu-replay-switches-')), 'bundle');
  await synthesizeRecipe(decodeRecipe(recipe, 'test'), path);
  return path;
}

/** The run of a study of one bundle on `vtd-emr` and Linux 7.3. */
export async function studyRun(bundle: string, options: Partial<StudyOptions> = {}): Promise<RunResult> {
  const outcome = await runStudy({
    bundles: [bundle],
    policies: SWITCH_POLICIES,
    hardware: ['vtd-emr'],
    kernels: ['v7.3'],
    workers: 0,
    toolVersion: 'test',
    sensitivity: false,
    ...options,
  });
  if (outcome.run.failures.length > 0) throw new Error(outcome.run.failures[0]!.error);
  return outcome.run;
}

/** Results by policy, or by `policy queue` for queues other than the profile's. */
export async function study(
  bundle: string,
  options: Partial<StudyOptions> = {},
): Promise<ReadonlyMap<SwitchPolicy | string, PolicyResult>> {
  const cases = studyCases(await studyRun(bundle, options));
  const results = cases.flatMap(({ policies, variants }) => [...policies, ...variants]);
  return new Map(
    results.map((result) => [result.queue === 'profile' ? result.policy : `${result.policy} ${result.queue}`, result]),
  );
}
