/** Tables of a study. */
import { errnoName } from '../../errno.ts';
import type { SwitchOutcome } from '../../replay/study/protocol.ts';
import { figures, type Table, words } from '../document/block.ts';
import { formatBytes, formatCount, formatDuration, formatQuotient, formatShare, NOT_AVAILABLE } from '../format.ts';
import { compareText, nsFromPs, ratio } from '../quantities.ts';
import type { PolicyResult, SequenceOf } from './study-case.ts';
import { summarize } from './summary.ts';

/** Devices and PASIDs listed a policy. */
const MAX_LANES = 16;
/** Refused switches listed. */
const MAX_FAILED = 12;

/** What became of the requests. */
export function servedTable(policies: readonly PolicyResult[]): Table {
  return {
    kind: 'table',
    caption: 'DMAs during a switch, by what served them, and what happened to them in the window after its start',
    columns: [
      words('policy'),
      figures('switches'),
      figures('old', { wideOnly: true }),
      figures('new', { wideOnly: true }),
      figures('torn'),
      figures('faulted'),
      figures('unmapped', { wideOnly: true }),
      figures('delayed'),
      figures('stale'),
    ],
    rows: policies.map(({ policy, summary }) => [
      policy,
      formatCount(summary.switches),
      formatCount(summary.served_old),
      formatCount(summary.served_new),
      formatCount(summary.served_torn),
      formatCount(summary.faulted),
      formatCount(summary.unmapped),
      formatCount(summary.delayed),
      formatCount(summary.stale_after_return),
    ]),
  };
}

/** How long. */
export function timesTable(policies: readonly PolicyResult[]): Table {
  return {
    kind: 'table',
    caption: 'Times of a switch',
    columns: [
      words('policy'),
      figures('blackout p50'),
      figures('max'),
      figures('entry absent', { wideOnly: true }),
      figures('stale window'),
      figures('added latency', { wideOnly: true }),
      figures('stall'),
      figures('usual gap', { wideOnly: true }),
    ],
    rows: policies.map(({ policy, summary }) => [
      policy,
      formatDuration(summary.blackout.p50_ns),
      formatDuration(summary.blackout.max_ns),
      formatDuration(summary.entry_absent.max_ns),
      formatDuration(summary.stale_window.max_ns),
      formatDuration(summary.worst_added_latency.max_ns),
      formatDuration(summary.stall.max_ns),
      formatDuration(summary.usual_gap.p50_ns),
    ]),
  };
}

/** What software did for it, per switch. */
export function callTable(policies: readonly PolicyResult[]): Table {
  return {
    kind: 'table',
    caption: 'Work of the driver, mean per switch',
    columns: [
      words('policy'),
      figures('call'),
      figures('invalidation wait'),
      figures('lock wait', { wideOnly: true }),
      figures('CPU', { wideOnly: true }),
      figures('submissions'),
      words('descriptors', { wideOnly: true }),
    ],
    rows: policies.map(({ policy, summary }) => [
      policy,
      formatDuration(summary.call.mean_ns),
      formatDuration(summary.invalidation_wait.mean_ns),
      formatDuration(summary.lock_wait.mean_ns),
      formatDuration(summary.cpu.mean_ns),
      formatQuotient(ratio(summary.submissions, summary.switches)),
      Object.entries(summary.descriptors)
        .map(([kind, count]) => `${kind} ${formatQuotient(ratio(count, summary.switches))}`)
        .join(', ') || 'none',
    ]),
  };
}

/** Caches and data plane afterwards. */
export function refillTable(policies: readonly PolicyResult[]): Table {
  return {
    kind: 'table',
    caption: 'Refill and throughput, per switch',
    columns: [
      words('policy'),
      figures('refilled in'),
      figures('requests'),
      figures('walks'),
      figures('reads', { wideOnly: true }),
      figures('not refilled', { wideOnly: true }),
      figures('least bin'),
      figures('of the unit', { wideOnly: true }),
      figures('not completed', { wideOnly: true }),
    ],
    rows: policies.map(({ policy, summary, dip, unitDip }) => [
      policy,
      formatDuration(summary.refill.p50_ns),
      formatQuotient(summary.refill_requests_mean),
      formatQuotient(ratio(summary.extra_walks, summary.switches)),
      formatQuotient(ratio(summary.extra_walk_reads, summary.switches)),
      formatCount(summary.switches - summary.refilled),
      formatShare(dip),
      formatShare(unitDip),
      formatBytes(ratio(summary.lost_bytes, summary.switches)),
    ]),
  };
}

