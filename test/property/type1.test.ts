// A type1 container under arbitrary calls against plain bookkeeping: what is mapped, what is pinned, what is charged, and
// that all domains say the same.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { VfioDevice } from '../../src/stack/vfio/device.ts';
import { BUFFER, ContainerBench } from '../support/container-bench.ts';
import type { TableDomain } from '../support/table-driver.ts';

const PAGE = 0x1000n;
/** [4 KiB pages] IOVAs and user pages are drawn from this many. */
const SPAN = 24;

type Step =
  | { readonly kind: 'map'; readonly iova: number; readonly va: number; readonly pages: number; readonly flags: number }
  | { readonly kind: 'unmap'; readonly iova: number; readonly pages: number }
  | { readonly kind: 'unmap-all' }
  | { readonly kind: 'join' | 'leave'; readonly group: number };

const page = fc.integer({ min: 0, max: SPAN - 1 });
const count = fc.integer({ min: 1, max: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('map' as const),
      iova: page,
      va: page,
      pages: count,
      flags: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('unmap' as const), iova: page, pages: count }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unmap-all' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('join' as const, 'leave' as const),
      group: fc.integer({ min: 0, max: 3 }),
    }),
  },
);

interface Mapping {
  readonly iova: number;
  readonly va: number;
  readonly pages: number;
  readonly flags: number;
}

/** The container and what it should hold. */
class Run {
  readonly bench = new ContainerBench({ version: 'L73' });
  /** Coherent, not coherent, one that only takes its own domains, and an emulated one. */
  readonly devices: readonly VfioDevice[] = [
    this.bench.device(),
    this.bench.device({ coherent: false }),
    this.bench.device({ exclusive: true }),
    this.bench.emulated().device,
  ];
  readonly fd = this.bench.openContainer();
  readonly groups = this.devices.map((device) => this.bench.openGroup(device));
  readonly inside = new Set<number>();
  readonly v2: boolean;
  mappings: Mapping[] = [];

  constructor(v2: boolean) {
    this.v2 = v2;
  }

  apply(each: Step): void {
    switch (each.kind) {
      case 'join':
        this.#join(each.group);
        return;
      case 'leave':
        this.#leave(each.group);
        return;
      case 'map':
        this.#map(each);
        return;
      case 'unmap':
        this.#unmap(each.iova, each.pages);
        return;
      case 'unmap-all':
        if (this.inside.size === 0) return;
        expect(this.bench.unmap(this.fd, 0n, 0n, 2)).toBe(bytesOf(this.mappings));
        this.mappings = [];
    }
  }

  #join(group: number): void {
    const expected = this.inside.has(group) ? -22 : 0;
    expect(this.bench.setContainer(this.groups[group] as number, this.fd)).toBe(expected);
    if (expected !== 0) return;
    if (this.inside.size === 0) expect(this.bench.setIommu(this.fd, this.v2 ? 3 : 1)).toBe(0);
    this.inside.add(group);
  }

  #leave(group: number): void {
    const expected = this.inside.delete(group) ? 0 : -22;
    expect(this.bench.unsetContainer(this.groups[group] as number)).toBe(expected);
    if (this.inside.size === 0) this.mappings = [];
  }

  #map({ iova, va, pages, flags }: Mapping): void {
    if (this.inside.size === 0) return;
    const overlap = this.mappings.some((each) => iova < each.iova + each.pages && each.iova < iova + pages);
    const address = BUFFER + BigInt(va) * PAGE;
    const rc = this.bench.map(this.fd, BigInt(iova) * PAGE, address, BigInt(pages) * PAGE, flags);
    expect(rc).toBe(overlap ? -17 : 0);
    if (!overlap) this.mappings.push({ iova, va, pages, flags });
  }

  #unmap(iova: number, pages: number): void {
    if (this.inside.size === 0) return;
    const end = iova + pages;
    const touched = this.mappings
      .filter((each) => iova < each.iova + each.pages && each.iova < end)
      .sort((a, b) => a.iova - b.iova);
    const got = this.bench.unmap(this.fd, BigInt(iova) * PAGE, BigInt(pages) * PAGE);
    const first = touched[0];
    const last = touched.at(-1);
    if (this.v2 && touched.some((each) => each.iova < iova || each.iova + each.pages > end)) {
      expect(got).toBe(-22);
      return;
    }
    // Version 1 stops at a mapping that begins before the range.
    const gone = first !== undefined && last !== undefined && first.iova < iova ? [] : touched;
    expect(got).toBe(bytesOf(gone));
    this.mappings = this.mappings.filter((each) => !gone.includes(each));
  }

  check(): void {
    const { process, frames } = this.bench;
    const physical = [...this.inside].some((group) => group < 3);
    const expected = new Map<bigint, { pfn: number; prot: number }>();
    const pins = new Map<number, number>();
    for (const { iova, va, pages, flags } of this.mappings) {
      for (let at = 0; at < pages; at++) {
        const pfn = process.memory.frameAt(BUFFER + BigInt(va + at) * PAGE, false) as number;
        expected.set(BigInt(iova + at), { pfn, prot: flags });
        if (physical) pins.set(pfn, (pins.get(pfn) ?? 0) + 1);
      }
    }
    for (let at = 0; at < SPAN + 8; at++) {
      const pfn = process.memory.frameAt(BUFFER + BigInt(at) * PAGE, false) as number;
      expect(frames.pinCount(pfn)).toBe(pins.get(pfn) ?? 0);
    }
    expect(process.memory.lockedVm).toBe(physical ? expected.size : 0);
    const live = this.bench.driver.domains.filter((domain) => !domain.freed);
    if (this.inside.size === 0) {
      expect(live).toEqual([]);
      return;
    }
    const type1 = this.bench.type1(this.fd);
    expect(new Set(type1.domains.map((each) => each.domain as TableDomain))).toEqual(new Set(live));
    expect(live.length > 0).toBe(physical);
    for (const { domain } of type1.domains) expect((domain as TableDomain).pages).toEqual(expected);
    expect(type1.dmaAvailable + type1.dmas.count).toBe(65535);
    expect(type1.dmas.count).toBe(this.mappings.length);
    for (const dma of type1.dmas) expect(dma.iommuMapped).toBe(physical);
    const owners = this.devices.map((device) => device.group.iommuGroup?.ownerCount);
    expect(owners).toEqual([0, 1, 2].map((group) => (this.inside.has(group) ? 1 : 0)).concat([undefined as never]));
  }
}

function bytesOf(mappings: readonly Mapping[]): bigint {
  return BigInt(mappings.reduce((total, each) => total + each.pages, 0)) * PAGE;
}

test('every call leaves container, domains, pins and accounts as bookkeeping has them', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 30 }), (v2, steps) => {
      const run = new Run(v2);
      run.apply({ kind: 'join', group: 0 });
      for (const each of steps) {
        run.apply(each);
        run.check();
      }
      // The end of the process takes everything back.
      const mapped = run.bench.process.memory.frameAt(BUFFER, false) as number;
      run.bench.run(run.bench.process.memory.exit());
      run.bench.run(run.bench.process.files.closeAll());
      expect(run.bench.frames.pinCount(mapped)).toBe(0);
      expect(run.bench.driver.domains.every((domain) => domain.freed)).toBe(true);
    }),
    { numRuns: 150 },
  );
});
