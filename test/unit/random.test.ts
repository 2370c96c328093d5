import { expect, test } from 'vitest';
import { Random } from '../../src/random.ts';

/** Plain transcription of the published xoshiro128** 1.1 over a state, as the oracle. */
function xoshiro128starstar(state: number[]): number {
  const rotl = (x: bigint, k: bigint) => ((x << k) | (x >> (32n - k))) & 0xffff_ffffn;
  const [s0, s1, s2, s3] = state.map(BigInt) as [bigint, bigint, bigint, bigint];
  const result = (rotl((s1 * 5n) & 0xffff_ffffn, 7n) * 9n) & 0xffff_ffffn;
  const t = (s1 << 9n) & 0xffff_ffffn;
  const a = s2 ^ s0;
  const b = s3 ^ s1;
  state.splice(0, 4, Number(s0 ^ b), Number(s1 ^ a), Number(a ^ t), Number(rotl(b, 11n)));
  return Number(result);
}

function splitmix32(seed: number): number[] {
  let x = BigInt(seed);
  const mask = 0xffff_ffffn;
  return Array.from({ length: 4 }, () => {
    x = (x + 0x9e3779b9n) & mask;
    let z = x;
    z = ((z ^ (z >> 16n)) * 0x85ebca6bn) & mask;
    z = ((z ^ (z >> 13n)) * 0xc2b2ae35n) & mask;
    return Number(z ^ (z >> 16n));
  });
}

test.each([0, 1, 0xdead_beef])('the sequence is xoshiro128** seeded by splitmix32: seed %d', (seed) => {
  const random = new Random(seed);
  const state = splitmix32(seed);
  for (let i = 0; i < 200; i++) expect(random.u32()).toBe(xoshiro128starstar(state));
});

test('numbers below a bound stay below it and reach both ends', () => {
  const random = new Random(7);
  const seen = new Set(Array.from({ length: 200 }, () => random.below(5)));
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4]);
});

test('forks of one generator differ', () => {
  const random = new Random(7);
  expect(random.fork(0).u32()).not.toBe(random.fork(1).u32());
});
