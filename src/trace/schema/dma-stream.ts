/** The DMA requests, and how much of each was measured. */
import type { StreamSchema } from './column-type.ts';

/** `dma-<unit>.arrow`: DMA requests of one IOMMU unit in the order in which they reached it. */
export const DMA_SCHEMA = {
  sequence: 'u32',
  /** [ns] since the bundle's origin. */
  timeNs: 'u64',
  /** Index into `topology.devices`. */
  device: 'u16',
  /** 0 = request without PASID. */
  pasid: 'u32',
  /** [bytes] */
  iova: 'u64',
  /** [bytes] */
  bytes: 'u32',
  /** Bit 0 write, bit 1 translation request, bit 2 translated (as DmaFlag of the hardware seam). */
  flags: 'u8',
  /** {@link DmaProvenance} bits: which columns were not measured. */
  provenance: 'u8',
  /** 1 + row of the control event that must have completed before this request; 0 = none. */
  afterControl: 'u32',
} as const satisfies StreamSchema;

/** Bits of the `provenance` column; 0 = everything measured. */
export const DmaProvenance = {
  sizeInferred: 1,
  directionInferred: 2,
  timeInferred: 4,
  inferred: 8,
  synthetic: 16,
} as const;
