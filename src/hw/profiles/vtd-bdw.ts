/** Broadwell, Haswell, Ivy Bridge and Sandy Bridge servers: the units behind the pcie-bench curves (SIGCOMM 2018). */
import type { HardwareProfileSource } from '../profile.ts';
import { ENDPOINT, NFP6000, PCIE_OVERHEADS, SPEC_FAULT_CODES, SPEC_IOTLB_RULES } from './common.ts';
import { absent, assumed, derived, documented, fullyAssociative, measured } from './sourced.ts';

const LATENCY = 'pcie-bench/data lat_cmd_sweep';
const RATE =
  'pcie-bench/data, Broadwell, least squares over the bandwidth sweeps of writes of 64 and 128 B, 1 to 64 MB; at 64 MB ' +
  '45.6 ns on Broadwell, 45.9 ns with the buffers on its other socket, 45.9 and 45.1 ns on two Haswell hosts, whatever ' +
  'one walk takes there (288, 340, 228, 267 ns)';
const OVERLAP = 'enough to leave the rate of walks to the interval between them, whatever a walk takes up to 730 ns';
const HELD = 'a walker is free when its translation is ready; nothing published asks for more';
const PORT =
  'pcie-bench/data, Broadwell at 64 MB: reads of 256 B are 15.8 ns further apart than writes of 256 B, 4 ns a line; reads ' +
  'of 64 B 6.4 ns, so that is the least';

const ROMLEY_RATE =
  'the rate of walks goes with the platform, which Ivy Bridge shares with Sandy Bridge (Romley) as Haswell does with ' +
  'Broadwell (Grantley): pcie-bench/data, Sandy Bridge, reads of 64 B at 64 MB, 60.5 ns apart; with this interval vtd-snb ' +
  'gives 60.8, its line at the port and waiting for regions on top; no number of Ivy Bridge is in it';

/** Xeon E5-2630 v4. */
export const VTD_BDW: HardwareProfileSource = {
  name: 'vtd-bdw',
  description: 'Intel VT-d of Broadwell servers (Xeon E5 v4), legacy mode, fitted to pcie-bench',
  kind: 'vtd',
  registers: {
    cap: measured('8d2078c106f0466', 'pcie-bench/data, dmesg of the Broadwell host'),
    ecap: assumed(
      'f020de',
      'ECAP of the same generation: queued invalidation, device TLB, pass-through, snoop control',
    ),
  },
  iotlb: {
    ...fullyAssociative(
      derived(113, `${LATENCY}, Broadwell: hit share times window says 112 to 116 at 128 to 512 pages`),
    ),
    ...SPEC_IOTLB_RULES,
  },
  contextCache: fullyAssociative(assumed(64, 'context cache size is not public')),
  pasidCache: absent('no scalable mode in this generation'),
  pagingCaches: {
    region2m: fullyAssociative(assumed(64, 'must hold 32 regions of 2 MiB (superpage curves of pcie-bench are flat)')),
    region1g: fullyAssociative(assumed(32, 'size is not public')),
    region512g: fullyAssociative(assumed(16, 'size is not public')),
    region256t: absent('no 5-level tables in this generation'),
  },
  translation: {
    hitNs: measured(
      1,
      `${LATENCY}: the IOMMU adds -1 to 3 ns to small windows on seven hosts and sockets, 1 in the middle`,
    ),
    walkFixedNs: derived(110, `${LATENCY}: the sum 110 + 180 is the measured 288 to 290 ns, the split is assumed`),
    walkReadNs: derived(180, `${LATENCY}: the sum 110 + 180 is the measured 288 to 290 ns, the split is assumed`),
    walkers: assumed(16, OVERLAP),
    busyExtraNs: assumed(0, HELD),
    walkIntervalNs: derived(46.1, RATE),
    serialiseRegion: measured(false, 'pcie-bench/data: no slow window of 1 to 2 MB on this generation'),
    releaseInOrder: assumed(false, 'in-order release fits Broadwell at 128 pages better and Ivy Bridge far worse'),
    clockNs: assumed(2, 'IOMMU clock of 500 MHz; affects counters in clocks only'),
  },
  queue: {
    doorbellNs: assumed(200, 'split of the 0.69 us that rIOMMU Table 1 gives for one native invalidation'),
    fetchNs: assumed(200, 'as doorbellNs'),
    executeNs: assumed(100, 'as doorbellNs'),
    statusNs: assumed(200, 'as doorbellNs'),
  },
  link: {
    pcieGeneration: measured(3, 'pcie-bench, NFP6000'),
    lanes: measured(8, 'pcie-bench, NFP6000'),
    maxPayloadBytes: measured(256, 'pcie-bench/data sys-*'),
    maxReadRequestBytes: measured(512, 'pcie-bench/data sys-*'),
    ...PCIE_OVERHEADS,
    oneWayNs: assumed(100, 'share of the measured round trip that is link and root complex'),
    readRoundTripNs: measured(412, `${LATENCY}: 64 B read, data in the last-level cache, IOMMU off`),
    memoryWriteNs: assumed(150, 'from translated address to global visibility of a posted write'),
    readPortLineNs: derived(4, PORT),
    readPortLeastNs: derived(6.5, PORT),
    readPortDelayNs: assumed(
      92,
      'two intervals between walks, so that any number of devices leaves walks a third of the port',
    ),
  },
  device: NFP6000,
  endpoint: ENDPOINT,
  faultCodes: SPEC_FAULT_CODES,
};

