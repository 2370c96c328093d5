/** The status of the newest entry in a few sentences. */

import { metricChange } from '../../report/document/metric-words.ts';
import { plural } from '../../report/format.ts';
import { formatMetric } from '../../report/metrics/direction.ts';
import type { EntryGate } from '../entry.ts';
import type { DashboardStatus, Moment } from './schema.ts';
import { momentText } from './words.ts';

type FailedGate = DashboardStatus['failed_gates'][number];

/** Failed gates that the sentence names. */
const NAMED = 2;

/** The words; `labels`: short names of cases by key. */
export function statusSentence(status: Omit<DashboardStatus, 'sentence'>, labels: ReadonlyMap<string, string>): string {
  const parts = [verdictSentence(status, labels), firstSentence(status), unexplainedSentence(status)];
  if (status.tool_changed_from !== null) {
    parts.push(`The tool changed from ${status.tool_changed_from} to ${status.tool_version}.`);
  }
  if (status.configuration_changes.length > 0) {
    parts.push(`The configuration of ${plural(status.configuration_changes.length, 'case')} changed.`);
  }
  return parts.filter((part) => part !== '').join(' ');
}

function verdictSentence(status: Omit<DashboardStatus, 'sentence'>, labels: ReadonlyMap<string, string>): string {
  const { verdict, since, gates, last_pass: lastPass } = status;
  const entry = momentText(status);
  const all = gates.pass + gates.breach + gates.unknown + gates.first;
  const failed = gates.breach + gates.unknown;
  switch (verdict) {
    case 'pass': {
      if (all === 0) return `PASS: entry ${entry} is complete; the plan has no thresholds.`;
      // A first night, whose gates are all about changes.
      if (gates.pass === 0) return `PASS: entry ${entry} is complete.`;
      const row = since.entry === status.entry ? '' : `, as every entry since ${momentText(since)} does`;
      const passed = gates.pass === 1 ? gatesOf(1, all) : `all ${plural(gates.pass, 'gate')}`;
      return `PASS: entry ${entry} passes ${passed}${row}.`;
    }
    case 'fail':
      return `FAIL: entry ${entry} fails ${gatesOf(failed, all)}: ${failedGates(status, labels)}. ${passText(lastPass)}`;
    case 'incomplete': {
      const jobs = plural(status.failures.length, 'job');
      const gone = `INCOMPLETE: ${jobs} of entry ${entry} failed`;
      const rest = failed === 0 ? '.' : `, and ${gatesOf(failed, all)}: ${failedGates(status, labels)}.`;
      return `${gone}${rest} ${passText(lastPass)}`;
    }
  }
}

/** `2 of 8 gates` of an entry. */
function gatesOf(count: number, all: number): string {
  return all === 1 ? 'its only gate' : `${count} of ${plural(all, 'gate')}`;
}

/** Failed gates, those of several cases as one. */
function failedGates({ failed_gates: failed }: Omit<DashboardStatus, 'sentence'>, labels: ReadonlyMap<string, string>) {
  const texts = [...new Set(failed.map(({ text }) => text))];
  const named = texts.slice(0, NAMED).map((text) => {
    const [first, ...others] = failed.filter((gate) => gate.text === text) as [FailedGate, ...FailedGate[]];
    const where = others.length > 0 ? `${others.length + 1} cases` : (labels.get(first.case) ?? first.case);
    const since = [first, ...others].map((gate) => gate.since).sort((x, y) => Number(x.entry) - Number(y.entry))[0]!;
    const seen = others.length > 0 ? '' : `${seenText(first)}, `;
    return `${text} in ${where} (${seen}since entry ${Number(since.entry)})`;
  });
  const more = texts.length - named.length;
  return `${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

/** What a gate saw. */
export function seenText({ verdict, metric, value, base }: EntryGate): string {
  if (metric === null) return 'no result';
  const seen = formatMetric(metric, value);
  const change =
    base === null || value === null ? '' : ` from ${formatMetric(metric, base)}, ${metricChange(metric, value, base)}`;
  return `${verdict === 'unknown' ? 'unknown: ' : ''}${seen}${change}`;
}

function passText(lastPass: Moment | null): string {
  return lastPass === null ? 'No entry has passed.' : `The last entry that passed is ${momentText(lastPass)}.`;
}

function firstSentence({ gates }: Omit<DashboardStatus, 'sentence'>): string {
  if (gates.first === 0) return '';
  const more = gates.pass + gates.breach + gates.unknown === 0 ? '' : 'more ';
  return `${plural(gates.first, `${more}gate`)} about a change ${gates.first === 1 ? 'has' : 'have'} no earlier entry to be held against.`;
}

function unexplainedSentence({ unexplained }: Omit<DashboardStatus, 'sentence'>): string {
  if (unexplained.length === 0) return '';
  const metrics = unexplained.reduce((sum, one) => sum + one.metrics.length, 0);
  return `UNEXPLAINED: ${plural(metrics, 'metric')} of ${plural(unexplained.length, 'case')} changed although profiles, workload and tool version are the same.`;
}
