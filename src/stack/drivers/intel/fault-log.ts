/**
 * The fault handler of a unit (dmar_fault, Linux drivers/iommu/intel/dmar.c): reads the fault records from
 * the one that FSTS.FRI names on, around the ring and up to the first that is not pending; logs each and clears it.
 */
import { CAP_REG, Cap, FaultStatus, FSTS_REG } from '../../../hw/vtd/registers.ts';
import type { UnitRegisters } from './capabilities.ts';

/** [bytes] One fault record. */
const RECORD_BYTES = 16;
/** Words of a record (VT-d spec 11.4.14): F and T1 in word 3, PP in word 2. */
const RECORD_F = 0x8000_0000;
const TYPE_READ = 0x4000_0000;
const PASID_PRESENT = 0x8000_0000;

/** One logged fault. */
export interface LoggedFault {
  readonly write: boolean;
  /** PASID of the request; undefined when the record names none. */
  readonly pasid: number | undefined;
  readonly sourceId: number;
  /** [bytes] Address of the page. */
  readonly address: bigint;
  readonly reason: number;
}

/** Takes every pending record of a unit, oldest first, and clears it and the overflow bit. */
export function takeFaultRecords(registers: UnitRegisters, atTick: number): LoggedFault[] {
  const faults: LoggedFault[] = [];
  const pending = registers.mmioRead(FSTS_REG);
  if ((pending & FaultStatus.ppf) === 0) return faults;
  const low = registers.mmioRead(CAP_REG) >>> 0;
  const high = registers.mmioRead(CAP_REG + 4) >>> 0;
  const base = Cap.faultRecordingOffset(low, high);
  const count = Cap.faultRecords(high);
  for (let index = (pending >>> FaultStatus.friShift) & FaultStatus.friMask; ; index = (index + 1) % count) {
    const at = base + index * RECORD_BYTES;
    const word = (number: number): number => registers.mmioRead(at + 4 * number) >>> 0;
    const status = word(3);
    if ((status & RECORD_F) === 0) break;
    const source = word(2);
    faults.push({
      write: (status & TYPE_READ) === 0,
      pasid: (source & PASID_PRESENT) !== 0 ? (status >>> 8) & 0xf_ffff : undefined,
      sourceId: source & 0xffff,
      address: (BigInt(word(1)) << 32n) | BigInt(word(0)),
      reason: status & 0xff,
    });
    registers.mmioWrite(at + 8, source, RECORD_F, atTick);
  }
  registers.mmioWrite(FSTS_REG, FaultStatus.pfo, 0, atTick);
  return faults;
}
