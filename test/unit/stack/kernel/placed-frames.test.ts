import { expect, test } from 'vitest';
import { PlacedFrames } from '../../../../src/stack/kernel/placed-frames.ts';

test('runs of frames are found page by page, across blocks and above 32 bits', () => {
  const placed = new PlacedFrames();
  expect(placed.used).toBe(false);
  const base = 2 ** 33 - 3;
  placed.set(base, 700, 1030);
  expect(placed.used).toBe(true);
  for (const at of [0, 1, 2, 3, 514, 515, 1029]) expect(placed.get(base + at)).toBe(700 + at);
  expect(placed.get(base - 1)).toBeUndefined();
  expect(placed.get(base + 1030)).toBeUndefined();
  placed.set(base + 5, 0, 1);
  expect(placed.get(base + 5)).toBe(0);
});

test('forgetting a range leaves its neighbours, whichever of the two is larger', () => {
  const placed = new PlacedFrames();
  placed.set(1000, 50, 2000);
  placed.delete(1500, 1502);
  expect([1499, 1500, 1501, 1502].map((page) => placed.get(page))).toEqual([549, undefined, undefined, 552]);
  placed.delete(1600, 2 ** 40);
  expect([1599, 1600, 2999].map((page) => placed.get(page))).toEqual([649, undefined, undefined]);
  placed.delete(0, 1001);
  expect([1000, 1001].map((page) => placed.get(page))).toEqual([undefined, 51]);
});

test('a copy is independent of its original', () => {
  const placed = new PlacedFrames();
  placed.set(10, 90, 4);
  const copy = new PlacedFrames();
  copy.copyFrom(placed);
  placed.clear();
  expect(placed.used).toBe(false);
  expect(copy.get(13)).toBe(93);
});
