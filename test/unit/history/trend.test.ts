import { describe, expect, test } from 'vitest';
import { sparkline } from '../../../src/history/dashboard/sparkline.ts';
import { TREND_ENTRIES, trendOf } from '../../../src/history/dashboard/trend.ts';

const rising = (count: number): number[] => Array.from({ length: count }, (_, n) => 100 + n);

describe('the trend test', () => {
  test('says nothing of fewer than eight entries', () => {
    expect(trendOf(rising(7))).toBeNull();
    expect(trendOf(rising(8))?.flagged).toBe(true);
  });

  test('gives S and p of examples done by hand', () => {
    // 28 pairs, two of them fall; variance 8*7*21/18, z = 23/8.083 = 2.85.
    expect(trendOf([10, 12, 11, 13, 15, 14, 16, 18])).toMatchObject({ s: 24, p_value: 0.0044, slope_per_entry: 1 });
    // Four pairs are tied; variance (8*7*21 - 4 * 2*1*9)/18, z = 23/7.831 = 2.94.
    expect(trendOf([1, 1, 2, 2, 3, 3, 4, 4])).toMatchObject({ s: 24, p_value: 0.0032, changes: 3, flagged: true });
    // A value that comes and goes.
    expect(trendOf([1, 2, 1, 2, 1, 2, 1, 2])).toMatchObject({ s: 4, flagged: false });
  });

  test('sees a steady drift and its slope, in either direction', () => {
    expect(trendOf(rising(20))).toMatchObject({ s: 190, slope_per_entry: 1, flagged: true, changes: 19 });
    expect(trendOf(rising(20).reverse())).toMatchObject({ s: -190, slope_per_entry: -1, flagged: true });
  });

  test('takes neither a constant nor one step for a drift', () => {
    expect(trendOf(Array(20).fill(5))).toMatchObject({ s: 0, p_value: 1, slope_per_entry: 0, flagged: false });
    const step = [...Array(10).fill(5), ...Array(10).fill(6)];
    expect(trendOf(step)).toMatchObject({ s: 100, changes: 1, flagged: false });
    expect(trendOf(step)!.p_value).toBeLessThan(0.01);
  });

  test('looks at the newest entries only', () => {
    const trend = trendOf([...rising(50), ...Array(TREND_ENTRIES).fill(7)])!;
    expect(trend).toMatchObject({ entries: TREND_ENTRIES, s: 0, flagged: false });
  });
});

test('a sparkline goes from lowest to highest and leaves out what is missing', () => {
  expect(sparkline([1, null, 2, 8])).toBe('▁▂█');
  expect(sparkline([4, 4, 4])).toBe('▁▁▁');
  expect(sparkline([null])).toBe('');
  expect([...sparkline(rising(100))]).toHaveLength(24);
});
