/** What was mapped already when the recording began. */
import type { StreamSchema } from './column-type.ts';

/** `initial.arrow`: mappings that existed when the window began. */
export const INITIAL_SCHEMA = {
  device: 'u32',
  pasid: 'u32',
  iovaPfn: 'u64',
  pfn: 'u64',
  pageCount: 'u32',
  /** IommuProt bits: 1 read, 2 write. */
  prot: 'u8',
  /** log2 of the leaf size the recorder's table used; 0 when unknown. */
  leafShift: 'u8',
  /** {@link InitialOrigin}. */
  origin: 'u8',
} as const satisfies StreamSchema;

/** Where an initial mapping is known from. */
export const InitialOrigin = { tableDump: 0, learned: 1, synthetic: 2 } as const;
