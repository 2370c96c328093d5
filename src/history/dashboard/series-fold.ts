/** One metric of one case through the whole history, folded entry by entry; what is kept does not grow with it. */
import { type Direction, directionOf } from '../../report/metrics/direction.ts';
import { unitOf } from '../../report/metrics/unit.ts';
import { type EntryCase, gateFails, type NightlyEntry } from '../entry.ts';
import type { TrackedMetric } from '../track.ts';
import type { DashboardSeries, Moment } from './schema.ts';
import { trendOf } from './trend.ts';

/** Entries that charts show: the newest. */
export const SHOWN_ENTRIES = 400;

/** Begins the words of a mark about the configuration. */
export const CONFIGURATION_CHANGED = 'configuration changed: ';

type Point = DashboardSeries['points'][number];

/** Where a series stands in the plan. */
export interface SeriesIdentity extends TrackedMetric {
  readonly run: string;
  readonly case: string;
  readonly label: string;
}

/** The fold of one series. */
export class SeriesFold {
  readonly #identity: SeriesIdentity;
  readonly #direction: Direction;
  readonly #points: Point[] = [];
  readonly #marks: { entry: string; date: string; changes: string[] }[] = [];
  /** Values since the last change of the configuration. */
  #sinceChange: number[] = [];
  #previous: number | null = null;
  #current: number | null = null;
  #unchangedSince: Moment | null = null;
  #best: number | null = null;
  #bestEntry: Moment | null = null;

  constructor(identity: SeriesIdentity) {
    this.#identity = identity;
    this.#direction = directionOf(identity.metric);
  }

  /** Takes the next entry; `one`: the case in it, if it has it. */
  add(entry: NightlyEntry, one: EntryCase | undefined): void {
    const moment = { entry: entry.id, date: entry.date };
    const value = one?.metrics[this.#identity.metric] ?? null;
    this.#points.push({ ...moment, value, verdict: this.#verdict(entry) });
    if (this.#points.length > SHOWN_ENTRIES) this.#points.shift();
    if (one === undefined) return;
    this.#mark(moment, one, entry.tool_changed_from, entry.tool_version);
    if (value !== null) this.#value(moment, value);
  }

  /** What the dashboard says of it. */
  finish(): DashboardSeries {
    const newest = this.#points.at(-1)?.value ?? null;
    const previous = newest === null ? this.#current : this.#previous;
    const first = this.#points[0]?.entry ?? '';
    return {
      run: this.#identity.run,
      case: this.#identity.case,
      label: this.#identity.label,
      name: this.#identity.name,
      metric: this.#identity.metric,
      unit: unitOf(this.#identity.metric),
      direction: this.#direction,
      newest,
      previous,
      change_share: shareOf(newest, previous),
      best: this.#best,
      best_entry: this.#bestEntry,
      versus_best_share: shareOf(newest, this.#best),
      unchanged_since: this.#unchangedSince,
      trend: trendOf(this.#sinceChange),
      points: this.#points,
      marks: this.#marks.filter(({ entry }) => Number(entry) >= Number(first)),
    };
  }

  #verdict({ gates }: NightlyEntry): Point['verdict'] {
    const { case: key, metric } = this.#identity;
    // A gate of a case without a result has no metric: it is about all that is missing.
    const own = gates.filter((gate) => gate.case === key && (gate.metric === metric || gate.metric === null));
    const failed = own.filter(gateFails).map(({ verdict }) => verdict);
    return failed.includes('breach') ? 'breach' : failed.length > 0 ? 'unknown' : 'pass';
  }

  #mark(moment: Moment, { change }: EntryCase, toolBefore: string | null, toolVersion: string): void {
    const tool = toolBefore === null ? [] : [`tool changed: ${toolBefore} → ${toolVersion}`];
    const configuration =
      change.kind === 'configuration' ? [`${CONFIGURATION_CHANGED}${change.configuration.join(', ')}`] : [];
    if (configuration.length > 0) {
      // Numbers of two machines have no common best and no common trend.
      this.#sinceChange = [];
      this.#best = null;
      this.#bestEntry = null;
    }
    if (tool.length + configuration.length > 0) this.#marks.push({ ...moment, changes: [...configuration, ...tool] });
    if (this.#marks.length > SHOWN_ENTRIES) this.#marks.shift();
  }

  #value(moment: Moment, value: number): void {
    if (value !== this.#current || this.#unchangedSince === null) this.#unchangedSince = moment;
    this.#previous = this.#current;
    this.#current = value;
    this.#sinceChange.push(value);
    if (this.#sinceChange.length > SHOWN_ENTRIES) this.#sinceChange.shift();
    const best = this.#best;
    const better = best === null || (this.#direction === 'higher' ? value > best : value < best);
    if (this.#direction !== 'neutral' && better) {
      this.#best = value;
      this.#bestEntry = moment;
    }
  }
}

/** `value` less `base` over `base`; null where there is no such share. */
function shareOf(value: number | null, base: number | null): number | null {
  if (value === null || base === null) return null;
  if (value === base) return 0;
  return base === 0 ? null : (value - base) / Math.abs(base);
}