/** Haswell: 228 and 267 ns in two hosts. */
export const VTD_HSW: HardwareProfileSource = {
  ...VTD_BDW,
  name: 'vtd-hsw',
  description: 'as vtd-bdw with the single-miss penalty of Haswell servers (Xeon E5 v3)',
  translation: {
    ...VTD_BDW.translation,
    walkFixedNs: derived(68, `${LATENCY}: 228 and 267 ns in two Haswell hosts, middle 248; split as for Broadwell`),
  },
};

/** Ivy Bridge: 298 ns, and walks as far apart as on Sandy Bridge, whose platform it shares. */
export const VTD_IVB: HardwareProfileSource = {
  ...VTD_BDW,
  name: 'vtd-ivb',
  description: 'as vtd-bdw with the single-miss penalty and the rate of walks of Ivy Bridge servers (Xeon E5 v2)',
  translation: {
    ...VTD_BDW.translation,
    walkFixedNs: derived(118, `${LATENCY}: 298 ns; split as for Broadwell`),
    walkIntervalNs: derived(51.2, ROMLEY_RATE),
  },
};

/** Sandy Bridge: no superpages, one walk at a time in a 2 MiB region. */
export const VTD_SNB: HardwareProfileSource = {
  ...VTD_BDW,
  name: 'vtd-snb',
  description: 'Intel VT-d of Sandy Bridge servers (Xeon E5): walks of one 2 MiB region one by one',
  registers: {
    cap: assumed('c9078010ef0462', 'no large second-stage pages in this generation; other fields as usual'),
    ecap: VTD_BDW.registers.ecap,
  },
  iotlb: {
    ...fullyAssociative(measured(128, `${LATENCY}: hit share by window says 125 to 128`)),
    ...SPEC_IOTLB_RULES,
  },
  translation: {
    ...VTD_BDW.translation,
    walkFixedNs: derived(60, `${LATENCY}: 242 ns; split assumed`),
    walkers: derived(5, 'pcie-bench/data: walks of 265 ns one by one, 53.9 ns apart at 64 MB (writes)'),
    busyExtraNs: derived(23, 'pcie-bench/data: 265 ns apart at 2 MB in both directions, 23 above the latency'),
    walkIntervalNs: derived(51.2, ROMLEY_RATE),
    serialiseRegion: derived(true, 'pcie-bench/data: 260 ns per miss for windows of 1 to 2 MB, 60 ns at 64 MB'),
  },
  link: {
    ...VTD_BDW.link,
    readRoundTripNs: measured(425, `${LATENCY}: Sandy Bridge host, data in the last-level cache`),
  },
};

/** The "64-entry IOTLB" of the literature. */
export const LEGACY64: HardwareProfileSource = {
  ...VTD_BDW,
  name: 'legacy64',
  description: 'as vtd-bdw with the 64 IOTLB entries that papers quote',
  iotlb: {
    ...VTD_BDW.iotlb,
    entries: documented(64, 'SIGCOMM 2018 text; ixy user-space drivers; contradicted by the raw data'),
  },
};
