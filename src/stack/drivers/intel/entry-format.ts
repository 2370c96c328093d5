/**
 * How leaves and table pointers of the two stages are written (VT-d spec "Translation Structure Formats"; Linux
 * __domain_mapping for 6.12, generic_pt/fmt/{vtdss,x86_64}.h from 6.19 on).
 */
import { FsEntry, SsEntry } from '../../../hw/vtd/layout.ts';
import { IommuProt } from '../../iommu/ops.ts';
import { atLeast, type KernelProfile } from '../../kernel/profile.ts';

/** Bits of one stage's entries, low words. */
export interface EntryFormat {
  readonly stage: 'first' | 'second';
  /** An entry with none of these is empty. */
  readonly presentMask: number;
  /** Marks a leaf above level 1. */
  readonly pageSize: number;
  /** What is or'ed to a table's address. */
  readonly tableBits: number;
  /** Leaf bit that the hardware sets on a write. */
  readonly dirty: number;
  /** Leaf bits of IommuProt `prot`; `snoop` asks for forced snooping. */
  leafBits(prot: number, snoop: boolean): number;
}

/** Second-stage entries as `profile` writes them. */
export function secondStageFormat(profile: KernelProfile): EntryFormat {
  const forceRead = profile.behaviours.writeOnlyLeafBecomesReadWrite ? SsEntry.read : 0;
  return {
    stage: 'second',
    presentMask: SsEntry.read | SsEntry.write,
    pageSize: SsEntry.pageSize,
    tableBits: SsEntry.read | SsEntry.write,
    dirty: SsEntry.dirty,
    leafBits: (prot, snoop) =>
      ((prot & IommuProt.read) !== 0 ? SsEntry.read : forceRead) |
      ((prot & IommuProt.write) !== 0 ? SsEntry.write : 0) |
      (snoop ? SsEntry.snoop : 0),
  };
}

/** First-stage entries as `profile` writes them: a leaf is readable whenever it is present. */
export function firstStageFormat(profile: KernelProfile): EntryFormat {
  const tableBits = FsEntry.present | FsEntry.write | FsEntry.user | FsEntry.accessed;
  // 6.12 sets accessed always and dirty with write permission; later kernels set both always.
  const always = FsEntry.present | FsEntry.user | FsEntry.accessed | (atLeast(profile, 'L70') ? FsEntry.dirty : 0);
  return {
    stage: 'first',
    presentMask: FsEntry.present,
    pageSize: FsEntry.pageSize,
    tableBits,
    dirty: FsEntry.dirty,
    leafBits: (prot) => always | ((prot & IommuProt.write) !== 0 ? FsEntry.write | FsEntry.dirty : 0),
  };
}
