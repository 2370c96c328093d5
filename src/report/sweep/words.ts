/** What a sweep found, in sentences. */
import { formatChange, metricName, metricValue } from '../document/metric-words.ts';
import { capital, formatCount, formatQuotient, plural } from '../format.ts';
import { basisMeaning, basisTag } from '../sections/model-card.ts';
import { LEAST_GAIN, otherPace } from './effects.ts';
import type { SweepCaseModel, SweepParamModel, SweepPlateau, SweepPointModel, SweepRanked } from './schema.ts';
import { AS_RECORDED, changeText, faultsMore } from './series.ts';

/** Smaller changes are not told. */
const LEAST_SHOWN = 0.001;

/** Which change helps most, and by what. */
export function headline(one: SweepCaseModel, grid: boolean): string {
  const { base, ranking, points, ranked_by: metric } = one;
  if (base.metrics === null) return 'The profile as it is has no result: nothing can be compared with it.';
  const noun = grid ? 'combination' : 'change';
  const changed = points.filter(({ same_as: same }) => same !== 'profile');
  const known = changed.filter(({ status }) => status === 'ok');
  const lost = changed.length - known.length;
  if (changed.length === 0) return 'Every value is what the profile has: there is nothing to compare it with.';
  if (known.length === 0) return `No ${noun} has a result.`;
  const unknown = lost === 0 ? '' : ` (${formatCount(lost)} more ${lost === 1 ? 'has' : 'have'} no result)`;
  const tried = `${plural(known.length, noun)}${unknown}`;
  const only = known.length === 1 ? `The only ${noun}${unknown}` : undefined;
  const [first] = ranking;
  if (first === undefined) {
    const none = only === undefined ? `Of ${tried} none can be ranked` : `${only} cannot be ranked`;
    return `${none}${unrankedText(known, one)}.`;
  }
  const best = `\`${changeText(first.changes)}\``;
  const asItIs = metricValue(metric, base.metrics[metric]);
  if (!first.helps) {
    const least = `by ${percent(LEAST_GAIN)} or more: ${metricName(metric)} is ${asItIs} as it is, and ${metricValue(metric, first.value)} with`;
    return only === undefined
      ? `None of ${tried} helps ${least} the best of them, ${best}.`
      : `${only}, ${best}, does not help ${least} it.`;
  }
  const next = ranking.slice(1).filter(({ helps }) => helps);
  const then = next.length === 0 ? '' : ` Next: ${next.slice(0, 3).map(shortly).join(', ')}.`;
  const gain = gainText(first, base.metrics[metric]);
  return only === undefined ? `Of ${tried} ${best} helps most: ${gain}.${then}` : `${only}, ${best}, helps: ${gain}.`;
}

/** Why none of `points` is ranked; nothing where that is not known. */
function unrankedText(points: readonly SweepPointModel[], { base, params, ranked_by: metric }: SweepCaseModel): string {
  const paced = points.filter((point) => otherPace(point, params));
  const faulting = points.filter((point) => !paced.includes(point) && faultsMore(point.metrics, base.metrics));
  const unmeasured = points.filter(
    (point) => !paced.includes(point) && !faulting.includes(point) && (point.metrics?.[metric] ?? null) === null,
  );
  const reasons = [
    { count: paced.length, all: 'another pacing asks another question', some: 'another pacing' },
    {
      count: faulting.length,
      all: 'more DMA faults than in the base',
      some: 'more DMA faults than in the base',
    },
    { count: unmeasured.length, all: `${metricName(metric)} is not known`, some: `unknown ${metricName(metric)}` },
  ].filter(({ count }) => count > 0);
  if (reasons.length === 0) return '';
  const [reason] = reasons;
  if (reason?.count === points.length) return `: ${reason.all}`;
  return `: ${reasons.map(({ count, some }) => `${formatCount(count)} with ${some}`).join(', ')}`;
}

function gainText(ranked: SweepRanked, base: number | null): string {
  const { metric, value, ratio_to_base: ratio } = ranked;
  const other = metric === 'throughput_bytes_per_s' ? 'dma_latency_mean_ns' : 'throughput_bytes_per_s';
  const otherRatio = metric === 'throughput_bytes_per_s' ? ranked.dma_latency_mean_ratio : ranked.throughput_ratio;
  const same = otherRatio === null || Math.abs(otherRatio - 1) < LEAST_SHOWN;
  const beside = same ? '' : `, ${metricName(other)} ${formatChange(otherRatio - 1)}`;
  return `${metricName(metric)} ${metricValue(metric, base)} → ${metricValue(metric, value)} (${formatChange(ratio - 1)})${beside}`;
}

function shortly({ changes, ratio_to_base: ratio }: SweepRanked): string {
  return `\`${changeText(changes)}\` (${formatChange(ratio - 1)})`;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}

