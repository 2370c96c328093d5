// Speed of the IOAS: map and unmap ioctls a second with a domain that does nothing, and the index of areas against the
// variant it replaced, a B-tree with BigInt keys.
import sortedBtree from 'sorted-btree';
import { Area } from '../../dist/stack/iommufd/area.js';
import { AreaIndex } from '../../dist/stack/iommufd/area-index.js';
import { IommufdContext } from '../../dist/stack/iommufd/context.js';
import { Ioas } from '../../dist/stack/iommufd/ioas.js';
import { allocIoas, ioasMap, ioasUnmap } from '../../dist/stack/iommufd/ioas-commands.js';
import { iommufdProfile } from '../../dist/stack/iommufd/profile.js';
import { AddressSpace } from '../../dist/stack/kernel/address-space.js';
import { Kernel } from '../../dist/stack/kernel/kernel.js';
import { PageFrames } from '../../dist/stack/kernel/page-frames.js';
import { Process, UserAccount } from '../../dist/stack/kernel/process.js';
import { KERNEL_PROFILES } from '../../dist/stack/profiles/kernels.js';
import { resolveKernelProfile } from '../../dist/stack/profiles/schema.js';

const AREAS = 100_000;
const PAGE = 4096n;
const BUFFER = 0x7f00_0000_0000n;
/** A stride coprime to AREAS visits every slot in scattered order. */
const slot = (i) => 0x1_0000_0000n + BigInt((i * 7919) % AREAS) * 2n * PAGE;

/** The rejected index. */
class BTreeIndex {
  #tree = new sortedBtree.default(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));

  insert(area) {
    this.#tree.set(area.start, area);
  }

  remove(area) {
    this.#tree.delete(area.start);
  }

  first(start, last) {
    const below = this.#tree.getPairOrNextLower(start)?.[1];
    if (below !== undefined && below.last >= start) return below;
    const above = this.#tree.nextHigherPair(start)?.[1];
    return above !== undefined && above.start <= last ? above : undefined;
  }
}

/** Runs the bench; returns plain data. */
export async function run({ rows, rounds }) {
  const count = Math.min(rows, 300_000);
  const best = (measure) => Math.max(...Array.from({ length: rounds }, () => measure(count)));
  return {
    name: 'ioas',
    unit: 'operations/s',
    areas: AREAS,
    mapUnmap: best(mapUnmapRate),
    blocks: best((n) => indexRate(new AreaIndex(), n)),
    btree: best((n) => indexRate(new BTreeIndex(), n)),
  };
}

/** Lines of the result. */
export function format(result) {
  const rate = (value) => `${Math.round(value / 1000)} k/s`;
  return [
    `ioas, ${result.areas} areas, best of the rounds`,
    `  map and unmap ioctls of one page, no-op domain  ${rate(result.mapUnmap)}`,
    `  index: remove, look up, insert; sorted blocks   ${rate(result.blocks)}`,
    `  index: the same; B-tree (rejected)              ${rate(result.btree)}`,
  ];
}

function indexRate(index, count) {
  for (let i = 0; i < AREAS; i++) index.insert(new Area(slot(i), PAGE, 0n, 3));
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    const at = slot(i);
    const area = index.first(at, at + PAGE - 1n);
    index.remove(area);
    if (index.first(at, at + PAGE - 1n) !== undefined) throw new Error('area is still there');
    index.insert(area);
  }
  return rateOf(count, start);
}

function mapUnmapRate(count) {
  const kernel = new Kernel(resolveKernelProfile(KERNEL_PROFILES['v7.3']).profile);
  const context = new IommufdContext(kernel, iommufdProfile('L73'));
  const owner = new Process('user', new AddressSpace(new PageFrames()), new UserAccount());
  kernel.run(owner.memory.map(BUFFER, BigInt(AREAS) * PAGE));
  const created = { flags: 0, outIoasId: 0 };
  kernel.run(allocIoas(context, created));
  const ioasId = created.outIoasId;
  const map = (i) =>
    must(
      kernel.run(
        ioasMap(context, owner, {
          flags: 7,
          reserved: 0,
          ioasId,
          userVa: BUFFER + BigInt(i % AREAS) * PAGE,
          lengthBytes: PAGE,
          iova: slot(i),
        }),
      ),
    );
  must(kernel.run(context.objects.peek(ioasId, Ioas).addDomain(noOpDomain())));
  for (let i = 0; i < AREAS; i++) map(i);
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    must(kernel.run(ioasUnmap(context, { ioasId, iova: slot(i), lengthBytes: PAGE })));
    map(i);
  }
  return rateOf(2 * count, start);
}

function noOpDomain() {
  return {
    type: 'paging',
    minPageSize: PAGE,
    pageSizeBitmap: PAGE,
    apertureStart: 0n,
    apertureEnd: 0xffff_ffff_ffffn,
    dirty: undefined,
    map: () => result(0),
    unmap: (_iova, lengthBytes) => result(lengthBytes),
    sync: () => result(0),
  };
}

function* result(value) {
  yield 0;
  return value;
}

function must(rc) {
  if (rc !== 0) throw new Error(`call failed with ${rc}`);
}

function rateOf(count, start) {
  return (count * 1e9) / Number(process.hrtime.bigint() - start);
}