/** By device and PASID, the longest blackouts first. */
export function laneTable({ policy, switches }: PolicyResult): Table {
  const lanes = new Map<string, SwitchOutcome[]>();
  for (const each of switches) {
    const key = each.pasid === 0 ? each.device : `${each.device} pasid ${each.pasid}`;
    lanes.set(key, [...(lanes.get(key) ?? []), each]);
  }
  const rows = [...lanes.entries()]
    .map(([lane, own]) => ({ lane, summary: summarize(own) }))
    .sort((a, b) => (b.summary.blackout.max_ns ?? 0) - (a.summary.blackout.max_ns ?? 0) || compareText(a.lane, b.lane));
  return {
    kind: 'table',
    caption: `By device and PASID under ${policy}, longest blackout first`,
    columns: [
      words('device', { code: true }),
      figures('switches'),
      figures('faulted'),
      figures('blackout p50'),
      figures('max'),
      figures('stale window', { wideOnly: true }),
      figures('walks', { wideOnly: true }),
    ],
    rows: rows
      .slice(0, MAX_LANES)
      .map(({ lane, summary }) => [
        lane,
        formatCount(summary.switches),
        formatCount(summary.faulted),
        formatDuration(summary.blackout.p50_ns),
        formatDuration(summary.blackout.max_ns),
        formatDuration(summary.stale_window.max_ns),
        formatQuotient(ratio(summary.extra_walks, summary.switches)),
      ]),
    omitted: Math.max(0, rows.length - MAX_LANES),
    folded: true,
  };
}

/** By kind of switch and stages: where layouts decide. */
export function transitionTable(policies: readonly PolicyResult[]): Table {
  const rows = policies.flatMap(({ policy, switches }) => {
    const groups = new Map<string, SwitchOutcome[]>();
    for (const each of switches.filter(({ result }) => result >= 0)) {
      const key = `${each.kind}\n${each.transition}`;
      groups.set(key, [...(groups.get(key) ?? []), each]);
    }
    return [...groups.entries()]
      .sort(([a], [b]) => compareText(a, b))
      .map(([key, own]) => {
        const [kind, transition] = key.split('\n') as [string, string];
        const summary = summarize(own);
        return [
          policy,
          kind,
          transition.replace('>', ' → '),
          own[0]!.layoutAllowsHitless === true ? 'yes' : 'no',
          formatCount(summary.switches),
          formatCount(summary.faulted),
          formatDuration(summary.blackout.max_ns),
        ];
      });
  });
  return {
    kind: 'table',
    caption:
      'By kind of switch and stages of the tables; "one store" says whether one 128-bit store can make the change',
    columns: [
      words('policy'),
      words('kind', { wideOnly: true }),
      words('stages'),
      words('one store'),
      figures('switches', { wideOnly: true }),
      figures('faulted'),
      figures('blackout max'),
    ],
    rows,
  };
}

/** Switches that the kernel refused and what they disturbed all the same. */
export function failureTable(policies: readonly PolicyResult[]): Table {
  const failed = policies.flatMap(({ policy, switches }) =>
    switches.filter(({ result }) => result < 0).map((outcome) => ({ policy, outcome })),
  );
  const perPolicy = Math.max(1, Math.floor(MAX_FAILED / Math.max(1, policies.length)));
  const shown = policies.flatMap(({ policy }) => failed.filter((row) => row.policy === policy).slice(0, perPolicy));
  return {
    kind: 'table',
    caption: 'Refused switches',
    columns: [
      words('policy'),
      words('device', { code: true, wideOnly: true }),
      words('errno'),
      words('left'),
      figures('faulted'),
      figures('stall'),
      figures('usual gap', { wideOnly: true }),
      figures('descriptors'),
    ],
    rows: shown.map(({ policy, outcome }) => [
      policy,
      outcome.device,
      errnoName(outcome.result),
      leftWhere(outcome),
      formatCount(outcome.faulted),
      formatDuration(nsFromPs(outcome.stallPs)),
      formatDuration(nsFromPs(outcome.usualGapPs)),
      formatCount(Object.values(outcome.descriptors).reduce((sum, count) => sum + count, 0)),
    ]),
    omitted: failed.length - shown.length,
  };
}

function leftWhere({ transition }: SwitchOutcome): string {
  if (!transition.endsWith('>none')) return 'on its old table';
  return transition === 'none>none' ? 'as it was, without a table' : 'blocked';
}

/** Steps of one switch with their times. */
export function sequenceTable(policy: string, { outcome, steps }: SequenceOf): Table {
  return {
    kind: 'table',
    caption: `Steps under ${policy}: ${outcome.transition.replace('>', ' → ')} of ${outcome.device}${outcome.result < 0 ? `, refused with ${errnoName(outcome.result)}` : ''}`,
    columns: [figures('at'), figures('for'), words('where'), words('step')],
    rows: steps.map((step) => [
      formatDuration(nsFromPs(step.fromTick)),
      step.toTick === step.fromTick ? NOT_AVAILABLE : formatDuration(nsFromPs(step.toTick - step.fromTick)),
      step.lane,
      step.text,
    ]),
    folded: true,
  };
}

/** Blackouts under other latencies of the invalidation queue. */
export function sensitivityTable(policies: readonly PolicyResult[], variants: readonly PolicyResult[]): Table {
  const queues = ['half', 'profile', 'double', 'nested-guest'].filter((queue) =>
    [...policies, ...variants].some((result) => result.queue === queue),
  );
  return {
    kind: 'table',
    caption: 'Mean blackout by latency of the invalidation queue',
    columns: [words('policy'), ...queues.map((queue) => figures(queue))],
    rows: policies.map(({ policy }) => [
      policy,
      ...queues.map((queue) => {
        const found = [...policies, ...variants].find((result) => result.policy === policy && result.queue === queue);
        return formatDuration(found?.summary.blackout.mean_ns ?? null);
      }),
    ]),
  };
}
