// Automatic IOVAs against a search that tries every address in turn.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/errno.ts';
import { Area } from '../../src/stack/iommufd/area.ts';
import { AreaIndex } from '../../src/stack/iommufd/area-index.ts';
import { type Interval, intersects } from '../../src/stack/iommufd/intervals.ts';
import { allocateIova } from '../../src/stack/iommufd/iova-allocation.ts';

/** First and last page are never chosen. */
const LOWEST = 4096;
const UNIT = 512;

interface Case {
  readonly used: readonly Interval[];
  readonly reserved: readonly Interval[];
  readonly windows: readonly Interval[];
  readonly address: number;
  readonly length: number;
}

/** Alignment wished for: the length's power of two, no more than the address's own alignment. */
function alignmentOf(address: number, length: number): number {
  let alignment = 1;
  while (alignment < length) alignment *= 2;
  return address === 0 ? alignment : Math.min(alignment, address & -address);
}

/** Tries multiples of the alignment upwards in each window. */
function bruteForce({ used, reserved, windows, address, length }: Case): bigint {
  const alignment = alignmentOf(address, length);
  const offset = address % 4096;
  for (const window of windows) {
    const from = Math.max(Number(window.start), LOWEST);
    const last = Number(window.last);
    const aligned = (value: number): number => (Math.ceil(value / alignment) * alignment) | offset;
    const first = aligned(from);
    if (first >= last || last - first < length - 1) continue;
    for (let start = first; start < last && last - start >= length - 1; start += 1) {
      const hole = holeAround(start, first, last, used, reserved);
      if (hole === undefined) continue;
      const candidate = aligned(hole.start);
      if (candidate === start && candidate < hole.last && hole.last - candidate >= length - 1) return BigInt(start);
    }
  }
  return -BigInt(Errno.ENOSPC);
}

/** The free stretch that holds `at`, inside [from, last]. */
function holeAround(at: number, from: number, last: number, ...lists: readonly (readonly Interval[])[]) {
  const blocked = lists.flat();
  if (intersects(blocked, BigInt(at), BigInt(at))) return undefined;
  let start = from;
  let end = last;
  for (const each of blocked) {
    if (each.last < BigInt(at)) start = Math.max(start, Number(each.last) + 1);
    if (each.start > BigInt(at)) end = Math.min(end, Number(each.start) - 1);
  }
  return { start, last: end };
}

const interval = (start: number, length: number): Interval => ({
  start: BigInt(start),
  last: BigInt(start + length - 1),
});

describe('automatic IOVA', () => {
  it('is the lowest aligned address with room, window by window', () => {
    const ranges = fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 8 })), { maxLength: 8 });
    const scenario = fc.record({
      used: ranges,
      reserved: ranges,
      window: fc.tuple(fc.nat(30), fc.integer({ min: 2, max: 40 })),
      address: fc.nat(64),
      length: fc.integer({ min: 1, max: 12 }),
    });
    fc.assert(
      fc.property(scenario, (raw) => {
        const used: Interval[] = [];
        for (const [at, units] of raw.used) {
          const candidate = interval(at * UNIT, units * UNIT);
          if (!intersects(used, candidate.start, candidate.last)) used.push(candidate);
        }
        const reserved = raw.reserved.map(([at, units]) => interval(at * UNIT, units * UNIT));
        const windows = [interval(raw.window[0] * UNIT, raw.window[1] * UNIT)];
        const scene: Case = { used, reserved, windows, address: raw.address * UNIT, length: raw.length * UNIT };
        const areas = new AreaIndex();
        for (const each of used) areas.insert(new Area(each.start, each.last - each.start + 1n, 0n, 3));
        const constraints = { areas, reserved, allowed: windows, alignment: 1n };
        expect(allocateIova(constraints, BigInt(scene.address), BigInt(scene.length))).toBe(bruteForce(scene));
      }),
      { numRuns: 400 },
    );
  });

  it('refuses lengths that round up past the address space and alignments the IOAS cannot give', () => {
    const areas = new AreaIndex();
    const constraints = { areas, reserved: [], allowed: [], alignment: 4096n };
    expect(allocateIova(constraints, 0n, 0n)).toBe(-BigInt(Errno.EOVERFLOW));
    expect(allocateIova(constraints, 0n, 2n ** 63n)).toBe(-BigInt(Errno.EOVERFLOW));
    expect(allocateIova(constraints, 0x800n, 0x1000n)).toBe(-BigInt(Errno.EINVAL));
    expect(allocateIova(constraints, 0n, 0x1000n)).toBe(0x1000n);
  });
});
