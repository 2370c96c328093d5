/** Gates in words: one sentence a threshold, with value, limit and why it is there. */
import type { Check } from '../document/block.ts';
import { NOT_AVAILABLE, plural } from '../format.ts';
import { formatLimit } from '../metrics/condition.ts';
import { formatMetric } from '../metrics/direction.ts';
import type { GateRow } from './schema.ts';

const MARKS = { pass: '✓', breach: '✗', unknown: '?' } as const;

/** A gate as a line of the list; `where` names the case when there are several. */
export function gateCheck(gate: GateRow, where = ''): Check {
  return { mark: MARKS[gate.verdict], text: gateSentence(gate, where) };
}

/** A gate in a sentence. */
export function gateSentence(gate: GateRow, where = ''): string {
  const place = where === '' ? '' : ` in ${where}`;
  const because = gate.because === null || gate.verdict === 'pass' ? '' : ` ${sentenceOf(gate.because)}`;
  if (gate.verdict === 'unknown') {
    return `\`${gate.condition}\` cannot be evaluated${place}: ${gate.unknown_because}.${because}`;
  }
  const holds = (gate.must === 'hold') === (gate.verdict === 'pass');
  const is = gate.must === 'hold' ? (holds ? 'holds' : 'does not hold') : holds ? 'is met' : 'is not met';
  return `\`${gate.condition}\` ${is}${place}: ${observation(gate)}; ${limitOf(gate)}.${because}`;
}

/** The gates of a comparison: conditions that no case breaches take one line each. */
export function gateChecks(gates: readonly GateRow[], titleOf: (key: string | null) => string): Check[] {
  const conditions = [...new Set(gates.map(({ condition, must }) => `${must} ${condition}`))];
  return conditions.flatMap((key) => {
    const own = gates.filter(({ condition, must }) => `${must} ${condition}` === key);
    if (own.length === 1) return [gateCheck(own[0]!)];
    const passed = own.filter(({ verdict }) => verdict === 'pass');
    const others = own.filter(({ verdict }) => verdict !== 'pass');
    return [
      ...others.map((gate) => gateCheck(gate, titleOf(gate.case))),
      ...(passed.length === 0 ? [] : [passedCheck(passed[0]!, passed.length, others.length)]),
    ];
  });
}

function passedCheck({ condition, must }: GateRow, passed: number, others: number): Check {
  const is = must === 'hold' ? 'holds' : 'is not met';
  const rest = others === 0 ? '' : 'other ';
  return { mark: '✓', text: `\`${condition}\` ${is} in ${plural(passed, `${rest}case`)}.` };
}

/** How many gates there are of each verdict: "2 of 7 gates are breached". A gate is a threshold in one case. */
export function gateTally(gates: readonly GateRow[], noun = 'gate'): string {
  const count = (verdict: GateRow['verdict']): number => gates.filter((gate) => gate.verdict === verdict).length;
  const [breached, unknown] = [count('breach'), count('unknown')];
  const all = plural(gates.length, noun);
  if (breached + unknown === 0) return gates.length === 1 ? `1 ${noun} is kept` : `all ${all} are kept`;
  const parts = [
    ...(breached === 0 ? [] : [`${breached} of ${all} ${breached === 1 ? 'is' : 'are'} breached`]),
    ...(unknown === 0 ? [] : [`${unknown} of ${all} cannot be evaluated`]),
  ];
  return parts.join(', ');
}

function observation(gate: GateRow): string {
  const { against, metric, value, base, observed } = gate;
  if (against === 'value') return formatMetric(metric, value);
  const both = `${formatMetric(metric, value)} against ${formatMetric(metric, base)}`;
  if (observed === null) return `${both}, from nothing`;
  return `${both}, ${observed === 0 ? 'no change' : seen(gate, observed)}`;
}

/** The limit, and on which side of it the value is where both read the same. */
function limitOf(gate: GateRow): string {
  const { against, observed, limit, metric } = gate;
  if (limit === null) return `limit ${NOT_AVAILABLE}`;
  const text = formatLimit({ against, limit }, metric);
  if (observed === null || observed === limit || seen(gate, observed) !== text) return `limit ${text}`;
  return `limit ${text} (just ${observed < limit ? 'below' : 'above'} it)`;
}

/** What the condition looked at, written as its limit is. */
function seen({ against, metric }: GateRow, observed: number): string {
  return formatLimit({ against, limit: observed }, metric);
}

/** A reason as a sentence of its own. */
function sentenceOf(text: string): string {
  const [first = '', ...rest] = text;
  return `${first.toUpperCase()}${rest.join('')}`.replace(/[^.!?]$/, '$&.');
}
