/** What a study asks of a job and what the job answers: plain data. Ticks are relative to the bundle's origin. */
import type { SwitchPolicy } from './policy.ts';

/**
 * Kinds of switch. Requests of a `mdev-access` switch are what the driver of a mediated device pins and copies by CPU;
 * those that the kernel refuses count as faulted.
 */
export const SWITCH_KINDS = [
  'legacy-container',
  'cdev-detach-attach',
  'cdev-replace',
  'pasid',
  'mdev-access',
  'injected',
] as const;

/** A name in {@link SWITCH_KINDS}. */
export type SwitchKind = (typeof SWITCH_KINDS)[number];

/**
 * Kinds that can be injected: the devices' RIDs or their PASIDs, mediated devices between IOASes, groups between containers.
 * Whether a RID is replaced or detached and attached is the policy's choice.
 */
export const INJECT_KINDS = ['rid', 'pasid', 'mdev', 'container'] as const;

/** What a device does when its requests fault in a switch: go on with the next one, or stop until it is over. */
export const ON_FAULT = ['continue', 'stop'] as const;

/** Switches added to a workload: one every so often, device after device. */
export interface Injection {
  /** [ns] */
  readonly everyNs: number;
  readonly kind: (typeof INJECT_KINDS)[number];
}

/** A change of the invalidation queue's timing, to see what the result depends on. */
export interface QueueVariant {
  readonly name: string;
  /** Every latency of the queue is multiplied by this. */
  readonly factor: number;
  /** [ns] Added to the doorbell: an exit to the hypervisor. */
  readonly trapNs: number;
}

/** How one job of a study replays. */
export interface StudySpec {
  readonly policy: SwitchPolicy;
  /** [ns] Time of user space between detach and attach; absent: as recorded, 0 where nothing was recorded. */
  readonly gapNs?: number | undefined;
  readonly inject?: Injection | undefined;
  /** Absent: `stop` under closed pacing, else `continue`. */
  readonly onFault?: (typeof ON_FAULT)[number] | undefined;
  readonly queue: QueueVariant;
  /** [ns] Looked at before and after the start of a switch. */
  readonly windowNs: number;
}

/** One switch, as its device saw it. Counts are of DMA requests. */
export interface SwitchOutcome {
  /** Control row; -1 = injected. */
  readonly row: number;
  readonly kind: SwitchKind;
  readonly device: string;
  /** 0 = requests without PASID. */
  readonly pasid: number;
  readonly unit: string;
  /** `SS>SS`, `FS>FS` ...: stages of the tables; `SW` = an IOAS accessed by software; `none` = blocked. */
  readonly transition: string;
  /** Whether the entries' layout lets hardware see one or the other only; null when the switch failed. */
  readonly layoutAllowsHitless: boolean | null;
  readonly oldDomainId: number;
  readonly newDomainId: number;
  /** [ps] First call's start, last call's end. */
  readonly startTick: number;
  readonly endTick: number;
  /** 0 or a negative errno of the call that installs the new table. */
  readonly result: number;
  /** Between start and end of the calls, by what translated them. */
  readonly servedOld: number;
  readonly servedNew: number;
  /** By an entry that is neither: words of both, or a table under the other's domain id. */
  readonly servedTorn: number;
  /** In the window after the start. */
  readonly faulted: number;
  /** Faulted after the call had returned, on pages that the new table does not map: not the switch's doing. */
  readonly unmapped: number;
  /** Slower than any of the requests just before the switch. */
  readonly delayed: number;
  /** After the call returned: still by the old table. Must be 0. */
  readonly staleAfterReturn: number;
  /** [ps] Arrival of the first faulted request to the end of the last, or until the device that had stopped went on. */
  readonly blackoutPs: number;
  /** [ps] How long the device had stopped. */
  readonly stoppedPs: number;
  /** [ps] How long the entry in memory was not present. */
  readonly absentPs: number;
  /** [ps] From the start of the call to the last request that the old table served. */
  readonly staleWindowPs: number;
  /** [ps] Slowest request of the window, less the median before the switch. */
  readonly worstAddedPs: number;
  /** [ps] Longest time between two completions around the switch, and before it. */
  readonly stallPs: number;
  readonly usualGapPs: number;
  /** Requests, time and page walks until the hit rate is back within 1 %; -1 = not seen in the window. */
  readonly refillRows: number;
  readonly refillPs: number;
  /** Requests that missed and memory reads of walks, beyond the rate before the switch. */
  readonly extraWalks: number;
  readonly extraWalkReads: number;
  readonly submissions: number;
  readonly descriptors: Readonly<Record<string, number>>;
  /** [ps] Of the calls: waiting for invalidations, for locks, and everything else. */
  readonly waitPs: number;
  readonly lockPs: number;
  readonly cpuPs: number;
  /** [bytes] Completed per bin before the switch (mean), and missing after it in the whole window. */
  readonly usualBinBytes: number;
  readonly lostBytes: number;
}

/** A step of a switch for the sequence diagram. */
export interface SwitchStep {
  /** [ps] From the start of the switch. */
  readonly fromTick: number;
  readonly toTick: number;
  readonly lane: 'call' | 'entry' | 'queue' | 'wait' | 'lock';
  readonly text: string;
}

/** Curves summed over switches, by bin from `-windowPs` to `+windowPs` around the start. */
export interface WindowCurves {
  /** [bytes] of the switched device or PASID, and of its whole unit. */
  readonly bytes: readonly number[];
  readonly unitBytes: readonly number[];
  /** [ps] Of the switched one: sum and greatest, and requests. */
  readonly latencySum: readonly number[];
  readonly latencyMax: readonly number[];
  readonly requests: readonly number[];
  readonly faults: readonly number[];
}

/** Everything a job has to say about its switches. */
export interface DisruptionResult {
  readonly policy: SwitchPolicy;
  readonly queue: string;
  readonly onFault: (typeof ON_FAULT)[number];
  readonly windowPs: number;
  readonly binPs: number;
  readonly switches: readonly SwitchOutcome[];
  /** Switches not listed, for their number. */
  readonly omitted: number;
  readonly curves: WindowCurves;
  /** Hits and requests by block of {@link REFILL_CURVE_ROWS} requests after the first that the new table served. */
  readonly refill: { readonly hits: readonly number[]; readonly rows: readonly number[] };
  /** Steps of the first switch that succeeded and of the first that failed. */
  readonly sequences: readonly { readonly switchIndex: number; readonly steps: readonly SwitchStep[] }[];
}

/** [requests] Of the switched device after which a hit rate is taken. */
export const REFILL_BLOCK_ROWS = 16;
/** [requests] Length of a block of the refill curve. */
export const REFILL_CURVE_ROWS = 4;
