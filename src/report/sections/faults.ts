/** Faulted DMA by device and reason. */
import { FaultReason } from '../../hw/vtd/fault-reasons.ts';
import type { CaseData } from '../case-data.ts';
import { nsFromPs } from '../quantities.ts';
import type { FaultSection } from '../schema/events.ts';

/** Fault reasons in plain words, by the model's name for the code (VT-d spec, table of non-recoverable faults). */
const TEXTS: Readonly<Partial<Record<keyof typeof FaultReason, string>>> = {
  rootNotPresent: 'root entry not present',
  contextNotPresent: 'context entry not present',
  contextInvalid: 'context entry invalid',
  addressBeyondWidth: 'address beyond the width of the domain',
  write: 'page not writable or not mapped (write)',
  read: 'page not readable or not mapped (read)',
  tableAccess: 'page table not accessible',
  rootAccess: 'root table not accessible',
  contextAccess: 'context table not accessible',
  tableReserved: 'page table entry with a reserved bit set (page size that the unit does not have)',
  deviceTlbDisabled: 'translation or translated request from a device whose context entry has no device TLB',
  pasidInLegacyMode: 'PASID in legacy mode',
  smRootAccess: 'root table not accessible',
  smRootNotPresent: 'root entry not present',
  smContextAccess: 'context table not accessible',
  smContextNotPresent: 'context entry not present',
  smContextInvalid: 'context entry invalid',
  smDeviceTlbDisabled: 'translation request with the device TLB disabled',
  smPasidDisabled: 'PASID not enabled for the device',
  smPasidTooLarge: 'PASID beyond the directory',
  smDirectoryAccess: 'PASID directory not accessible',
  smDirectoryNotPresent: 'PASID directory entry not present',
  smPasidEntryAccess: 'PASID table entry not usable',
  smPasidEntryNotPresent: 'PASID table entry not present',
  smPasidEntryInvalid: 'PASID table entry invalid',
  fsTableAccess: 'first-stage table not accessible',
  fsNotPresent: 'first-stage page not present',
  fsReserved: 'first-stage entry with a reserved bit set (page size that the unit does not have)',
  ssTableAccess: 'second-stage table not accessible',
  ssPermission: 'second-stage page not mapped or not permitted',
  ssReserved: 'second-stage entry with a reserved bit set (page size that the unit does not have)',
  fsNotCanonical: 'first-stage address not canonical',
  fsUser: 'first-stage page not open to user requests',
  ssBeyondWidth: 'address beyond the width of the second stage',
  fsWrite: 'first-stage page not writable',
  fsRead: 'first-stage page not readable',
};

const TEXT_BY_REASON: ReadonlyMap<number, string> = new Map(
  Object.entries(TEXTS).map(([name, text]) => [FaultReason[name as keyof typeof FaultReason], text]),
);

/** Words for a fault reason code; codes without words are named by their number. */
export function faultReasonText(reason: number): string {
  return TEXT_BY_REASON.get(reason) ?? `reason ${hexByte(reason)}`;
}

/** `0x59`. */
export function hexByte(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}

/** One row a group, most frequent first. */
export function faultSections(data: CaseData): FaultSection[] {
  return data.faults
    .map((group) => ({
      device: group.device,
      reason: group.reason,
      reason_text: faultReasonText(group.reason),
      count: group.count,
      first_ns: nsFromPs(group.firstTick),
      last_ns: nsFromPs(group.lastTick),
      first_iova: group.firstIova,
    }))
    .sort((a, b) => b.count - a.count || a.first_ns - b.first_ns);
}
