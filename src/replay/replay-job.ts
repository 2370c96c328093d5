/** One job from bundle to result: boot a machine, replay one closed world on it, and put together what came out. */
import { TimePart } from '../hw/vtd/counters.ts';
import type { VtdUnit } from '../hw/vtd/unit.ts';
import { InputError } from '../input-error.ts';
import type { KernelProfile } from '../stack/kernel/profile.ts';
import { BundleReader } from '../trace/reader.ts';
import { countersByUnit, invalidationStats, tallyDifference, tallyUnit } from './analyses/caches.ts';
import { deviceTlbResult, tallyEndpoints } from './analyses/device-tlbs.ts';
import { JobAnalyses, type JobFindings } from './analyses/job-analyses.ts';
import { StaleTranslations } from './analyses/lint.ts';
import { Machine } from './machine.ts';
import { PacingClock } from './pacing.ts';
import type { JobResult, JobSpec, TimeBreakdown } from './protocol.ts';
import { Replayer } from './replayer.ts';
import type { JobHardware } from './run-profiles.ts';
import { JobStudy, withQueueVariant } from './study/job-study.ts';
import { kernelForPolicy } from './study/policy.ts';

/**
 * Replays a job. Throws InputError for rows that cannot be replayed and ReplayStalledError for rows that wait for each
 * other. Once `stop` answers true (asked now and then) it ends where it is: the result is then marked as stopped early.
 */
export function replayJob(job: JobSpec, stop: () => boolean = () => false): JobResult {
  const steps = replaySteps(job);
  let step = steps.next(false);
  while (step.done !== true) step = steps.next(stop());
  return step.value;
}

/** {@link replayJob} in slices: yields between two; answering a yield with true stops it. */
export function* replaySteps(job: JobSpec): Generator<void, JobResult, boolean> {
  const bundle = BundleReader.open(job.bundlePath);
  try {
    return yield* replayBundle(job, bundle);
  } finally {
    bundle.close();
  }
}

function* replayBundle(job: JobSpec, bundle: BundleReader): Generator<void, JobResult, boolean> {
  const { world, defaultDomain } = job;
  const study = job.study === undefined ? undefined : new JobStudy(job.study, job, bundle);
  const hardware = hardwareOf(job);
  const kernel = kernelOf(job);
  const machine = new Machine({ bundle, world, hardware, kernel, defaultDomain, watch: study?.watch });
  const { originTick } = machine;
  const clock = new PacingClock(job.pacing, originTick);
  const { manifest } = bundle;
  if (!clock.reaches(manifest.time.windowEndNs)) {
    const reason = `its last row at ${manifest.time.windowEndNs} ns lies beyond what model time can hold (2^53 ps)`;
    throw new InputError({ file: job.bundlePath, reason });
  }
  const units = [...machine.units.values()];
  const boot = units.map(tallyUnit);
  const bootTimes = sumTimes(units);
  const bootEndpoints = units.map(tallyEndpoints);
  const analyses = new JobAnalyses({ devices: manifest.topology.devices, originTick });
  const nameOf = (device: number): string => manifest.topology.devices[device]?.name ?? `device ${device}`;
  const stale = new StaleTranslations(machine.softwareView(), originTick, nameOf, world.devices);
  const replayer = new Replayer({
    bundle,
    world,
    timeline: machine.kernel.timeline,
    scheduler: machine.kernel.scheduler,
    unitAt: (index) => machine.unitAt(index),
    calls: stale.watching(study?.start(machine) ?? machine.calls),
    clock,
    batchRows: job.batchRows,
    onChunk: (chunk) => analyses.onDmaBatch(chunk.input, chunk.results),
    onIssued: (chunk, from, to, unitIndex) => {
      stale.onIssued(chunk.input, chunk.results, from, to);
      study?.onIssued(chunk, unitIndex, from, to);
    },
    onCall: (call, row) => {
      analyses.onControlCall(call);
      stale.onCall(row);
    },
  });
  study?.connect(replayer, machine);
  const counts = yield* replayer.steps();
  machine.diagnostics.count('forward_dependency', counts.forwardDependencies);
  machine.diagnostics.count('map_without_invalidation', stale.unseenMaps);
  const findings = analyses.finish();
  const tallies = units.map((unit, index) => tallyDifference(tallyUnit(unit), boot[index]!));
  const { control } = findings;
  const deviceTlb = deviceTlbResult(units.map(tallyEndpoints), bootEndpoints, nameOf);
  return {
    key: job.key,
    workload: job.workload,
    shard: job.shard,
    hardwareProfile: hardware.name,
    kernelProfile: kernel.name,
    pacing: job.pacing,
    scenario: job.scenario,
    ...(counts.stoppedEarly ? { stoppedEarly: true } : {}),
    dmaRows: counts.dmaRows,
    controlRows: counts.controlRows,
    spanPs: Math.max(0, findings.span.last - findings.span.first),
    devices: findings.devices,
    time: timeBreakdown(units, bootTimes, findings),
    counters: countersByUnit(tallies),
    invalidation: invalidationStats(tallies),
    throughput: findings.throughput,
    latencyOverTime: findings.latencyOverTime,
    controlLatency: control.latency,
    markers: control.markers,
    markersOmitted: control.markersOmitted,
    faults: findings.faults,
    stale: stale.finish(),
    divergences: control.divergences,
    ...(deviceTlb === undefined ? {} : { deviceTlb }),
    ...(study === undefined ? {} : { disruption: study.finish() }),
    diagnostics: machine.diagnosticCounts(),
  };
}

function hardwareOf(job: JobSpec): JobHardware {
  const hardware = job.hardware as JobHardware;
  return job.study === undefined
    ? hardware
    : { ...hardware, config: withQueueVariant(hardware.config, job.study.queue) };
}

function kernelOf(job: JobSpec): KernelProfile {
  const kernel = job.kernel as KernelProfile;
  return job.study === undefined ? kernel : kernelForPolicy(kernel, job.study.policy);
}

/** [ps] Sum over units by TimePart. */
function sumTimes(units: readonly VtdUnit[]): bigint[] {
  return Object.values(TimePart).map((part) => units.reduce((sum, unit) => sum + unit.times.total(part), 0n));
}

function timeBreakdown(units: readonly VtdUnit[], boot: readonly bigint[], findings: JobFindings): TimeBreakdown {
  const sums = sumTimes(units).map((sum, part) => Number(sum - (boot[part] ?? 0n)));
  const part = (index: number): number => sums[index] ?? 0;
  const { account, busiestCpuTicks, firstTick, lastTick } = findings.control;
  const { first, last } = findings.span;
  return {
    windowPs: part(TimePart.window),
    linkPs: part(TimePart.link),
    iotlbHitPs: part(TimePart.iotlbHit),
    contextWalkPs: part(TimePart.contextWalk),
    pageWalkPs: part(TimePart.pageWalk),
    walkQueuePs: part(TimePart.walkQueue),
    memoryPs: part(TimePart.memory),
    ...(part(TimePart.deviceTlb) > 0 ? { deviceTlbPs: part(TimePart.deviceTlb) } : {}),
    ...(part(TimePart.pageRequest) > 0 ? { pageRequestPs: part(TimePart.pageRequest) } : {}),
    control: {
      iovaPs: account.iova,
      tablePs: account.table,
      submitPs: account.submit,
      waitPs: account.wait,
      lockPs: account.lock,
      otherPs: account.other,
      busiestCpuPs: busiestCpuTicks,
      activePs: Math.max(0, Math.max(last, lastTick) - Math.min(first, firstTick)),
    },
  };
}
