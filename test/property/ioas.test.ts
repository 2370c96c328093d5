// Any sequence of maps, unmaps, copies, domain changes and access pins leaves every domain with exactly the areas'
// translations, every page pinned exactly while something holds it, and the account equal to the pins.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Access, attachAccess, createAccess } from '../../src/stack/iommufd/access.ts';
import { pinPages, unpinPages } from '../../src/stack/iommufd/access-pages.ts';
import type { Ioas } from '../../src/stack/iommufd/ioas.ts';
import { BUFFER, IoasScene } from '../support/ioas-scene.ts';
import { RecordingDomain } from '../support/recording-domain.ts';

const PAGE = 4096n;

/** What is mapped where, the naive way: IOVA page to buffer page. */
type PageMap = Map<bigint, bigint>;

interface Pin {
  readonly iova: bigint;
  readonly pages: bigint;
}

class World {
  readonly scene = new IoasScene();
  readonly spaces = [this.scene.ioas, this.scene.newIoas()] as const;
  readonly maps: readonly PageMap[] = [new Map(), new Map()];
  readonly domains: RecordingDomain[][] = [[], []];
  readonly pins: Pin[][] = [[], []];
  readonly accesses: Access[] = [];

  constructor() {
    for (const [index, ioas] of this.spaces.entries()) {
      const unmap = (iova: bigint, lengthBytes: bigint) => this.#dropPins(index, iova, lengthBytes);
      const access = this.scene.run(createAccess(this.scene.context, { needsPinPages: true, unmap }));
      if (typeof access === 'number') throw new Error('no access');
      this.accesses.push(access);
      expect(this.scene.run(attachAccess(access, ioas.id))).toBe(0);
    }
  }

  map(space: number, at: bigint, bufferPage: bigint, pages: bigint): void {
    const rc = this.scene.map(at * PAGE, BUFFER + bufferPage * PAGE, pages * PAGE, undefined, this.ioas(space));
    const free = range(at, pages).every((page) => !this.maps[space]?.has(page));
    expect(rc === 0).toBe(free);
    if (rc === 0) for (const page of range(0n, pages)) this.maps[space]?.set(at + page, bufferPage + page);
  }

  unmap(space: number, at: bigint, pages: bigint): void {
    const rc = this.scene.unmap(at * PAGE, pages * PAGE, this.ioas(space));
    // Which areas went is read off the index: unmapping stops at the first area that sticks out.
    const left = new Set<bigint>();
    for (const area of this.ioas(space).areas.all()) {
      for (const page of range(area.start / PAGE, area.lengthBytes / PAGE)) left.add(page);
    }
    const inRange = range(at, pages).filter((page) => this.maps[space]?.has(page));
    if (rc === 0) expect(inRange.filter((page) => left.has(page))).toEqual([]);
    for (const page of [...(this.maps[space] as PageMap).keys()]) {
      if (left.has(page)) continue;
      expect(inRange).toContain(page);
      this.maps[space]?.delete(page);
    }
  }

  copy(from: number, to: number, source: bigint, target: bigint, pages: bigint): void {
    const rc = this.scene.copy(this.ioas(from), source * PAGE, this.ioas(to), target * PAGE, pages * PAGE);
    const wanted = range(source, pages).map((page) => this.maps[from]?.get(page));
    const free = range(target, pages).every((page) => !this.maps[to]?.has(page));
    expect(rc === 0).toBe(free && !wanted.includes(undefined));
    if (rc !== 0) return;
    for (const [index, page] of wanted.entries()) this.maps[to]?.set(target + BigInt(index), page as bigint);
  }

  toggleDomain(space: number, which: number): void {
    const list = this.domains[space] as RecordingDomain[];
    const present = list[which];
    if (present !== undefined) {
      this.scene.run(this.ioas(space).removeDomain(present));
      expect(present.mappedUnits).toBe(0);
      list.splice(which, 1);
    } else if (list.length < 3) {
      const domain = new RecordingDomain();
      expect(this.scene.run(this.ioas(space).addDomain(domain))).toBe(0);
      list.push(domain);
    }
  }

