/** Faulted DMA by device and reason. */
import type { CaseData } from '../case-data.ts';
import { nsFromPs } from '../quantities.ts';
import type { FaultSection } from '../schema.ts';

/** Fault reasons of VT-d spec 7.1 that a translation request can meet, in plain words. */
const REASONS: Readonly<Record<number, string>> = {
  1: 'root entry not present',
  2: 'context entry not present',
  3: 'context entry invalid',
  4: 'address beyond the width of the domain',
  5: 'page not writable or not mapped (write)',
  6: 'page not readable or not mapped (read)',
  7: 'page table not readable',
  8: 'root table not readable',
  9: 'context table not readable',
  10: 'reserved bits set in root entry',
  11: 'reserved bits set in context entry',
  12: 'reserved bits set in page-table entry',
  13: 'translation type blocks the request',
  14: 'address in the interrupt range',
  80: 'PASID directory not readable',
  81: 'PASID directory entry not present',
  88: 'PASID table entry not readable',
  89: 'PASID table entry not present',
  90: 'reserved bits set in PASID table entry',
  91: 'PASID table entry invalid',
  112: 'first-stage table not readable',
  113: 'first-stage page not present',
  114: 'reserved bits set in first-stage entry',
  115: 'first-stage table pointer invalid',
  128: 'first-stage address not canonical',
};

/** Words for a fault reason code; codes without words are named by their number. */
export function faultReasonText(reason: number): string {
  return REASONS[reason] ?? `reason ${hexByte(reason)}`;
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
