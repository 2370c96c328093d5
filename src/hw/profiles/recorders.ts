/**
 * The emulated units that recordings were made on. They follow QEMU's rules, defects included, so that recordings check
 * our code exactly; they are no hardware and their times mean nothing.
 */
import type { HardwareProfileSource } from '../profile.ts';
import { absent, assumed, documented, fullyAssociative } from './sourced.ts';
import { VTD_BDW } from './vtd-bdw.ts';

const QEMU72 = 'QEMU 7.2 hw/i386/intel_iommu.c';
const QEMU111 = 'QEMU 11.1 hw/i386/intel_iommu.c';

/** QEMU 7.2. */
export const QEMU_7_2: HardwareProfileSource = {
  ...VTD_BDW,
  name: 'qemu-7.2',
  description: 'the emulated unit of QEMU 7.2 (checking recordings only)',
  registers: {
    cap: documented('d2008c222f0606', `${QEMU72}, as recorded`),
    ecap: documented('f00f4a', `${QEMU72}, as recorded in legacy mode`),
  },
  iotlb: {
    entries: documented(1024, `${QEMU72}: VTD_IOTLB_MAX_SIZE`),
    ways: documented(0, `${QEMU72}: one hash table`),
    policy: documented('reset-when-full' as const, `${QEMU72}: emptied when full`),
    indexing: documented('hash' as const, `${QEMU72}: one hash table`),
    tag: documented('source' as const, `${QEMU72}: key is source id, level and page number`),
    pageMaskBits: documented(8, `${QEMU72}: the page mask is kept in 8 bits`),
    hitChecksPermission: documented(false, `${QEMU72}: a hit returns the cached permission, no fault is raised`),
    cachesNotPresent: documented(false, `${QEMU72}: with caching-mode=on too, only what is present is cached`),
  },
  contextCache: fullyAssociative(documented(4096, `${QEMU72}: one entry per device`)),
  pasidCache: absent(`${QEMU72}: PASID entries are read on every walk`),
  pagingCaches: {
    region2m: absent(`${QEMU72}: no paging-structure cache`),
    region1g: absent(`${QEMU72}: no paging-structure cache`),
    region512g: absent(`${QEMU72}: no paging-structure cache`),
    region256t: absent(`${QEMU72}: no paging-structure cache`),
  },
  faultCodes: {
    pasidEntryNotPresent: documented(0x58, `${QEMU72}, as recorded`),
    scalableContextNotPresent: documented(0x02, `${QEMU72}: the code of legacy mode`),
    scalableSsRead: documented(0x06, `${QEMU72}: the code of legacy mode`),
    scalableSsWrite: documented(0x05, `${QEMU72}: the code of legacy mode, as recorded`),
    scalableSsBeyondWidth: documented(0x04, `${QEMU72}: the code of legacy mode, as recorded`),
    walkFaultsCarryRidPasid: documented(true, `${QEMU72}: PASID 0 from the context entry, as recorded`),
  },
};

/** QEMU 11.1. */
export const QEMU_11_1: HardwareProfileSource = {
  ...QEMU_7_2,
  name: 'qemu-11.1',
  description: 'the emulated unit of QEMU 11.1 with first-stage translation (checking recordings only)',
  registers: {
    cap: documented('81d2008c222f0606', `${QEMU111}, as recorded`),
    ecap: documented('880000f00f4a', `${QEMU111}, as recorded`),
  },
  iotlb: { ...QEMU_7_2.iotlb, pageMaskBits: documented(0, `${QEMU111}: whole page number`) },
  faultCodes: {
    pasidEntryNotPresent: documented(0x5b, `${QEMU111}, as recorded`),
    scalableContextNotPresent: assumed(0x41, 'code of the specification'),
    scalableSsRead: documented(0x79, `${QEMU111}: code of the specification`),
    scalableSsWrite: documented(0x79, `${QEMU111}: code of the specification`),
    scalableSsBeyondWidth: documented(0x84, `${QEMU111}: code of the specification`),
    walkFaultsCarryRidPasid: documented(false, `${QEMU111}, as recorded`),
  },
};
