/** Cascade Lake, Ice Lake and Sapphire/Emerald Rapids servers. */
import type { HardwareProfileSource } from '../profile.ts';
import {
  bufferLimitedDevice,
  endpointBehindBuffers,
  PCIE_OVERHEADS,
  SPEC_FAULT_CODES,
  SPEC_IOTLB_RULES,
} from './common.ts';
import { absent, assumed, derived, fullyAssociative, measured, published } from './sourced.ts';

const FAST_SAFE = 'Fast & Safe IO Memory Protection, SOSP 2024';
const NESTED = 'xlab-uiuc Fast-and-Safe fork, results of October 2025 (nested guest, Emerald Rapids)';

/** Xeon Gold 6234. */
export const VTD_CLX: HardwareProfileSource = {
  name: 'vtd-clx',
  description: 'Intel VT-d of Cascade Lake servers, walk cost as fitted by Fast & Safe',
  kind: 'vtd',
  registers: {
    cap: assumed('8d2078c106f0466', 'as Broadwell: 48-bit second stage with 2 MiB and 1 GiB pages'),
    ecap: assumed('f020df', 'as Broadwell, with coherent walks'),
  },
  iotlb: { ...fullyAssociative(assumed(128, 'size is not public')), ...SPEC_IOTLB_RULES },
  contextCache: fullyAssociative(assumed(64, 'size is not public')),
  pasidCache: fullyAssociative(assumed(64, 'size is not public')),
  pagingCaches: {
    region2m: fullyAssociative(published(64, `${FAST_SAFE}, footnote 3: 64 and 128 are likely`)),
    region1g: fullyAssociative(published(32, `${FAST_SAFE}, 4.1 reasons with 32`)),
    region512g: fullyAssociative(published(32, `${FAST_SAFE}, 4.1 reasons with 32`)),
    region256t: absent('no 5-level tables in this generation'),
  },
  translation: {
    hitNs: assumed(2, 'as Broadwell'),
    walkFixedNs: derived(50, `${FAST_SAFE}, 2.2: l_0 of 65 ns per page over its 1.3 walks`),
    walkReadNs: published(197, `${FAST_SAFE}, 2.2: l_m`),
    walkers: derived(
      1,
      `${FAST_SAFE}, 2.2: time per page is l_0 + M l_m with M all reads of its walks, so walks do not overlap`,
    ),
    busyExtraNs: assumed(0, 'a walker is busy as long as its walk takes'),
    walkIntervalNs: assumed(0, 'no data say that the rate of walks is limited but by their number'),
    serialiseRegion: assumed(false, 'as Broadwell'),
    releaseInOrder: assumed(false, 'as Broadwell'),
    clockNs: assumed(2, 'IOMMU clock of 500 MHz; affects counters in clocks only'),
  },
  queue: {
    doorbellNs: assumed(250, 'split of 0.9 us, between Sandy Bridge and Ice Lake'),
    fetchNs: assumed(250, 'as doorbellNs'),
    executeNs: assumed(150, 'as doorbellNs'),
    statusNs: assumed(250, 'as doorbellNs'),
  },
  link: {
    pcieGeneration: published(3, `${FAST_SAFE}: ConnectX-5`),
    lanes: published(16, `${FAST_SAFE}: 128 Gb/s`),
    maxPayloadBytes: assumed(256, 'usual setting'),
    maxReadRequestBytes: assumed(512, 'usual setting'),
    ...PCIE_OVERHEADS,
    oneWayNs: assumed(20, 'the buffers that limit the device are those of the IIO; link credits hide the flight to it'),
    readRoundTripNs: assumed(500, 'larger mesh, data in DRAM'),
    memoryWriteNs: assumed(
      60,
      'of a posted write that leaves the IIO; with it the receive rate at 1.76 reads a page fits',
    ),
    readPortLineNs: assumed(0, 'no data say that walks wait for data reads'),
    readPortLeastNs: assumed(0, 'no data say that walks wait for data reads'),
    readPortDelayNs: assumed(0, 'no data say that walks wait for data reads'),
  },
  device: bufferLimitedDevice(derived(100, `${FAST_SAFE}, citing hostCC: about 100 cachelines in flight at the IIO`)),
  endpoint: endpointBehindBuffers(20),
  faultCodes: SPEC_FAULT_CODES,
};

/** Xeon Silver 4314. */
export const VTD_ICX: HardwareProfileSource = {
  ...VTD_CLX,
  name: 'vtd-icx',
  description: 'Intel VT-d of Ice Lake servers',
  registers: {
    cap: assumed('8ed008c40780466', '57-bit width, 48-bit tables, 2 MiB and 1 GiB pages'),
    ecap: assumed('60000f050df', 'no scalable mode'),
  },
  pagingCaches: {
    ...VTD_CLX.pagingCaches,
    region2m: fullyAssociative(assumed(128, 'size is not public')),
  },
  translation: { ...VTD_CLX.translation, walkReadNs: assumed(190, 'slightly below Cascade Lake') },
  queue: {
    doorbellNs: assumed(300, 'split of 1.06 us: 2,548 cycles for one invalidation on Ice Lake, second hand'),
    fetchNs: assumed(300, 'as doorbellNs'),
    executeNs: assumed(160, 'as doorbellNs'),
    statusNs: assumed(300, 'as doorbellNs'),
  },
  link: { ...VTD_CLX.link, pcieGeneration: assumed(4, 'platform') },
};

/** Sapphire and Emerald Rapids. */
export const VTD_EMR: HardwareProfileSource = {
  ...VTD_CLX,
  name: 'vtd-emr',
  description: 'Intel VT-d of Sapphire and Emerald Rapids servers, scalable mode',
  registers: {
    cap: assumed('19ed008c40780c66', '4- and 5-level tables of both stages, 2 MiB and 1 GiB pages'),
    ecap: assumed(
      '3ef9ea6f050df',
      'scalable mode, both stages, nesting, PASID of 20 bits, accessed/dirty, device TLBs, page requests',
    ),
  },
  iotlb: { ...fullyAssociative(assumed(256, 'size is not public')), ...SPEC_IOTLB_RULES },
  contextCache: fullyAssociative(assumed(128, 'size is not public')),
  pasidCache: fullyAssociative(assumed(128, 'size is not public')),
  pagingCaches: {
    region2m: fullyAssociative(assumed(128, 'size is not public')),
    region1g: fullyAssociative(assumed(32, 'size is not public')),
    region512g: fullyAssociative(assumed(32, 'size is not public')),
    region256t: fullyAssociative(assumed(16, 'size is not public; the event list of this generation counts its hits')),
  },
  translation: {
    ...VTD_CLX.translation,
    walkFixedNs: assumed(20, 'lookup of the paging-structure caches'),
    walkReadNs: derived(170, `${NESTED}: 80 to 96 clocks per read, 85 at 2 ns a clock`),
    walkers: assumed(16, `at least 5 seen busy; ${NESTED}`),
  },
  queue: {
    doorbellNs: derived(
      500,
      `${NESTED}: strict sync of 2.07 us on the host, less about 0.4 us of software; split assumed`,
    ),
    fetchNs: derived(400, 'as doorbellNs'),
    executeNs: derived(250, 'as doorbellNs'),
    statusNs: derived(500, 'as doorbellNs'),
  },
  link: {
    ...VTD_CLX.link,
    pcieGeneration: measured(5, NESTED),
    maxPayloadBytes: measured(512, `${NESTED}: eight lookups of 512 bytes a page`),
    readRoundTripNs: assumed(600, 'larger mesh'),
  },
  device: bufferLimitedDevice(assumed(256, '256 cachelines in flight')),
};
