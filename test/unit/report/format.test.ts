import { describe, expect, test } from 'vitest';
import {
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatQuotient,
  formatRate,
  formatShare,
  NOT_AVAILABLE,
  plural,
} from '../../../src/report/format.ts';

describe('number formatting', () => {
  test.each([
    [0, '0 ns'],
    [0.05, '0.050 ns'],
    [2, '2.00 ns'],
    [415, '415 ns'],
    [999.4, '999 ns'],
    [999.6, '1.00 µs'],
    [1234, '1.23 µs'],
    [45_678, '45.7 µs'],
    [2.5e6, '2.50 ms'],
    [61e9, '61.0 s'],
  ])('a duration of %d ns is %s', (ns, text) => {
    expect(formatDuration(ns)).toBe(text);
  });

  test('rates have SI prefixes and sizes IEC prefixes', () => {
    expect(formatByteRate(10.14e9)).toBe('10.1 GB/s');
    expect(formatRate(2_480_000)).toBe('2.48 M/s');
    expect(formatBytes(4096)).toBe('4.00 KiB');
    expect(formatBytes(3 * 2 ** 30)).toBe('3.00 GiB');
  });

  test('counts are grouped by commas', () => {
    expect(formatCount(0)).toBe('0');
    expect(formatCount(999)).toBe('999');
    expect(formatCount(1234567)).toBe('1,234,567');
  });

  test('a share is never rounded to none or to all', () => {
    expect(formatShare(0)).toBe('0.0 %');
    expect(formatShare(1e-7)).toBe('< 0.01 %');
    expect(formatShare(0.99999)).toBe('> 99.99 %');
    expect(formatShare(0.9987)).toBe('99.87 %');
    expect(formatShare(0.0042)).toBe('0.42 %');
    expect(formatShare(1)).toBe('100.0 %');
  });

  test('a number that the run does not hold is a dash in every unit', () => {
    for (const format of [
      formatDuration,
      formatByteRate,
      formatRate,
      formatBytes,
      formatCount,
      formatShare,
      formatQuotient,
    ]) {
      expect(format(null)).toBe(NOT_AVAILABLE);
    }
  });

  test('nouns agree with their number', () => {
    expect(plural(1, 'event')).toBe('1 event');
    expect(plural(1200, 'event')).toBe('1,200 events');
  });
});
