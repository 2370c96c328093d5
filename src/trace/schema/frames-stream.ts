/** The physical memory that a bundle speaks of. */
import type { StreamSchema } from './column-type.ts';

/** [4 KiB pages] Data pages of a bundle lie below 1 TiB: the model numbers its table pages from here (ARCHITECTURE.md D1). */
export const DATA_FRAME_LIMIT = 2 ** 28;

/**
 * `frames.arrow`: the physical memory behind mappings, one row a contiguous run, ordered by control row then IOVA.
 */
export const FRAMES_SCHEMA = {
  /** Row in `control.arrow` of the map (or attach, where mappings were filled in then). */
  controlRow: 'u32',
  /** [4 KiB pages] */
  iovaPfn: 'u64',
  /** [4 KiB pages] */
  pfn: 'u64',
  pageCount: 'u32',
} as const satisfies StreamSchema;