/** What one parameter does, where more of it stops helping, and how much of it is not known. */
export function paramAnswer(param: SweepParamModel, { base, points, ranked_by: metric }: SweepCaseModel): string {
  const own = points.filter(({ changes }) => changes.some(({ path }) => path === param.path));
  const missing = own.filter(({ status }) => status !== 'ok').length;
  if (missing === own.length) return 'No point of it has a result.';
  const unknown =
    missing === 0 ? '' : ` ${missing} of ${plural(own.length, 'point')} ${missing === 1 ? 'has' : 'have'} no result.`;
  const faulting = own.filter(({ metrics }) => faultsMore(metrics, base.metrics)).length;
  const which =
    own.length === 1
      ? 'Its only point is'
      : `${faulting} of ${plural(own.length, 'point')} ${faulting === 1 ? 'is' : 'are'}`;
  const left = faulting === 0 ? '' : ` ${which} left out: more DMA faults there than in the base.`;
  return `${knownAnswer(param, metric)}${unknown}${left}`;
}

function knownAnswer(param: SweepParamModel, metric: SweepCaseModel['ranked_by']): string {
  const effect = param.effects.find((found) => found.metric === metric)!;
  if (effect.min === null || effect.max === null) return `Nothing is known of ${metricName(metric)}.`;
  if (effect.ratio === null) return `There is nothing to compare ${metricValue(metric, effect.min)} with.`;
  if (effect.ratio === 1) {
    const others = param.effects.filter(({ ratio }) => ratio !== null && ratio > 1);
    const moved =
      others.length === 0
        ? 'nor anything else that is compared'
        : `it moves ${others.map((one) => metricName(one.metric)).join(', ')}`;
    return `Does not move ${metricName(metric)} (${metricValue(metric, effect.min)}); ${moved}.`;
  }
  if (effect.ratio - 1 < LEAST_SHOWN) {
    return `Hardly moves ${metricName(metric)}: ${metricValue(metric, effect.min)}, within ${percent(LEAST_SHOWN)} at every value.`;
  }
  const spread = `${capital(metricName(metric))} from ${metricValue(metric, effect.min)} ${at(effect.min_at)} to ${metricValue(metric, effect.max)} ${at(effect.max_at)}, a factor of ${factor(effect.ratio)}.`;
  if (effect.others.length > 0) return `Matters most with \`${changeText(effect.others)}\`. ${spread}`;
  const plateau = param.diminishing_returns;
  return plateau === null ? spread : `${spread} ${plateauText(plateau)}`;
}

function at(value: string | null): string {
  return value === null || value === AS_RECORDED ? AS_RECORDED : `at ${value}`;
}

function plateauText({
  metric,
  value,
  value_metric: found,
  side,
  best,
  best_at: bestAt,
  within_share: share,
}: SweepPlateau): string {
  const within = `within ${percent(share)} of the best`;
  if (side === 'any') return `Every value is ${within}.`;
  const near =
    value === bestAt
      ? 'the best itself'
      : `${metricValue(metric, found)} against ${metricValue(metric, best)} at ${bestAt}`;
  return `Diminishing returns: ${value} is the ${side} value ${within} (${near}).`;
}

/** A ratio of at least 1 with the digits it needs. */
export function factor(ratio: number | null): string {
  if (ratio === null) return '–';
  return ratio < 1.1 ? ratio.toFixed(3) : formatQuotient(ratio);
}

/** What the profile has, and what that rests on. */
export function ownText({ own_value: value, unit, kind }: SweepParamModel): string {
  if (value === null) return kind === 'scenario' ? 'as recorded' : 'left out';
  return `${value} ${unit}`.trim();
}

/** Basis and source of the profile's own number. */
export function basisText({ basis, source, is_assumption: assumption }: SweepParamModel): string {
  if (basis === null) return 'no number: it says how the trace is replayed';
  const meaning = assumption ? 'ASSUMPTION' : basisMeaning(basis);
  const from = (source ?? '').replace(/^ASSUMPTION: /, '');
  return from === '' ? meaning : `${meaning}: ${from}`;
}

const BASIS_WORDS: Readonly<Record<string, string>> = {
  M: 'measured',
  P: 'published',
  D: 'documented',
  S: 'specified',
  X: 'derived',
  R: 'recalled',
};

/** What the profile's own number is, in a word. */
export function basisWord({ basis, is_assumption: assumption }: SweepParamModel): string {
  if (basis === null) return 'a scenario';
  return assumption ? 'ASSUMPTION' : (BASIS_WORDS[basisTag(basis)] ?? basis);
}

/** How many of the swept numbers are assumptions. */
export function assumptionText(params: readonly SweepParamModel[]): string {
  const numbers = params.filter(({ basis }) => basis !== null);
  const assumed = numbers.filter(({ is_assumption: assumption }) => assumption).length;
  if (assumed === 0) return 'no swept number is an assumption in the profile';
  if (numbers.length === 1) return 'the swept number is an assumption in the profile';
  return `${formatCount(assumed)} of ${plural(numbers.length, 'swept number')} ${assumed === 1 ? 'is an assumption' : 'are assumptions'} in the profile`;
}

/** How many of the points have a result. */
export function finishedText({ points }: SweepCaseModel): string {
  const done = points.filter(({ status }) => status === 'ok').length;
  return done === points.length ? 'all replayed' : `${formatCount(done)} replayed`;
}

/** Label of a point in a table: the profile's own value is marked. */
export function valueLabel(value: string, own: boolean): string {
  if (!own) return value;
  return value === AS_RECORDED ? 'profile' : `${value} (profile)`;
}
