import { expect, test } from 'vitest';
import { CounterSet, mergeCounters } from '../../../src/stats/counter.ts';

test('counters are counted by index and read by name', () => {
  const counters = new CounterSet(['iotlb_lookup', 'iotlb_hit']);
  const hit = counters.index('iotlb_hit');
  counters.add(hit);
  counters.add(hit, 4);
  expect(counters.toState()).toEqual({ iotlb_lookup: 0, iotlb_hit: 5 });
});

test('a merge keeps the names of either side', () => {
  expect(mergeCounters([{ b: 1 }, { a: 2 }, { b: 3 }])).toEqual({ a: 2, b: 4 });
});