  pin(space: number, at: bigint, pages: bigint): void {
    const access = this.accesses[space] as Access;
    const pfns = this.scene.run(pinPages(access, at * PAGE, pages * PAGE, true));
    const wanted = range(at, pages).map((page) => this.maps[space]?.get(page));
    expect(typeof pfns === 'number').toBe(wanted.includes(undefined));
    if (typeof pfns === 'number') return;
    expect(pfns).toEqual(wanted.map((page) => this.frame(page as bigint)));
    this.pins[space]?.push({ iova: at, pages });
  }

  unpin(space: number, which: number): void {
    const [pin] = (this.pins[space] as Pin[]).splice(which, 1);
    if (pin === undefined) return;
    this.scene.run(unpinPages(this.accesses[space] as Access, pin.iova * PAGE, pin.pages * PAGE));
  }

  check(): void {
    for (const [space, map] of this.maps.entries()) {
      for (const domain of this.domains[space] as RecordingDomain[]) {
        expect(domain.mappedUnits).toBe(map.size * 8);
        for (const [page, bufferPage] of map) {
          expect(domain.iovaToPhys(page * PAGE)).toBe(BigInt(this.frame(bufferPage)) * PAGE);
        }
      }
    }
    let pinned = 0;
    const sources = new Set([...this.spaces].flatMap((ioas) => [...ioas.areas.all()].map((area) => area.pages)));
    for (const source of sources) {
      for (let index = 0; index < (source?.pageCount ?? 0); index++) if (source?.isCovered(index)) pinned++;
    }
    expect(this.scene.process.memory.pinnedVm).toBe(pinned);
    let frames = 0;
    for (const page of range(0n, 64n)) frames += this.scene.pins(BUFFER + page * PAGE);
    expect(frames).toBe(pinned);
  }

  ioas(space: number): Ioas {
    return this.spaces[space] as Ioas;
  }

  frame(bufferPage: bigint): number {
    return this.scene.process.memory.frameAt(BUFFER + bufferPage * PAGE, false) as number;
  }

  /** The unmap callback: every pin that meets the range goes. */
  *#dropPins(space: number, iova: bigint, lengthBytes: bigint) {
    const list = this.pins[space] as Pin[];
    for (let i = list.length - 1; i >= 0; i--) {
      const pin = list[i] as Pin;
      if (pin.iova * PAGE >= iova + lengthBytes || (pin.iova + pin.pages) * PAGE <= iova) continue;
      list.splice(i, 1);
      yield* unpinPages(this.accesses[space] as Access, pin.iova * PAGE, pin.pages * PAGE);
    }
  }
}

const range = (start: bigint, count: bigint): bigint[] =>
  Array.from({ length: Number(count) }, (_, i) => start + BigInt(i));

const space = fc.nat(1);
const page = fc.nat(40).map(BigInt);
const pages = fc.integer({ min: 1, max: 6 }).map(BigInt);

const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(space, page, page, pages).map(
      ([s, a, b, n]) =>
        (w: World) =>
          w.map(s, a, b, n),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(space, page, pages).map(
      ([s, a, n]) =>
        (w: World) =>
          w.unmap(s, a, n + 4n),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(space, space, page, page, pages).map(
      ([from, to, a, b, n]) =>
        (w: World) =>
          w.copy(from, to, a, b, n),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(space, fc.nat(2)).map(
      ([s, d]) =>
        (w: World) =>
          w.toggleDomain(s, d),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(space, page, pages).map(
      ([s, a, n]) =>
        (w: World) =>
          w.pin(s, a, n),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(space, fc.nat(3)).map(
      ([s, i]) =>
        (w: World) =>
          w.unpin(s, i),
    ),
  },
);

describe('an IOAS', () => {
  it('keeps domains, pins and the account in step with its areas', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 60, size: 'max' }), (commands) => {
        const world = new World();
        for (const run of commands) {
          run(world);
          world.check();
        }
      }),
      { numRuns: 60 },
    );
  });
});
