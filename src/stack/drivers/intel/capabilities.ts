/**
 * What one VT-d unit can do, decoded once from its capability registers (VT-d spec "Capability Register" and "Extended
 * Capability Register"; Linux drivers/iommu/intel/iommu.h).
 */
import { CAP_REG, Cap, ECAP_REG, Ecap } from '../../../hw/vtd/registers.ts';
import type { Tick } from '../../../units.ts';

/** The registers of a unit as the driver uses them. */
export interface UnitRegisters {
  mmioWrite(register: number, lo: number, hi: number, atTick: number): void;
  mmioRead(register: number): number;
  /** Registers what runs when the invalidation queue stops with an error: what a poller would read in FSTS. */
  onQueueError?(handler: (atTick: Tick) => void): void;
  /** Registers the handler of the page request event interrupt. */
  onPageRequestEvent?(handler: (atTick: Tick) => void): void;
}

/** Capabilities in effect: what the registers offer and the mode the unit runs in. */
export interface UnitCapabilities {
  /** u32 words of CAP and ECAP, low word first: GET_HW_INFO hands them out. */
  readonly capWords: readonly [number, number];
  readonly ecapWords: readonly [number, number];
  /** Root table in scalable mode (the unit has it and the kernel uses it). */
  readonly scalable: boolean;
  /** 256-bit descriptors: whenever the unit *has* scalable mode, used or not (VT-d spec 6.5.2). */
  readonly wideDescriptors: boolean;
  readonly domainIdBits: number;
  readonly cachingMode: boolean;
  readonly writeBufferFlush: boolean;
  /** Paging levels of tables (iommu->agaw + 2): as many as every stage in use can have. */
  readonly levels: number;
  /** [bits] Width of a guest address: that of `levels`, limited by MGAW. */
  readonly addressWidth: number;
  readonly secondStage: boolean;
  readonly firstStage: boolean;
  readonly ss2Mib: boolean;
  readonly ss1Gib: boolean;
  readonly fs1Gib: boolean;
  readonly fs5Level: boolean;
  readonly pageSelective: boolean;
  /** Page-selective descriptors cover at most 2^mamv pages. */
  readonly mamv: number;
  readonly drainRead: boolean;
  readonly drainWrite: boolean;
  /** ECAP.C: context and PASID structures need no cache flush. */
  readonly structureCoherent: boolean;
  /** Page-table walks snoop: ECAP.C in legacy mode, ECAP.SMPWC in scalable mode (iommu_paging_structure_coherency). */
  readonly walkCoherent: boolean;
  readonly deviceTlb: boolean;
  readonly passThrough: boolean;
  readonly snoopControl: boolean;
  readonly nest: boolean;
  /** Supervisor requests and extended access flags in first-stage tables (ECAP.SRS, EAFS). */
  readonly supervisorRequests: boolean;
  readonly extendedAccess: boolean;
  readonly pageRequest: boolean;
  readonly pasid: boolean;
  /** [bits] Width of PASIDs; 0 without PASID support or in legacy mode. */
  readonly pasidBits: number;
  /** Second-stage access/dirty bits, usable in scalable mode only. */
  readonly dirtyTracking: boolean;
}

/** Reads the capability registers of `registers`; `wantScalable` is the kernel's choice (intel_iommu=sm_on). */
export function readCapabilities(registers: UnitRegisters, wantScalable: boolean): UnitCapabilities {
  const capLo = registers.mmioRead(CAP_REG) >>> 0;
  const capHi = registers.mmioRead(CAP_REG + 4) >>> 0;
  const ecapLo = registers.mmioRead(ECAP_REG) >>> 0;
  const ecapHi = registers.mmioRead(ECAP_REG + 4) >>> 0;
  const scalable = wantScalable && Ecap.scalable(ecapHi);
  const levels = pagingLevels(widthsInUse(capLo, capHi, ecapHi, scalable));
  const walkCoherent = scalable ? Ecap.scalableCoherent(ecapHi) : Ecap.coherent(ecapLo);
  const largePages = Cap.ssLargePages(capHi);
  return {
    capWords: [capLo, capHi],
    ecapWords: [ecapLo, ecapHi],
    scalable,
    wideDescriptors: Ecap.scalable(ecapHi),
    domainIdBits: Cap.domainIdBits(capLo),
    cachingMode: Cap.cachingMode(capLo),
    writeBufferFlush: Cap.rwbf(capLo),
    levels,
    addressWidth: Math.min(widthOfLevels(levels), Cap.mgaw(capLo)),
    secondStage: !scalable || Ecap.secondStage(ecapHi),
    firstStage: scalable && Ecap.firstStage(ecapHi),
    ss2Mib: (largePages & 1) !== 0,
    ss1Gib: (largePages & 2) !== 0,
    fs1Gib: Cap.fs1Gib(capHi),
    fs5Level: Cap.fs5Level(capHi),
    pageSelective: Cap.psi(capHi),
    mamv: Cap.mamv(capHi),
    drainRead: Cap.drainRead(capHi),
    drainWrite: Cap.drainWrite(capHi),
    structureCoherent: Ecap.coherent(ecapLo),
    walkCoherent,
    deviceTlb: Ecap.deviceTlb(ecapLo),
    passThrough: Ecap.passThrough(ecapLo),
    snoopControl: Ecap.snoopControl(ecapLo),
    nest: scalable && Ecap.nest(ecapLo),
    supervisorRequests: Ecap.supervisorRequests(ecapLo),
    extendedAccess: Ecap.extendedAccess(ecapHi),
    pageRequest: Ecap.pageRequest(ecapLo),
    pasid: scalable && Ecap.pasid(ecapHi),
    pasidBits: scalable && Ecap.pasid(ecapHi) ? Ecap.pasidBits(ecapHi) : 0,
    dirtyTracking: scalable && Ecap.ssAccessDirty(ecapHi) && walkCoherent,
  };
}

/** Widths that every stage in use supports, as SAGAW has them (__iommu_calculate_sagaw). */
function widthsInUse(capLo: number, capHi: number, ecapHi: number, scalable: boolean): number {
  const second = Cap.sagaw(capLo);
  if (!scalable || !Ecap.firstStage(ecapHi)) return second;
  const first = Cap.fs5Level(capHi) ? 0b1100 : 0b100;
  return Ecap.secondStage(ecapHi) ? first & second : first;
}

/** Most levels among the supported widths. */
function pagingLevels(widths: number): number {
  for (let code = 3; code > 0; code--) if ((widths & (1 << code)) !== 0) return code + 2;
  return 4;
}

/** [bits] Address width of a table of `levels` levels. */
export function widthOfLevels(levels: number): number {
  return 12 + 9 * levels;
}
