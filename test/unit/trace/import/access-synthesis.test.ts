import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/random.ts';
import { type MappingLife, synthesizeAccesses } from '../../../../src/trace/import/access-synthesis.ts';
import { DmaDirection } from '../../../../src/trace/schema/control-ops.ts';
import { DmaProvenance } from '../../../../src/trace/schema/dma-stream.ts';

const life = (over: Partial<MappingLife>): MappingLife => ({
  device: 0,
  iova: 0x10000,
  bytes: 4096,
  direction: DmaDirection.fromDevice,
  mapCall: 0,
  unmapCall: 1,
  mapNs: 1000,
  unmapNs: 9000,
  coherent: false,
  ...over,
});

describe('access synthesis', () => {
  it('uses a mapping once, in requests that do not cross a page, within its life', () => {
    const lives = fc.record({
      iova: fc.nat(1 << 20),
      bytes: fc.integer({ min: 1, max: 30_000 }),
      lifeNs: fc.nat(100_000),
    });
    fc.assert(
      fc.property(lives, fc.nat(), ({ iova, bytes, lifeNs }, seed) => {
        const accesses = synthesizeAccesses([life({ iova, bytes, unmapNs: 1000 + lifeNs })], new Random(seed));
        let next = iova;
        for (const access of accesses) {
          expect(access.iova).toBe(next);
          expect(Math.floor(next / 4096)).toBe(Math.floor((next + access.shape.bytes - 1) / 4096));
          expect(access.timeNs).toBeGreaterThanOrEqual(1000);
          expect(access.timeNs).toBeLessThanOrEqual(1000 + lifeNs);
          next += access.shape.bytes;
        }
        expect(next).toBe(iova + bytes);
      }),
    );
  });

  it('marks every row as inferred and follows the direction of the mapping', () => {
    const [write] = synthesizeAccesses([life({})], new Random(1));
    const [read] = synthesizeAccesses([life({ direction: DmaDirection.toDevice })], new Random(1));
    expect(write?.shape.write).toBe(true);
    expect(read?.shape.write).toBe(false);
    expect((write?.shape.provenance ?? 0) & DmaProvenance.inferred).toBe(DmaProvenance.inferred);
  });

  it('walks through coherent memory, one descriptor for each streaming mapping', () => {
    const ring = life({ coherent: true, iova: 0x5000, bytes: 128, unmapNs: 1e9, mapCall: 9 });
    const accesses = synthesizeAccesses(
      [ring, life({}), life({ iova: 0x20000 }), life({ iova: 0x30000 })],
      new Random(3),
    );
    expect(
      accesses
        .filter(({ mapping }) => mapping.coherent)
        .map(({ iova }) => iova)
        .sort(),
    ).toEqual([0x5000, 0x5000, 0x5040]);
  });

  it('gives the same rows for the same seed', () => {
    const lives = [life({ direction: DmaDirection.bidirectional, bytes: 20_000 })];
    expect(synthesizeAccesses(lives, new Random(7))).toEqual(synthesizeAccesses(lives, new Random(7)));
  });
});
