/**
 * Which descriptors of the invalidation queue are errors (VT-d spec 6.5.2.10: IQE): an unknown type or granularity, set
 * bits that the layout of the type reserves, an address mask beyond what the unit can do. Only bits that every revision
 * since 3.0 reserves are checked; the masks are those of QEMU's hw/i386/intel_iommu_internal.h where it has one.
 *
 * Of PASID-based IOTLB descriptors any address mask is taken, whatever CAP.MAMV says (VT-d spec 11.4.2, MAMV).
 */
import { descriptorKind } from './invalidation.ts';
import { Descriptor, DescriptorType } from './layout.ts';

/** Bits 11:9 of word 0 continue the type; every type so far has 0 there. Bit 8 and 15:12 are fields of some types only. */
const TYPE_HIGH = 0xe00;
const PASID_HIGH = 0xfff0_0000;
/** Words 2 and 3 of a descriptor without address. */
const ALL = 0xffff_ffff;

/** Reserved bits of words 0 .. 3, by type. */
const RESERVED = new Uint32Array(16 * 4);
RESERVED.set([TYPE_HIGH | 0xf1c0, 0xfffc_0000, ALL, ALL], DescriptorType.contextCache * 4);
RESERVED.set([TYPE_HIGH | 0xf100, ALL, 0xf80, 0], DescriptorType.iotlb * 4);
RESERVED.set([TYPE_HIGH | 0xffe0_01f0, 0x000f_0000, 0xffe, 0], DescriptorType.deviceTlb * 4);
RESERVED.set([TYPE_HIGH | 0x07ff_f1e0, 0xffff_0000, ALL, ALL], DescriptorType.interruptEntryCache * 4);
RESERVED.set([TYPE_HIGH | 0xffff_f100, 0, 0x3, 0], DescriptorType.wait * 4);
RESERVED.set([TYPE_HIGH | 0xf1c0, PASID_HIGH, 0xf80, 0], DescriptorType.pasidIotlb * 4);
RESERVED.set([TYPE_HIGH | 0xf1c0, PASID_HIGH, ALL, ALL], DescriptorType.pasidCache * 4);
RESERVED.set([TYPE_HIGH, 0, 0x7fe, 0], DescriptorType.pasidDeviceTlb * 4);
RESERVED.set([TYPE_HIGH | 0x1c0, PASID_HIGH, 0x3, 0], DescriptorType.pageGroupResponse * 4);

/**
 * Whether a descriptor stops the queue. `words`: the u32 words of its first 128 bits, `upper`: the bits set anywhere in the
 * other half of a 256-bit one; `maxAddressMask`: CAP.MAMV.
 */
export function isBadDescriptor(words: readonly number[], upper: number, maxAddressMask: number): boolean {
  const word0 = words[0]!;
  const kind = descriptorKind(word0);
  if (kind === 'invalid') return true;
  const at = (word0 & 0xf) * 4;
  for (let word = 0; word < 4; word++) if ((words[word]! & RESERVED[at + word]!) !== 0) return true;
  // The upper half of a page-group response is private data of the request.
  if (upper !== 0 && kind !== 'page_response') return true;
  return kind === 'iotlb_pages' && (words[2]! & Descriptor.addressMaskMask) > maxAddressMask;
}
