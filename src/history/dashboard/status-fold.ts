/** What the newest entry says, and since when. */
import { type EntryCase, type EntryGate, gateFails, type NightlyEntry } from '../entry.ts';
import type { DashboardStatus, Moment, RecentEntry } from './schema.ts';
import { statusSentence } from './status-sentence.ts';

/** Entries that the list of the last ones has. */
const LISTED_ENTRIES = 30;

/** The fold of all entries, oldest first. */
export class StatusFold {
  readonly #recent: RecentEntry[] = [];
  #failingSince = new Map<string, Moment>();
  #newest: NightlyEntry | undefined;
  #since: Moment | undefined;
  #lastPass: Moment | null = null;
  #entries = 0;

  /** Takes the next entry. */
  add(entry: NightlyEntry): void {
    const moment = { entry: entry.id, date: entry.date };
    if (this.#newest?.verdict !== entry.verdict) this.#since = moment;
    if (entry.verdict === 'pass') this.#lastPass = moment;
    const before = this.#failingSince;
    this.#failingSince = new Map(
      entry.gates.filter(gateFails).map((gate) => [gateKey(gate), before.get(gateKey(gate)) ?? moment]),
    );
    this.#newest = entry;
    this.#entries++;
    this.#recent.unshift(recentEntry(entry));
    if (this.#recent.length > LISTED_ENTRIES) this.#recent.pop();
  }

  get entries(): number {
    return this.#entries;
  }

  /** Newest first. */
  get recent(): RecentEntry[] {
    return this.#recent;
  }

  /** Status by the newest entry; null without one. `labels`: short names of its cases by key. */
  finish(labels: ReadonlyMap<string, string>): DashboardStatus | null {
    const entry = this.#newest;
    if (entry === undefined) return null;
    const status = {
      ...identityOf(entry),
      verdict: entry.verdict,
      since: this.#since!,
      last_pass: this.#lastPass,
      gates: gateCounts(entry.gates),
      failed_gates: entry.gates
        .filter(gateFails)
        .map((gate) => ({ ...gate, since: this.#failingSince.get(gateKey(gate))! })),
      failures: entry.failures,
      tool_changed_from: entry.tool_changed_from,
      configuration_changes: entry.cases
        .filter(({ change }) => change.kind === 'configuration')
        .map(({ key, change }) => ({ case: key, changes: change.configuration })),
      unexplained: unexplained(entry).map(({ key, change }) => ({
        case: key,
        against: change.against!,
        metrics: change.metrics,
      })),
    };
    return { ...status, sentence: statusSentence(status, labels) };
  }
}

function gateKey({ case: key, text, required }: EntryGate): string {
  return `${required ? 'require' : 'fail-on'} ${text} in ${key}`;
}

function identityOf({ id, date, label, commit, tool_version }: NightlyEntry) {
  return { entry: id, date, label, commit, tool_version };
}

function unexplained(entry: NightlyEntry): EntryCase[] {
  return entry.cases.filter(({ change }) => change.kind === 'unexplained');
}

function gateCounts(gates: readonly EntryGate[]): RecentEntry['gates'] {
  const of = (verdict: EntryGate['verdict']): number => gates.filter((gate) => gate.verdict === verdict).length;
  return { pass: of('pass'), breach: of('breach'), unknown: of('unknown'), first: of('first') };
}

function recentEntry(entry: NightlyEntry): RecentEntry {
  return {
    ...identityOf(entry),
    verdict: entry.verdict,
    gates: gateCounts(entry.gates),
    failed_gates: entry.gates.filter(gateFails).map(({ case: key, text, verdict }) => ({ case: key, text, verdict })),
    unexplained: unexplained(entry).reduce((sum, { change }) => sum + change.differing, 0),
  };
}
