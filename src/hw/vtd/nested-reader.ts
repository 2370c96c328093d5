/**
 * Reads a translation through two stages out of modelled memory as it stands: the tables of the first stage lie at
 * addresses of the second (VT-d spec 3.8). No caches, no time, no permissions.
 */
import type { Pfn } from '../../address.ts';
import type { PhysicalMemory } from '../memory.ts';
import { ADDRESS_HIGH_MASK, ADDRESS_LOW_MASK, FsEntry } from './layout.ts';

/** Highest level whose entries may be leaves: 1 GiB. */
const MAX_LEAF_LEVEL = 3;

/**
 * Frame behind IOVA page `iovaPfn`, -1 when a stage does not map it. `rootPage`: the first stage's top table [4 KiB pages],
 * of `levels` levels. `hostFrameOf`: the second stage, -1 = not mapped.
 */
export function readNestedFrame(
  memory: PhysicalMemory,
  rootPage: number,
  levels: number,
  iovaPfn: number,
  hostFrameOf: (page: number) => number,
): number {
  let page = rootPage;
  for (let level = levels; level >= 1; level--) {
    const frame = hostFrameOf(page);
    if (frame < 0 || memory.slotOf(frame) < 0) return -1;
    const span = 512 ** (level - 1);
    const word = (Math.floor(iovaPfn / span) % 512) * 2;
    const low = memory.readWord(frame as Pfn, word);
    if ((low & FsEntry.present) === 0) return -1;
    const high = memory.readWord(frame as Pfn, word + 1);
    page = (high & ADDRESS_HIGH_MASK) * 1048576 + ((low & ADDRESS_LOW_MASK) >>> 12);
    if (level === 1 || ((low & FsEntry.pageSize) !== 0 && level <= MAX_LEAF_LEVEL)) {
      return hostFrameOf(page - (page % span) + (iovaPfn % span));
    }
  }
  return -1;
}
