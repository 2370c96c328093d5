import { expect, test } from 'vitest';
import { mergeSeries, Series } from '../../../src/stats/series.ts';

test('amounts fall into the bin of their time', () => {
  const series = new Series(10, 8);
  series.add(0, 1);
  series.add(9, 2);
  series.add(35, 4);
  expect(series.toState()).toEqual({ baseWidthPs: 10, binWidthPs: 10, maxBins: 8, bins: [3, 0, 0, 4] });
});

test('the width doubles when a time lies beyond the last bin, and nothing is lost', () => {
  const series = new Series(10, 4);
  series.add(0, 1);
  series.add(10, 2);
  series.add(39, 4);
  series.add(85, 8);
  expect(series.toState()).toMatchObject({ binWidthPs: 40, bins: [7, 0, 8] });
});

test('an earlier time after a later one lands where it belongs', () => {
  const series = new Series(10, 4);
  series.add(85, 8);
  series.add(5, 1);
  expect(series.toState()).toMatchObject({ binWidthPs: 40, bins: [1, 0, 8] });
});

test('series of different width merge into the wider one', () => {
  const short = new Series(10, 4);
  short.add(25, 1);
  const long = new Series(10, 4);
  long.add(100, 2);
  expect(mergeSeries([short.toState(), long.toState()])).toMatchObject({ binWidthPs: 40, bins: [1, 0, 2] });
});

test('series of different geometry refuse to merge', () => {
  expect(() => mergeSeries([new Series(10, 4).toState(), new Series(20, 4).toState()])).toThrow(/geometry/);
});
