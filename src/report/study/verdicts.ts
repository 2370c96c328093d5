/** One sentence a policy, and whether the order of the policies is what their steps lead one to expect. */
import { errnoName } from '../../errno.ts';
import { formatCount, formatDuration, plural } from '../format.ts';
import type { PolicyResult, StudyCase } from './study-case.ts';

/** What a policy did, in one sentence. */
export function verdictOf(result: PolicyResult): string {
  const { policy, summary } = result;
  if (summary.switches === 0) return `${policy}: no switch happened.`;
  const parts: string[] = [];
  const idle = summary.without_dma === 0 ? '' : ` (${formatCount(summary.without_dma)} met no DMA)`;
  const switches = `${plural(summary.switches, 'switch', 'switches')}${idle}`;
  if (summary.faulted === 0) {
    parts.push(`no DMA faulted in ${switches}`);
  } else {
    const blackout = `blackout ${formatDuration(summary.blackout.p50_ns)} median, ${formatDuration(summary.blackout.max_ns)} worst`;
    parts.push(`${plural(summary.faulted, 'DMA')} faulted in ${switches}, ${blackout}`);
  }
  if (summary.served_torn > 0) parts.push(`${plural(summary.served_torn, 'DMA')} went through a torn entry`);
  parts.push(`old table in use up to ${formatDuration(summary.stale_window.max_ns)} after the call began`);
  if (summary.stale_after_return > 0) {
    const were = summary.stale_after_return === 1 ? 'was' : 'were';
    parts.push(
      `${plural(summary.stale_after_return, 'DMA')} ${were} still translated by it after the call had returned`,
    );
  }
  parts.push(`${formatDuration(summary.worst_added_latency.max_ns)} worst added latency`);
  return `${policy}: ${parts.join('; ')}.${failureOf(result)}`;
}

function failureOf({ switches }: PolicyResult): string {
  const failed = switches.filter(({ result }) => result < 0);
  if (failed.length === 0) return '';
  const names = [...new Set(failed.map(({ result }) => errnoName(result)))].join(', ');
  const nowhere = failed.filter(({ transition }) => transition === 'none>none').length;
  const blocked = failed.filter(({ transition }) => transition.endsWith('>none')).length - nowhere;
  const faulted = failed.reduce((sum, each) => sum + each.faulted, 0);
  const left =
    nowhere === failed.length
      ? 'the device had no table before and none after'
      : blocked === 0
        ? faulted === 0
          ? 'the device kept its old table and no DMA faulted'
          : `the device kept its old table, yet ${plural(faulted, 'DMA')} faulted`
        : `${formatCount(blocked)} left the device blocked: ${plural(faulted, 'DMA')} faulted in their windows`;
  return ` ${plural(failed.length, 'switch was', 'switches were')} refused (${names}); ${left}.`;
}

/** Pairs of policies whose blackouts must not be the other way round, best first. */
const ORDER = ['make-before-break', 'entry-sync', 'clear-then-update', 'detach-attach'] as const;

/** The expected order of blackouts and whether it was seen; undefined when fewer than two of its policies ran. */
export function orderVerdict(study: StudyCase): { readonly holds: boolean; readonly text: string } | undefined {
  const ran = ORDER.flatMap(
    (name) => study.policies.find(({ policy, summary }) => policy === name && summary.switches > 0) ?? [],
  );
  if (ran.length < 2) return undefined;
  const mean = (result: PolicyResult): number => result.summary.blackout.mean_ns ?? 0;
  const holds = ran.every((result, i) => i === 0 || mean(ran[i - 1]!) <= mean(result));
  const list = ran.map((result) => `${result.policy} ${formatDuration(mean(result))}`).join(holds ? ' ≤ ' : ', ');
  return { holds, text: `Mean blackout a switch: ${list}.${holds ? '' : ' The expected order does not hold here.'}` };
}
