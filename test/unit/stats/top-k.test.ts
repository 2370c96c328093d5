import { expect, test } from 'vitest';
import { TopK } from '../../../src/stats/top-k.ts';

test('the largest are kept, ties by the smaller id', () => {
  const top = new TopK(3);
  for (const [value, id] of [
    [5, 9],
    [7, 4],
    [5, 2],
    [1, 0],
    [5, 7],
    [7, 3],
  ] as const)
    top.offer(value, id);
  expect(top.toState().items).toEqual([
    { value: 7, id: 3 },
    { value: 7, id: 4 },
    { value: 5, id: 2 },
  ]);
});
