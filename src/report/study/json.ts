/** `study.json`: everything a study found, with units in key names. Keys are written in a fixed order. */
import { errnoName } from '../../errno.ts';
import type { RunResult } from '../../replay/protocol.ts';
import { REFILL_CURVE_ROWS, type SwitchOutcome } from '../../replay/study/protocol.ts';
import { BINS_PER_SIDE } from '../../replay/study/window-curves.ts';
import { nsFromPs } from '../quantities.ts';
import { modelCardSection } from '../sections/model-card.ts';
import { STUDY_LIMITS, type StudyDocument } from './document.ts';
import type { PolicyResult } from './study-case.ts';
import { orderVerdict, verdictOf } from './verdicts.ts';

/** Version of the document. */
export const STUDY_SCHEMA_VERSION = 1;

/** The study as JSON text. */
export function studyJson(run: RunResult, { cases }: StudyDocument): string {
  const document = {
    schemaVersion: STUDY_SCHEMA_VERSION,
    kind: 'study',
    tool_version: run.toolVersion,
    complete: run.complete,
    missing: run.missing,
    failures: run.failures,
    cases: cases.map((study) => ({
      workload: study.workload,
      hardware_profile: study.hardwareProfile,
      kernel_profile: study.kernelProfile,
      pacing: study.pacing,
      on_fault: study.onFault,
      window_ns: nsFromPs(study.windowPs),
      bin_ns: nsFromPs(study.binPs),
      bins_before_start: BINS_PER_SIDE,
      refill_block_requests: REFILL_CURVE_ROWS,
      order: orderVerdict(study) ?? null,
      policies: study.policies.map((result) => ({ ...policyJson(result), ...details(result) })),
      sensitivity: study.variants.map(policyJson),
    })),
    limits: STUDY_LIMITS,
    model_card: modelCardSection(run.profiles),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function policyJson(result: PolicyResult): object {
  const { policy, queue, dmaRows, summary, dip, unitDip, lintStale, diagnostics } = result;
  return {
    policy,
    queue,
    verdict: verdictOf(result),
    dma_requests: dmaRows,
    lint_stale: lintStale,
    ...summary,
    least_bin_share: dip,
    least_unit_bin_share: unitDip,
    diagnostics,
  };
}

function details({ curves, refill, success, failure, switches }: PolicyResult): object {
  return {
    curves: {
      bytes: curves.bytes,
      unit_bytes: curves.unitBytes,
      latency_sum_ns: curves.latencySum.map(nsFromPs),
      latency_max_ns: curves.latencyMax.map(nsFromPs),
      requests: curves.requests,
      faults: curves.faults,
    },
    refill_curve: refill,
    sequences: [success, failure].flatMap((sequence) =>
      sequence === undefined
        ? []
        : [
            {
              device: sequence.outcome.device,
              result: sequence.outcome.result,
              steps: sequence.steps.map(({ fromTick, toTick, lane, text }) => ({
                from_ns: nsFromPs(fromTick),
                to_ns: nsFromPs(toTick),
                lane,
                text,
              })),
            },
          ],
    ),
    switches: switches.map(switchJson),
  };
}

function switchJson(each: SwitchOutcome): object {
  return {
    control_row: each.row < 0 ? null : each.row,
    kind: each.kind,
    device: each.device,
    pasid: each.pasid,
    unit: each.unit,
    transition: each.transition,
    one_store_suffices: each.layoutAllowsHitless,
    old_domain_id: each.oldDomainId,
    new_domain_id: each.newDomainId,
    start_ns: nsFromPs(each.startTick),
    end_ns: nsFromPs(each.endTick),
    result: each.result < 0 ? `-${errnoName(each.result)}` : each.result,
    served_old: each.servedOld,
    served_new: each.servedNew,
    served_torn: each.servedTorn,
    faulted: each.faulted,
    unmapped: each.unmapped,
    delayed: each.delayed,
    stale_after_return: each.staleAfterReturn,
    blackout_ns: nsFromPs(each.blackoutPs),
    device_stopped_ns: nsFromPs(each.stoppedPs),
    entry_absent_ns: nsFromPs(each.absentPs),
    stale_window_ns: nsFromPs(each.staleWindowPs),
    worst_added_latency_ns: nsFromPs(each.worstAddedPs),
    stall_ns: nsFromPs(each.stallPs),
    usual_gap_ns: nsFromPs(each.usualGapPs),
    refill_requests: each.refillRows < 0 ? null : each.refillRows,
    refill_ns: each.refillRows < 0 ? null : nsFromPs(each.refillPs),
    extra_walks: each.extraWalks,
    extra_walk_reads: each.extraWalkReads,
    submissions: each.submissions,
    descriptors: each.descriptors,
    invalidation_wait_ns: nsFromPs(each.waitPs),
    lock_wait_ns: nsFromPs(each.lockPs),
    cpu_ns: nsFromPs(each.cpuPs),
    usual_bin_bytes: each.usualBinBytes,
    lost_bytes: each.lostBytes,
  };
}
