/**
 * Fault reason codes (VT-d spec chapter "Translation Faults", Table "Non-Recoverable Faults"; texts as in
 * Linux drivers/iommu/intel/dmar.c). Legacy-mode codes are below 0x30, scalable-mode codes above.
 */

/** Reason codes that the model can raise. */
export const FaultReason = {
  none: 0,
  /** LRT.2: present bit clear in the root entry. */
  rootNotPresent: 0x01,
  /** LCT.2: present bit clear in the context entry. */
  contextNotPresent: 0x02,
  /** LCT.4: invalid context entry (unsupported TT or AW). */
  contextInvalid: 0x03,
  /** LGN.1: address beyond the address width. */
  addressBeyondWidth: 0x04,
  /** LGN.2: write permission missing (leaf or any level above; also nothing mapped). */
  write: 0x05,
  /** LGN.3: read permission missing. */
  read: 0x06,
  /** LSL.1: next-level table not accessible. */
  tableAccess: 0x07,
  /** LRT.1: root table not accessible. */
  rootAccess: 0x08,
  /** LCT.1: context table not accessible. */
  contextAccess: 0x09,
  /** LSL.2: reserved field set in a page-table entry. */
  tableReserved: 0x0c,
  /** LCT.5: translation request or translated request while TT lets in neither (dmar.c: "PCE for translation request"). */
  deviceTlbDisabled: 0x0d,

  /** RTA.2: request with PASID in legacy mode. */
  pasidInLegacyMode: 0x31,
  /** SRT.1, SRT.2. */
  smRootAccess: 0x38,
  smRootNotPresent: 0x39,
  /** SCT.1, SCT.2, SCT.4. */
  smContextAccess: 0x40,
  smContextNotPresent: 0x41,
  smContextInvalid: 0x43,
  /** SCT.6: translation request or translated request while DTE is clear. */
  smDeviceTlbDisabled: 0x44,
  /** SCT.7: request with PASID while PASIDE is clear. */
  smPasidDisabled: 0x45,
  /** SCT.8: PASID beyond the directory. */
  smPasidTooLarge: 0x46,
  /** SPD.1, SPD.2. */
  smDirectoryAccess: 0x50,
  smDirectoryNotPresent: 0x51,
  /** SPT.1, SPT.2, SPT.4. */
  smPasidEntryAccess: 0x58,
  smPasidEntryNotPresent: 0x59,
  smPasidEntryInvalid: 0x5b,
  /** SFS.1, SFS.2, SFS.3. */
  fsTableAccess: 0x70,
  fsNotPresent: 0x71,
  fsReserved: 0x72,
  /** SSS.1, SSS.2, SSS.3. */
  ssTableAccess: 0x78,
  ssPermission: 0x79,
  ssReserved: 0x7a,
  /** SGN.1: address not canonical for the first stage. */
  fsNotCanonical: 0x80,
  /** SGN.2: supervisor page, user request. */
  fsUser: 0x81,
  /** SGN.5: address beyond the second stage's width. */
  ssBeyondWidth: 0x84,
  /** SGN.6, SGN.7: write, read permission missing in the first stage. */
  fsWrite: 0x85,
  fsRead: 0x86,
} as const;

/**
 * Codes in which implementations differ. Hardware follows the specification; QEMU reports second-stage permission
 * faults with the legacy codes and has codes of its own for a missing PASID entry.
 */
export interface FaultCodes {
  readonly pasidEntryNotPresent: number;
  readonly scalableContextNotPresent: number;
  readonly scalableSsRead: number;
  readonly scalableSsWrite: number;
  readonly scalableSsBeyondWidth: number;
  /** Fault records of walks in scalable mode name the RID's PASID although the request carried none. */
  readonly walkFaultsCarryRidPasid: boolean;
}
