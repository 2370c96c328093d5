/** What requests of a device with ATS get through, and as what: entries in memory, ATS control, flags of the request. */
import { expect, test } from 'vitest';
import { ATS_ENABLE, PciRegister } from '../../../../src/hw/pci-function.ts';
import { DmaFlag } from '../../../../src/hw/unit.ts';
import { FaultReason } from '../../../../src/hw/vtd/fault-reasons.ts';
import { atsScene, DID, ONE_WAY } from '../../../support/ats-scene.ts';
import { descriptors, type TestOutcome } from '../../../support/device-under-test.ts';

test('legacy: translation type without device TLB refuses requests and records the fault', () => {
  const { dut, table, source } = atsScene();
  dut.contexts.setLegacy(source, table, DID);
  expect(dut.issue({ page: 0x1000 })).toMatchObject({ outcome: 'fault', fault: FaultReason.deviceTlbDisabled });
  expect(dut.unit.counters()['model.fault_records']).toBe(1);
});

test('scalable: without DTE the reason is SCT.6', () => {
  const { dut } = atsScene({ scalable: true, contextBits: 0 });
  expect(dut.issue({ page: 0x1000 })).toMatchObject({ outcome: 'fault', fault: FaultReason.smDeviceTlbDisabled });
});

test('a translated request faults once its PASID entry is gone, although the device still has the translation', () => {
  const { dut, source } = atsScene({ scalable: true });
  dut.issue({ page: 0x1000 });
  dut.contexts.clearPasid(source, 0);
  dut.submit(5000, [descriptors.pasidCache(DID, 0)]);
  dut.settle();
  expect(dut.issue({ page: 0x1000, at: 9000 })).toMatchObject({
    outcome: 'fault',
    fault: FaultReason.smPasidEntryNotPresent,
  });
});

test('rows that say they are translated pass with their own address; translation requests fill the device TLB', () => {
  const { dut } = atsScene();
  const rows = [
    { page: 0x1003, flags: DmaFlag.translationRequest },
    { page: 0x1003, at: 5000 },
    { page: 0x777, at: 6000, flags: DmaFlag.translated },
  ];
  const [asked, hit, translated] = dut.run(rows) as TestOutcome[];
  expect([asked?.outcome, asked?.pfn]).toEqual(['miss', 0x503]);
  expect(asked?.done).toBeCloseTo((asked as TestOutcome).ready + ONE_WAY, 6);
  expect(hit?.outcome).toBe('deviceHit');
  expect([translated?.outcome, translated?.pfn]).toEqual(['passThrough', 0x777]);
});

test('a recorded request is denied when the page is refused, not when the device is', () => {
  const { dut, table, source } = atsScene();
  dut.issue({ page: 0x9000, flags: DmaFlag.translationRequest });
  expect(dut.unit.counters()['model.device_tlb_denied']).toBe(1);
  dut.contexts.setLegacy(source, table, DID);
  dut.submit(3000, [descriptors.contextGlobal()]);
  dut.settle();
  const refused = dut.issue({ page: 0x1000, at: 9000, flags: DmaFlag.translationRequest });
  expect(refused.fault).toBe(FaultReason.deviceTlbDisabled);
  expect(dut.unit.counters()['model.device_tlb_denied']).toBe(1);
});

test('from a device without ATS they are refused', () => {
  const { dut } = atsScene();
  for (const flags of [DmaFlag.translationRequest, DmaFlag.translated]) {
    const row = dut.issue({ page: 0x1000, device: 1, flags });
    expect(row).toMatchObject({ outcome: 'fault', fault: FaultReason.deviceTlbDisabled });
  }
});

test('writes to the interrupt range are never translated', () => {
  const { dut } = atsScene();
  expect(dut.issue({ page: 0xfee00, write: true }).outcome).toBe('passThrough');
  expect(dut.unit.counters()['model.device_tlb_lookup']).toBe(0);
});

test('with ATS off requests go out untranslated, and what was cached is gone when it comes back', () => {
  const { dut } = atsScene();
  dut.issue({ page: 0x1000 });
  dut.unit.functionAt(0)?.write(PciRegister.atsControl, 0, 0);
  expect(dut.issue({ page: 0x1000, at: 5000 }).outcome).toBe('hit');
  dut.unit.functionAt(0)?.write(PciRegister.atsControl, ATS_ENABLE, 0);
  expect(dut.issue({ page: 0x1000, at: 9000 }).outcome).toBe('hit');
  expect(dut.unit.counters()['model.device_tlb_requests']).toBe(2);
});
