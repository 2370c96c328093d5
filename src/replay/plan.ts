/**
 * Jobs of a run: workload x shard x hardware profile x kernel profile x scenario. Keys sort as the loops nest, so the
 * fold is in the same order whoever finishes first.
 */
import type { JobSpec } from './protocol.ts';
import type { Scenario } from './scenario.ts';
import type { ClosedWorld } from './shards.ts';

/** A bundle and its closed worlds. */
export interface PlannedWorkload {
  /** Unique in a run; the bundle's name, with a number behind it where two bundles share one. */
  readonly name: string;
  readonly bundlePath: string;
  readonly worlds: readonly ClosedWorld[];
  /** DMA rows by unit. */
  readonly unitRows: readonly number[];
  /** Kernels of this workload: unless told otherwise a recording is replayed on its own. */
  readonly kernels: readonly PlannedProfile[];
  /** Scenarios of this workload: its default pacing may differ from another's. */
  readonly scenarios: readonly Scenario[];
}

/** A resolved profile that travels by value. */
export interface PlannedProfile {
  /** Unique among the profiles of its kind in a run. */
  readonly name: string;
  readonly profile: unknown;
}

/** Everything that spans the job space. */
export interface JobSpace {
  readonly workloads: readonly PlannedWorkload[];
  readonly hardware: readonly PlannedProfile[];
  /** [rows] {@link JobSpec.batchRows}. */
  readonly batchRows: number;
}

/** All jobs, sorted by key. */
export function planJobs(space: JobSpace): JobSpec[] {
  const jobs: JobSpec[] = [];
  for (const workload of space.workloads) {
    for (const [shard, world] of workload.worlds.entries()) {
      for (const hardware of space.hardware) {
        for (const kernel of workload.kernels) {
          for (const scenario of workload.scenarios) {
            jobs.push({
              key: jobKey(workload.name, shard, hardware.name, kernel.name, scenario.name),
              bundlePath: workload.bundlePath,
              workload: workload.name,
              shard,
              world,
              dmaRows: world.units.reduce((rows, unit) => rows + (workload.unitRows[unit] ?? 0), 0),
              hardware: hardware.profile,
              kernel: kernel.profile,
              scenario: scenario.name,
              pacing: scenario.pacing,
              ...(scenario.defaultDomain === undefined ? {} : { defaultDomain: scenario.defaultDomain }),
              ...(scenario.study === undefined ? {} : { study: scenario.study }),
              batchRows: space.batchRows,
            });
          }
        }
      }
    }
  }
  return jobs.sort((a, b) => compareKeys(a.key, b.key));
}

/** `workload/shard/hardware/kernel/scenario`; the shard has five digits, so keys sort as text. */
export function jobKey(workload: string, shard: number, hardware: string, kernel: string, scenario: string): string {
  return `${workload}/${String(shard).padStart(5, '0')}/${hardware}/${kernel}/${scenario}`;
}

/** Case that a job belongs to: its key without the shard, `workload/hardware/kernel/scenario`. */
export function caseOfJob(key: string): string {
  return key.replace(/^(.*)\/\d{5,}(\/[^/]*\/[^/]*\/[^/]*)$/s, '$1$2');
}

/** Code-unit order: the same in every locale. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Names made unique by appending `~2`, `~3` ... to repeats, in order. */
export function uniqueNames(names: readonly string[]): string[] {
  // A name that a bundle really has is never given to another.
  const taken = new Set<string>(names);
  const seen = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let count = 2; seen.has(unique) || (unique !== name && taken.has(unique)); count++)
      unique = `${name}~${count}`;
    seen.add(unique);
    return unique;
  });
}
