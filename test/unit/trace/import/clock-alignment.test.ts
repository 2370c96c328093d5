import { describe, expect, it } from 'vitest';
import { alignClocks } from '../../../../src/trace/import/clock-alignment.ts';

describe('aligning clocks', () => {
  it('finds the offset among recurring events, where first matches mislead', () => {
    // The same few keys over and over, and a later side that began long before the earlier one.
    const earlier = Array.from({ length: 500 }, (_, i) => ({
      timeNs: i * 1_000_000 + (i % 7) * 9000,
      key: `${i % 8}`,
    }));
    const later = [
      ...Array.from({ length: 40 }, (_, i) => ({ timeNs: i * 777_777, key: `${i % 8}` })),
      ...earlier.map(({ timeNs, key }, i) => ({ timeNs: timeNs + 5_000_000_123 + (i % 3) * 2000, key })),
    ];
    const found = alignClocks(earlier, later);
    expect(Math.abs((found?.offsetNs ?? 0) - 5_000_000_123)).toBeLessThanOrEqual(4000);
    expect(found?.pairs).toBe(500);
  });

  it('finds nothing where no key is equal', () => {
    expect(alignClocks([{ timeNs: 1, key: 'a' }], [{ timeNs: 2, key: 'b' }])).toBeUndefined();
  });
});
