/** Laws of everything that merges: the order of a fold never changes its result. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeCounters } from '../../src/stats/counter.ts';
import { ExactSum } from '../../src/stats/exact-sum.ts';
import { Histogram, mergeHistograms, percentile } from '../../src/stats/histogram.ts';
import { mergeSeries, Series } from '../../src/stats/series.ts';
import { mergeTop, TopK } from '../../src/stats/top-k.ts';

/** Integers of every magnitude up to 2^53 - 1. */
const value = fc
  .tuple(fc.maxSafeNat(), fc.integer({ min: 0, max: 52 }))
  .map(([number, shift]) => Math.floor(number / 2 ** shift));
const values = fc.array(value, { maxLength: 60 });
const precision = fc.integer({ min: 1, max: 10 });

function histogramOf(recorded: readonly number[], precisionBits: number) {
  const histogram = new Histogram(precisionBits);
  for (const each of recorded) histogram.record(each);
  return histogram.toState();
}

test('merging histograms equals recording everything in one, in any order and grouping', () => {
  fc.assert(
    fc.property(fc.array(values, { minLength: 1, maxLength: 5 }), precision, (parts, bits) => {
      const states = parts.map((part) => histogramOf(part, bits));
      const whole = histogramOf(parts.flat(), bits);
      expect(mergeHistograms(states)).toEqual(whole);
      expect(mergeHistograms([...states].reverse())).toEqual(whole);
      expect(mergeHistograms([mergeHistograms(states.slice(0, 2)), ...states.slice(2)])).toEqual(whole);
    }),
  );
});

test('histograms of mixed precision merge the same in any order and grouping', () => {
  const parts = fc.array(fc.tuple(values, precision), { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(parts, (mixed) => {
      const states = mixed.map(([part, bits]) => histogramOf(part, bits));
      const lowest = Math.min(...mixed.map(([, bits]) => bits));
      const whole = histogramOf(
        mixed.flatMap(([part]) => part),
        lowest,
      );
      expect(mergeHistograms(states)).toEqual(whole);
      expect(mergeHistograms([states[0]!, mergeHistograms(states.slice(1))])).toEqual(whole);
    }),
  );
});

test('a percentile is at least the exact nearest rank and above it by less than the bucket width', () => {
  const quantile = fc.integer({ min: 0, max: 1000 }).map((permille) => permille / 1000);
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), precision, quantile, (recorded, bits, q) => {
      const sorted = [...recorded].sort((a, b) => a - b);
      const rank = Math.max(1, Math.ceil((Math.round(q * 1000) * sorted.length) / 1000));
      const exact = sorted[rank - 1]!;
      const estimate = percentile(histogramOf(recorded, bits), q);
      expect(estimate).toBeGreaterThanOrEqual(exact);
      expect(estimate - exact).toBeLessThanOrEqual(exact * 2 ** -bits);
    }),
  );
});

test('an exact sum equals the BigInt sum and survives its text', () => {
  fc.assert(
    fc.property(values, values, (a, b) => {
      const left = new ExactSum();
      for (const each of a) left.add(each);
      const right = new ExactSum();
      for (const each of b) right.add(each);
      left.merge(right);
      const oracle = [...a, ...b].reduce((sum, each) => sum + BigInt(each), 0n);
      expect(left.toBigInt()).toBe(oracle);
      expect(ExactSum.parse(left.toString()).toBigInt()).toBe(oracle);
    }),
  );
});

test('merging series equals adding everything to one, in any order and grouping', () => {
  const event = fc.tuple(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 1000 }));
  const parts = fc.array(fc.array(event, { maxLength: 20 }), { minLength: 2, maxLength: 4 });
  const seriesOf = (events: readonly (readonly [number, number])[]) => {
    const series = new Series(7, 8);
    for (const [tick, amount] of events) series.add(tick, amount);
    return series.toState();
  };
  fc.assert(
    fc.property(parts, (groups) => {
      const [first, ...rest] = groups.map(seriesOf);
      const whole = seriesOf(groups.flat());
      expect(mergeSeries([first!, ...rest])).toEqual(whole);
      expect(mergeSeries([...[first!, ...rest].reverse()] as [typeof whole])).toEqual(whole);
      expect(mergeSeries([first!, mergeSeries(rest as [typeof whole])])).toEqual(whole);
      const total = groups.flat().reduce((sum, [, amount]) => sum + amount, 0);
      expect(whole.bins.reduce((sum, amount) => sum + amount, 0)).toBe(total);
    }),
  );
});

test('merging counters is a sum by name, in any order', () => {
  const state = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat());
  fc.assert(
    fc.property(fc.array(state, { maxLength: 5 }), (states) => {
      const merged = mergeCounters(states);
      expect(mergeCounters([...states].reverse())).toEqual(merged);
      for (const name of ['a', 'b', 'c', 'd']) {
        const sum = states.reduce((total, each) => total + (each[name] ?? 0), 0);
        expect(merged[name] ?? 0).toBe(sum);
      }
    }),
  );
});

test('the top k of parts merge into the top k of the whole', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 8 }),
      fc.nat({ max: 60 }),
      (all, k, cut) => {
        const topOf = (from: number, to: number) => {
          const top = new TopK(k);
          for (let id = from; id < to; id++) top.offer(all[id]!, id);
          return top.toState();
        };
        const middle = Math.min(cut, all.length);
        const oracle = all
          .map((each, id) => ({ value: each, id }))
          .sort((a, b) => b.value - a.value || a.id - b.id)
          .slice(0, k);
        expect(mergeTop([topOf(middle, all.length), topOf(0, middle)])).toEqual({ k, items: oracle });
      },
    ),
  );
});
