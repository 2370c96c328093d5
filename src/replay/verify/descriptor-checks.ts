/**
 * `descriptors`: what the modelled driver submitted against the recorded submissions.
 *
 * In order (strict, caching mode, user-space drivers): all four words, exactly in order on each CPU. Two submissions of
 * different CPUs may swap when the calls that made them overlap in time; such swaps are counted. Lazy: the flush queue
 * decides when, so kinds per domain must agree in number within max(2, 2 %), and no page may come back before its flush.
 */
import { descriptorKind } from '../../hw/vtd/invalidation.ts';
import { CheckCounter, type CheckResult } from './result.ts';

/** One descriptor of either side. */
export interface SubmittedDescriptor {
  readonly words: readonly [bigint, bigint, bigint, bigint];
  /** CPU of the call. */
  readonly cpu: number;
  /** Sequence where the call began to take effect, and where the descriptor was submitted. */
  readonly fromSequence: number;
  readonly atSequence: number;
}

/** Interrupt-entry descriptors have no modelled counterpart: interrupt remapping is not part of DMA. */
export function isInterruptEntry(type: string): boolean {
  return type === 'iec_inv';
}

/** Compares in order. `apart` counts what was left out. */
export function compareInOrder(
  recorded: readonly SubmittedDescriptor[],
  modelled: readonly SubmittedDescriptor[],
  apart: Readonly<Record<string, number>>,
): CheckResult {
  const counter = new CheckCounter();
  const queues = new Map<number, number[]>();
  for (const [index, { cpu }] of modelled.entries()) {
    const queue = queues.get(cpu);
    if (queue === undefined) queues.set(cpu, [index]);
    else queue.push(index);
  }
  const taken = new Map<number, number>();
  const order: { readonly index: number; readonly recorded: SubmittedDescriptor }[] = [];
  for (const [index, descriptor] of recorded.entries()) {
    const at = taken.get(descriptor.cpu) ?? 0;
    const modelIndex = queues.get(descriptor.cpu)?.[at];
    taken.set(descriptor.cpu, at + 1);
    const model = modelIndex === undefined ? undefined : modelled[modelIndex];
    const agrees = model !== undefined && sameWords(model.words, descriptor.words);
    counter.compare(
      agrees,
      () =>
        `submission ${index} (sequence ${descriptor.atSequence}, cpu ${descriptor.cpu}): recorded ${formatWords(descriptor.words)}, modelled ${model === undefined ? 'none' : formatWords(model.words)}`,
    );
    if (agrees && modelIndex !== undefined) order.push({ index: modelIndex, recorded: descriptor });
  }
  const surplus = Math.max(0, modelled.length - recorded.length);
  if (surplus > 0) counter.diverge(() => `the model submitted ${surplus} descriptors more than were recorded`);
  const { reordered, impossible } = countSwaps(order);
  if (impossible > 0) counter.diverge(() => `${impossible} submissions swapped although their calls do not overlap`);
  const pass = counter.matched === counter.total && surplus === 0 && impossible === 0;
  return counter.result({ pass, reordered, ...(Object.keys(apart).length > 0 ? { apart } : {}) });
}

/** Submissions that come earlier on the recorded side than one the model made before them. */
function countSwaps(order: readonly { readonly index: number; readonly recorded: SubmittedDescriptor }[]): {
  readonly reordered: number;
  readonly impossible: number;
} {
  let reordered = 0;
  let impossible = 0;
  let latest: (typeof order)[number] | undefined;
  for (const entry of order) {
    if (latest !== undefined && entry.index < latest.index) {
      reordered++;
      const overlap =
        entry.recorded.cpu !== latest.recorded.cpu &&
        entry.recorded.fromSequence < latest.recorded.atSequence &&
        latest.recorded.fromSequence < entry.recorded.atSequence;
      if (!overlap) impossible++;
    } else latest = entry;
  }
  return { reordered, impossible };
}

/** Compares flushes of a flush queue. `earlyReuse` is the number of pages mapped again before their flush. */
export function compareLazy(
  recorded: readonly SubmittedDescriptor[],
  modelled: readonly SubmittedDescriptor[],
  earlyReuse: number,
  apart: Readonly<Record<string, number>>,
): CheckResult {
  const expected = countKinds(recorded);
  const actual = countKinds(modelled);
  const counter = new CheckCounter();
  let pass = earlyReuse === 0;
  for (const kind of [...new Set([...expected.keys(), ...actual.keys()])].sort()) {
    const wanted = expected.get(kind) ?? 0;
    const got = actual.get(kind) ?? 0;
    counter.total += wanted;
    counter.matched += Math.min(wanted, got);
    const tolerance = wanted === 0 || got === 0 ? 0 : Math.max(2, 0.02 * wanted);
    if (Math.abs(wanted - got) <= tolerance) continue;
    pass = false;
    counter.diverge(() => `${kind}: recorded ${wanted} flushes, modelled ${got}`);
  }
  if (earlyReuse > 0) counter.diverge(() => `${earlyReuse} pages were mapped again before their flush`);
  return counter.result({ pass, apart: { ...apart, modelled: modelled.length, early_reuse: earlyReuse } });
}

function countKinds(descriptors: readonly SubmittedDescriptor[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { words } of descriptors) {
    const low = Number(words[0] & 0xffff_ffffn);
    const kind = `${descriptorKind(low)} of domain ${low >>> 16}`;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

function sameWords(a: SubmittedDescriptor['words'], b: SubmittedDescriptor['words']): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

function formatWords(words: SubmittedDescriptor['words']): string {
  return words.map((word) => `0x${word.toString(16)}`).join(' ');
}
