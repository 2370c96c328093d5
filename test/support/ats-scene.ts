/**
 * A device that translates for itself, beside one that does not. Times are the round numbers of the bench [ns]:
 * device-TLB lookup 3, link 100 one way, 40 more for a translation request.
 */
import { DeviceUnderTest } from './device-under-test.ts';
import type { TestPageTable } from './table-builder.ts';

export const DID = 7;
/** Context entry, scalable mode: DTE and PRE. */
export const DEVICE_TLB_ENABLE = 4;
export const PAGE_REQUEST_ENABLE = 16;
/** Context entry, legacy mode: translation type. */
const LEGACY_DEVICE_TLB = 1;
export const LOOKUP = 3;
export const ONE_WAY = 100;
const EXTRA = 40;

/** The bench and what its devices use. */
export interface AtsScene {
  readonly dut: DeviceUnderTest;
  /** Of both devices. */
  readonly table: TestPageTable;
  /** Of device 0. */
  readonly source: number;
}

/** How a scene differs from device 0 with ATS alone in legacy mode. */
export interface AtsSceneOptions {
  readonly set?: readonly string[];
  readonly scalable?: boolean;
  readonly pri?: boolean;
  /** PASID of device 0's table. */
  readonly pasid?: number;
  /** Of device 0's context entry in scalable mode. */
  readonly contextBits?: number;
}

/** Device 0 can have ATS, which is off; device 1 cannot. Both use one table, which is empty. */
export function emptyAtsScene(options: AtsSceneOptions = {}): AtsScene {
  const { set = [], scalable = false, pri = false, pasid = 0, contextBits = DEVICE_TLB_ENABLE } = options;
  const dut = new DeviceUnderTest({ scalable, set, endpoints: [{ device: 0, pri }] });
  const table = dut.table();
  const [source, plain] = dut.sourceIds as [number, number];
  if (scalable) {
    dut.contexts.setPasid(source, pasid, table, DID);
    dut.contexts.setPasid(plain, 0, table, DID);
    dut.contexts.setContextBits(source, contextBits);
  } else {
    dut.contexts.setLegacy(source, table, DID, LEGACY_DEVICE_TLB);
    dut.contexts.setLegacy(plain, table, DID);
  }
  return { dut, table, source };
}

/** ATS is on; 64 pages from 0x1000 on lie at 0x500, and a 2 MiB page at 0x200000 at 0x8000. */
export function atsScene(options: AtsSceneOptions = {}): AtsScene {
  const scene = emptyAtsScene(options);
  for (let page = 0; page < 64; page++) scene.table.map(0x1000 + page, 0x500 + page);
  scene.table.map(0x200000, 0x8000, 3, 1);
  scene.dut.enableAts(0);
  return scene;
}

/** [ns] A translation request that takes `translation` at the unit, from the device's lookup on. */
export function requestTime(dut: DeviceUnderTest, translation: number): number {
  return LOOKUP + dut.wire(24) + ONE_WAY + translation + EXTRA + dut.wire(28) + ONE_WAY;
}
