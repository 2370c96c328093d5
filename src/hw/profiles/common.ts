/** Parts that the profiles of real units share. */
import type { HardwareProfileSource, Sourced } from '../profile.ts';
import { assumed, derived, documented, measured, specified } from './sourced.ts';

const PCIE_MODEL = 'pcie-bench/pcie-model, model/pcie.py';
const SWEEP = 'pcie-bench/data, NFP6000 bandwidth sweep, plateau of small windows, IOMMU on';

/** Codes of the specification. */
export const SPEC_FAULT_CODES: HardwareProfileSource['faultCodes'] = {
  pasidEntryNotPresent: specified(0x59, 'VT-d spec, fault reasons: SPT.2'),
  scalableContextNotPresent: specified(0x41, 'VT-d spec, fault reasons: SCT.2'),
  scalableSsRead: specified(0x79, 'VT-d spec, fault reasons: SSS.2'),
  scalableSsWrite: specified(0x79, 'VT-d spec, fault reasons: SSS.2'),
  scalableSsBeyondWidth: specified(0x84, 'VT-d spec, fault reasons: SGN.5'),
  walkFaultsCarryRidPasid: specified(false, 'VT-d spec 11.4.14: PP is set for requests with PASID'),
};

/** What a real IOTLB compares. */
export const SPEC_IOTLB_RULES = {
  tag: specified('domain' as const, 'VT-d spec 6.2.1: tags of second-stage and first-stage entries'),
  pageMaskBits: specified(0, 'VT-d spec 6.5.2.3: whole page number'),
  hitChecksPermission: specified(true, 'VT-d spec 6.2.4: permissions are cached with the translation'),
  cachesNotPresent: specified(true, 'VT-d spec 6.1: with CAP.CM = 1, which no silicon says of itself'),
};

/** TLP overheads: framing 2, sequence and LCRC 6, header 4 plus 8 or 12 bytes; ACK and flow control 8 bytes each. */
export const PCIE_OVERHEADS = {
  requestHeaderBytes: documented(24, `${PCIE_MODEL}: 2 framing + 6 DLL + 4 header + 12 of a 64-bit request`),
  completionHeaderBytes: documented(20, `${PCIE_MODEL}: 2 framing + 6 DLL + 4 header + 8 of a completion`),
  dllpBytes: assumed(16, 'one ACK and one flow-control DLLP of 8 bytes per TLP'),
};

/** The NFP6000 of pcie-bench on PCIe generation 3 x8: the device behind the published curves. */
export const NFP6000: HardwareProfileSource['device'] = {
  requestBytes: documented([64, 128, 256, 512], 'rows of this table'),
  readWindow: derived(
    [27, 19, 16, 16],
    'pcie-bench/data: round trip and readHoldNs over the plateau interval at 64 and 128 B; above, where the device sets ' +
      'the pace, the fit of the read curve at 256 B',
  ),
  writeWindow: derived([64, 64, 24, 24], 'pcie-bench/data: fit of the write curves at 64, 128 and 256 bytes'),
  readIntervalNs: measured([0, 0, 42.7, 74.5], `${SWEEP}: 48.0 Gb/s at 256 B, 55.0 at 512 B; smaller sizes by window`),
  writeIntervalNs: measured([21.1, 24.15, 40.5, 75.3], `${SWEEP}: 24.27, 42.4, 50.5, 54.4 Gb/s`),
  readHoldNs: derived(
    [0, 21.5, 49.2, 89],
    'pcie-bench/data lat_dma_sizes: 552.4, 582.0, 626.0, 700.9 ns at 64 to 512 B, less what is longer on the wire',
  ),
};

const PCIE_SPEC = 'PCI Express Base Specification 6.0, 10.3';
const HYPERSIO = 'PrincetonUniversity/hypersio, device TLB of the base configuration';
const NO_ATS_DATA = 'no public measurement';

/** Endpoints with ATS. Their caches are their makers' secrets; HyperSIO has the only published model of one. */
export const ENDPOINT: HardwareProfileSource['endpoint'] = {
  deviceTlb: {
    entries: assumed(64, `as the ${HYPERSIO}; products do not say`),
    ways: assumed(8, `as the ${HYPERSIO}; products do not say`),
    policy: assumed('lru' as const, `as the ${HYPERSIO}; products do not say`),
    indexing: assumed('hash' as const, 'the set function is not public'),
  },
  lookupNs: documented(2, `${HYPERSIO}: hit of 2 ns`),
  translationWindow: assumed(32, `${NO_ATS_DATA}; as many as an endpoint's other non-posted requests`),
  translationExtraNs: assumed(
    200,
    `${NO_ATS_DATA}; with 2 x 100 ns of flight a translation request takes 0.4 us on an IOTLB hit`,
  ),
  invalidateQueueDepth: assumed(32, 'the largest the capability can state'),
  invalidationNs: assumed(400, `${NO_ATS_DATA}; with its flight an invalidation takes 0.5 to 1 us`),
  invalidationTimeoutNs: specified(60e9, `${PCIE_SPEC}.1: an invalidation is answered within one minute`),
  pageRequestWindow: assumed(32, `${NO_ATS_DATA}; outstanding page requests that the driver allows at least`),
  pageRequestRetries: assumed(1000, 'an endpoint rides out an overflow of the queue, but not a page that stays absent'),
  pageRequestWriteNs: assumed(100, 'a posted write of 32 bytes to memory'),
};

/** {@link ENDPOINT} behind a link whose flight time is hidden by buffers in the root complex. */
export function endpointBehindBuffers(oneWayNs: number): HardwareProfileSource['endpoint'] {
  const hidden = 2 * (100 - oneWayNs);
  return {
    ...ENDPOINT,
    translationExtraNs: assumed(200 + hidden, `${NO_ATS_DATA}; a translation request takes 0.4 us on an IOTLB hit`),
    invalidationNs: assumed(400 + hidden, `${NO_ATS_DATA}; with its flight an invalidation takes 0.5 to 1 us`),
  };
}

/** A device with enough tags, limited by the root complex' buffers. */
export function bufferLimitedDevice({ value, ...origin }: Sourced<number>): HardwareProfileSource['device'] {
  const window = [64, 128, 256, 512].map((bytes) => Math.floor((value * 64) / bytes));
  return {
    requestBytes: documented([64, 128, 256, 512], 'rows of this table'),
    readWindow: { ...origin, value: window },
    writeWindow: { ...origin, value: window },
    readIntervalNs: assumed([0, 0, 0, 0], 'the device issues at link speed'),
    writeIntervalNs: assumed([0, 0, 0, 0], 'the device issues at link speed'),
    readHoldNs: assumed([0, 0, 0, 0], 'a tag is free when its data have arrived'),
  };
}
