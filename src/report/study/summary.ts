/** Switches of one policy in numbers: sums, and distributions by nearest rank over the switches themselves. */
import type { DisruptionResult, SwitchOutcome } from '../../replay/study/protocol.ts';
import { nsFromPs, ratio, sumRecords } from '../quantities.ts';

/** [ns] Distribution over switches. */
export interface SwitchDistribution {
  readonly count: number;
  readonly p50_ns: number | null;
  readonly p90_ns: number | null;
  readonly p99_ns: number | null;
  readonly max_ns: number | null;
  readonly mean_ns: number | null;
}

/** What a set of switches came to. Times are per switch, counts are sums. */
export interface SwitchSummary {
  readonly switches: number;
  readonly failed: number;
  /** Switches during which the device made no request. */
  readonly without_dma: number;
  /** Switches between types whose entries hardware can only see as old or new. */
  readonly hitless_by_layout: number;
  readonly served_old: number;
  readonly served_new: number;
  readonly served_torn: number;
  readonly faulted: number;
  readonly unmapped: number;
  readonly delayed: number;
  readonly stale_after_return: number;
  readonly switches_with_faults: number;
  readonly blackout: SwitchDistribution;
  readonly device_stopped: SwitchDistribution;
  readonly entry_absent: SwitchDistribution;
  readonly stale_window: SwitchDistribution;
  readonly worst_added_latency: SwitchDistribution;
  readonly stall: SwitchDistribution;
  readonly usual_gap: SwitchDistribution;
  readonly call: SwitchDistribution;
  readonly invalidation_wait: SwitchDistribution;
  readonly lock_wait: SwitchDistribution;
  readonly cpu: SwitchDistribution;
  readonly refill: SwitchDistribution;
  readonly refilled: number;
  readonly refill_requests_mean: number | null;
  readonly extra_walks: number;
  readonly extra_walk_reads: number;
  readonly submissions: number;
  readonly descriptors: Readonly<Record<string, number>>;
  /** [bytes] Not completed in the window, against the rate before. */
  readonly lost_bytes: number;
}

/** Sums and distributions of switches. */
export function summarize(switches: readonly SwitchOutcome[]): SwitchSummary {
  const sum = (of: (outcome: SwitchOutcome) => number): number => switches.reduce((total, each) => total + of(each), 0);
  const over = (of: (outcome: SwitchOutcome) => number): SwitchDistribution => distribution(switches.map(of));
  const refilled = switches.filter((each) => each.refillRows >= 0);
  return {
    switches: switches.length,
    failed: switches.filter((each) => each.result < 0).length,
    without_dma: switches.filter((each) => each.servedOld + each.servedNew + each.servedTorn + each.faulted === 0)
      .length,
    hitless_by_layout: switches.filter((each) => each.layoutAllowsHitless === true).length,
    served_old: sum((each) => each.servedOld),
    served_new: sum((each) => each.servedNew),
    served_torn: sum((each) => each.servedTorn),
    faulted: sum((each) => each.faulted),
    unmapped: sum((each) => each.unmapped),
    delayed: sum((each) => each.delayed),
    stale_after_return: sum((each) => each.staleAfterReturn),
    switches_with_faults: switches.filter((each) => each.faulted > 0).length,
    blackout: over((each) => each.blackoutPs),
    device_stopped: over((each) => each.stoppedPs),
    entry_absent: over((each) => each.absentPs),
    stale_window: over((each) => each.staleWindowPs),
    worst_added_latency: over((each) => each.worstAddedPs),
    stall: over((each) => each.stallPs),
    usual_gap: over((each) => each.usualGapPs),
    call: over((each) => Math.max(0, each.endTick - each.startTick)),
    invalidation_wait: over((each) => each.waitPs),
    lock_wait: over((each) => each.lockPs),
    cpu: over((each) => each.cpuPs),
    refill: distribution(refilled.map((each) => each.refillPs)),
    refilled: refilled.length,
    refill_requests_mean: ratio(
      refilled.reduce((total, each) => total + each.refillRows, 0),
      refilled.length,
    ),
    extra_walks: sum((each) => each.extraWalks),
    extra_walk_reads: sum((each) => each.extraWalkReads),
    submissions: sum((each) => each.submissions),
    descriptors: sumRecords(switches.map((each) => each.descriptors)),
    lost_bytes: sum((each) => each.lostBytes),
  };
}

/** Distribution of picosecond values. */
export function distribution(values: readonly number[]): SwitchDistribution {
  if (values.length === 0) return { count: 0, p50_ns: null, p90_ns: null, p99_ns: null, max_ns: null, mean_ns: null };
  const sorted = [...values].sort((a, b) => a - b);
  const at = (percent: number): number =>
    nsFromPs(sorted[Math.max(0, Math.ceil((percent * sorted.length) / 100) - 1)]!);
  return {
    count: sorted.length,
    p50_ns: at(50),
    p90_ns: at(90),
    p99_ns: at(99),
    max_ns: at(100),
    mean_ns: nsFromPs(sorted.reduce((total, value) => total + value, 0) / sorted.length),
  };
}

/** All switches of the shards of one policy. */
export function switchesOf(results: readonly DisruptionResult[]): SwitchOutcome[] {
  return results.flatMap(({ switches }) => switches);
}
