import { expect, test } from 'vitest';
import {
  bucketHigh,
  bucketIndex,
  bucketLow,
  emptyHistogram,
  Histogram,
  histogramBuckets,
  histogramMean,
  mergeHistograms,
  percentile,
} from '../../../src/stats/histogram.ts';

function histogramOf(values: readonly number[], precisionBits = 7): Histogram {
  const histogram = new Histogram(precisionBits);
  for (const value of values) histogram.record(value);
  return histogram;
}

test('values below 2^(precision + 1) have a bucket of their own', () => {
  const state = histogramOf([0, 1, 127, 128, 255]).toState();
  expect(histogramBuckets(state)).toEqual(
    [0, 1, 127, 128, 255].map((value) => ({ low: value, high: value, count: 1 })),
  );
});

test('buckets tile the range 0 .. 2^53 - 1 without gap or overlap', () => {
  let next = 0;
  let index = 0;
  for (; next < 2 ** 53; index++) {
    expect(bucketLow(7, index)).toBe(next);
    expect(bucketIndex(7, next)).toBe(index);
    expect(bucketIndex(7, bucketHigh(7, index))).toBe(index);
    next = bucketHigh(7, index) + 1;
  }
  expect(next).toBe(2 ** 53);
});

test.each([2 ** 32 - 1, 2 ** 32, 2 ** 49 - 1, 2 ** 52 - 1, 2 ** 53 - 1])(
  'a value next to a large power of two falls into the right octave: %d',
  (value) => {
    const [bucket] = histogramBuckets(histogramOf([value]).toState());
    expect(bucket!.low).toBeLessThanOrEqual(value);
    expect(bucket!.high).toBeGreaterThanOrEqual(value);
    expect((bucket!.high - bucket!.low + 1) / bucket!.low).toBeLessThanOrEqual(2 ** -7);
  },
);

test('the sum is exact beyond 2^53', () => {
  const largest = 2 ** 53 - 1;
  const histogram = histogramOf([largest, largest, largest, 1]);
  expect(histogram.sum).toBe(3n * BigInt(largest) + 1n);
  expect(histogram.toState().sum).toBe((3n * BigInt(largest) + 1n).toString());
});

test('a percentile is the nearest rank', () => {
  const state = histogramOf(Array.from({ length: 100 }, (_, i) => i + 1)).toState();
  expect([0, 0.01, 0.07, 0.5, 0.99, 1].map((q) => percentile(state, q))).toEqual([1, 1, 7, 50, 99, 100]);
});

test('a percentile never exceeds the recorded maximum', () => {
  expect(percentile(histogramOf([100_001]).toState(), 0.5)).toBe(100_001);
});

test('an empty histogram has zeros', () => {
  const state = new Histogram().toState();
  expect(state).toEqual(emptyHistogram());
  expect([percentile(state, 0.99), histogramMean(state)]).toEqual([0, 0]);
});

test('histograms of different precision merge into the lower one', () => {
  const values = [3, 1000, 123_456_789, 2 ** 40 + 12345];
  const merged = mergeHistograms([histogramOf(values, 9).toState(), histogramOf(values, 5).toState()]);
  expect(merged).toEqual(histogramOf([...values, ...values], 5).toState());
});

test('reset forgets everything', () => {
  const histogram = histogramOf([5, 2 ** 53 - 1, 2 ** 53 - 1]);
  histogram.reset();
  expect(histogram.toState()).toEqual(emptyHistogram());
});

test('recording many values at once equals recording each', () => {
  const values = Float64Array.from([
    0,
    1,
    255,
    256,
    257,
    4294967295,
    4294967296,
    2 ** 40 + 7,
    2 ** 52 - 1,
    2 ** 52,
    2 ** 53 - 1,
  ]);
  const one = new Histogram();
  for (const value of [...values, ...values]) one.record(value);
  const many = new Histogram();
  many.recordAll(values, values.length);
  many.recordAll(values, 0);
  many.recordAll(values, values.length);
  expect(many.toState()).toEqual(one.toState());
});
