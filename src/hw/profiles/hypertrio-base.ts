/** The base configuration of HyperSIO (Lavrov, Wentzlaff, ISCA 2020): a model of others, no silicon; for cross-checks. */
import type { HardwareProfileSource } from '../profile.ts';
import { absent, assumed, documented, fullyAssociative } from './sourced.ts';
import { VTD_BDW } from './vtd-bdw.ts';

const HYPERSIO = 'PrincetonUniversity/hypersio, src/sioperf/include/defines.h and src/lib/config.py';
/** More than can be in flight: HyperSIO walks without limit. */
const UNLIMITED = 128;
const none = [0, 0, 0, 0] as const;
const window = [UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED] as const;

/** HyperSIO's base: translations over a PCIe round trip of 900 ns, unlimited walks. */
export const HYPERTRIO_BASE: HardwareProfileSource = {
  ...VTD_BDW,
  name: 'hypertrio-base',
  description: 'base configuration of the HyperSIO model (cross-check of models, no hardware)',
  iotlb: {
    ...VTD_BDW.iotlb,
    entries: documented(64, HYPERSIO),
    ways: documented(8, HYPERSIO),
    policy: documented('lru' as const, HYPERSIO),
  },
  contextCache: fullyAssociative(documented(1536, `${HYPERSIO}; replaced least frequently used there`)),
  pagingCaches: {
    region2m: { ...fullyAssociative(documented(512, HYPERSIO)), ways: documented(16, HYPERSIO) },
    region1g: { ...fullyAssociative(documented(1024, HYPERSIO)), ways: documented(16, HYPERSIO) },
    region512g: absent(`${HYPERSIO}: two levels of page caches`),
    region256t: absent(`${HYPERSIO}: two levels of page caches`),
  },
  translation: {
    ...VTD_BDW.translation,
    hitNs: documented(2, `${HYPERSIO}: SIM_LAT_IOTLB_HIT`),
    walkFixedNs: documented(1, `${HYPERSIO}: SIM_LAT_CC_HIT`),
    walkReadNs: documented(50, `${HYPERSIO}: SIM_LAT_DDR`),
    walkers: documented(UNLIMITED, `${HYPERSIO}: no limit`),
    busyExtraNs: documented(0, `${HYPERSIO}: no limit`),
    walkIntervalNs: documented(0, `${HYPERSIO}: no limit`),
  },
  link: {
    ...VTD_BDW.link,
    pcieGeneration: assumed(6, 'wire time is not modelled there: the fastest link'),
    lanes: assumed(16, 'wire time is not modelled there: the fastest link'),
    oneWayNs: documented(450, `${HYPERSIO}: SIM_LAT_PCIE`),
    readRoundTripNs: documented(900, `${HYPERSIO}: twice SIM_LAT_PCIE`),
    memoryWriteNs: documented(0, `${HYPERSIO}: translations only`),
    readPortLineNs: documented(0, `${HYPERSIO}: translations only`),
    readPortLeastNs: documented(0, `${HYPERSIO}: translations only`),
    readPortDelayNs: documented(0, `${HYPERSIO}: translations only`),
  },
  endpoint: {
    ...VTD_BDW.endpoint,
    deviceTlb: {
      entries: documented(64, HYPERSIO),
      ways: documented(8, HYPERSIO),
      policy: documented('lru' as const, HYPERSIO),
      indexing: assumed('hash' as const, 'the set function of the simulator is not followed'),
    },
    translationExtraNs: documented(0, `${HYPERSIO}: a PCIe round trip of 900 ns and nothing else`),
  },
  device: {
    requestBytes: VTD_BDW.device.requestBytes,
    readWindow: documented([...window], `${HYPERSIO}: limited by the translation queue in front`),
    writeWindow: documented([...window], `${HYPERSIO}: limited by the translation queue in front`),
    readIntervalNs: documented([...none], `${HYPERSIO}: three translations of a packet at once`),
    writeIntervalNs: documented([...none], `${HYPERSIO}: three translations of a packet at once`),
    readHoldNs: documented([...none], `${HYPERSIO}: translations only`),
  },
};
