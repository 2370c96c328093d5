/**
 * Which words of a VT-d invalidation descriptor are addresses (VT-d spec 6.5.2): what an anonymizer has to change and
 * what it must not.
 */

/** Descriptor types, bits 3:0 of word 0. */
const IOTLB = 2;
const DEVICE_TLB = 3;
const PASID_IOTLB = 6;
const PASID_DEVICE_TLB = 8;
/** Granularity, bits 5:4 of word 0: page-selective in both IOTLB descriptors. */
const PAGE_SELECTIVE = 3;
/** Bits of word 1 that are flags: address mask and invalidation hint; all others are the page address. */
const PAGE_MASK = 0xfffn;
/** S bit of a device-TLB descriptor: bit 0, with PASID bit 11. The size is coded in the low bits of the address. */
const SIZE_BIT = 1n;
const PASID_SIZE_BIT = 1n << 11n;
/** Address bits inside a gigabyte. */
const GIB_MASK = (1n << 30n) - 1n;

/** Word 1 of a descriptor with its page address replaced by `remap`; words that hold no address come back unchanged. */
export function remapDescriptor(word0: bigint, word1: bigint, remap: (address: bigint) => bigint): bigint {
  const type = Number(word0 & 15n);
  const granularity = Number((word0 >> 4n) & 3n);
  if ((type === IOTLB || type === PASID_IOTLB) && granularity === PAGE_SELECTIVE) {
    return remap(word1 & ~PAGE_MASK) | (word1 & PAGE_MASK);
  }
  if (type !== DEVICE_TLB && type !== PASID_DEVICE_TLB) return word1;
  const sized = (word1 & (type === DEVICE_TLB ? SIZE_BIT : PASID_SIZE_BIT)) !== 0n;
  // A range of a gigabyte or more has all lower address bits set: it is "everything" and names no place.
  if (sized && (word1 & GIB_MASK & ~PAGE_MASK) === (GIB_MASK & ~PAGE_MASK)) return word1;
  return remap(word1 & ~PAGE_MASK) | (word1 & PAGE_MASK);
}
