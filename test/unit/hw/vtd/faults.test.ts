/** Fault reasons by cause, and the fault recording registers (VT-d spec 7.2). */
import { describe, expect, test } from 'vitest';
import { FPD } from '../../../../src/hw/vtd/layout.ts';
import { CAP_REG, Cap, FSTS_REG } from '../../../../src/hw/vtd/registers.ts';
import { takeFaultRecords } from '../../../../src/stack/drivers/intel/fault-log.ts';
import { DeviceUnderTest } from '../../../support/device-under-test.ts';

describe('fault reasons in legacy mode', () => {
  const cases: [string, number, (dut: DeviceUnderTest) => { page: number; write?: boolean; pasid?: number }][] = [
    ['no root entry', 1, () => ({ page: 1 })],
    [
      'no context entry',
      2,
      (dut) => {
        dut.contexts.setLegacy(dut.sourceIds[1] as number, dut.table(), 1);
        return { page: 1 };
      },
    ],
    [
      'reserved translation type',
      3,
      (dut) => {
        dut.contexts.setLegacy(dut.sourceIds[0] as number, dut.table(), 1, 3);
        return { page: 1 };
      },
    ],
    ['address beyond the width', 4, (dut) => mapped(dut, { page: 2 ** 36 })],
    ['address far beyond it', 4, (dut) => mapped(dut, { page: 2 ** 51 })],
    ['write to a read-only page', 5, (dut) => mapped(dut, { page: 2, write: true })],
    ['read of a write-only page', 6, (dut) => mapped(dut, { page: 3 })],
    ['write to nothing', 5, (dut) => mapped(dut, { page: 99, write: true })],
    ['read of nothing', 6, (dut) => mapped(dut, { page: 99 })],
    ['PASID in legacy mode', 0x31, (dut) => mapped(dut, { page: 1, pasid: 4 })],
  ];

  function mapped<T>(dut: DeviceUnderTest, row: T): T {
    const table = dut.table();
    table.map(1, 0x101);
    table.map(2, 0x102, 1);
    table.map(3, 0x103, 2);
    dut.contexts.setLegacy(dut.sourceIds[0] as number, table, 1);
    return row;
  }

  test.each(cases)('%s: %i', (_name, reason, prepare) => {
    const dut = new DeviceUnderTest();
    const row = dut.issue(prepare(dut));
    expect([row.outcome, row.fault]).toEqual(['fault', reason]);
  });

  test('a three-level table ends at 39 bits', () => {
    const dut = new DeviceUnderTest();
    const table = dut.table(3);
    table.map(2 ** 27 - 1, 7);
    dut.contexts.setLegacy(dut.sourceIds[0] as number, table, 1);
    expect(dut.issue({ page: 2 ** 27 - 1 }).pfn).toBe(7);
    expect(dut.issue({ page: 2 ** 27, at: 5000 }).fault).toBe(4);
  });

  test('a write to a page cached by a read is checked again', () => {
    const dut = new DeviceUnderTest();
    mapped(dut, undefined);
    expect(dut.issue({ page: 2 }).outcome).toBe('miss');
    expect(dut.issue({ page: 2, at: 5000, write: true }).fault).toBe(5);
  });
});

describe('fault reasons in scalable mode', () => {
  test.each([
    ['no PASID entry', 0x59, { page: 1, pasid: 6 }],
    ['no directory entry', 0x51, { page: 1, pasid: 700 }],
    ['PASID beyond the directory', 0x46, { page: 1, pasid: 9000 }],
    ['second stage: nothing mapped', 0x79, { page: 99, pasid: 0 }],
    ['first stage: nothing mapped', 0x71, { page: 99, pasid: 1 }],
    ['first stage: write to a read-only page', 0x85, { page: 2, pasid: 1, write: true }],
    ['first stage: not canonical', 0x80, { page: 2 ** 35, pasid: 1 }],
  ])('%s: 0x%s', (_name, reason, row) => {
    const dut = new DeviceUnderTest({ scalable: true });
    const second = dut.table();
    const first = dut.table(4, 'first');
    first.map(1, 0x101);
    first.map(2, 0x102, 1);
    dut.contexts.setPasid(dut.sourceIds[0] as number, 0, second, 1);
    dut.contexts.setPasid(dut.sourceIds[0] as number, 1, first, 2);
    expect(dut.issue(row).fault).toBe(reason);
  });

  test('the upper half of a first-stage address space is canonical', () => {
    const dut = new DeviceUnderTest({ scalable: true });
    const first = dut.table(4, 'first');
    first.map(2 ** 36 - 5, 0x222);
    dut.contexts.setPasid(dut.sourceIds[0] as number, 0, first, 2);
    expect(dut.issue({ page: 2 ** 52 - 5 })).toMatchObject({ outcome: 'miss', pfn: 0x222 });
    expect(dut.issue({ page: 2 ** 36 - 5, at: 5000 }).fault).toBe(0x80);
  });

  test('pass-through needs no table', () => {
    const dut = new DeviceUnderTest({ scalable: true });
    dut.contexts.setPasid(dut.sourceIds[0] as number, 0, undefined, 3);
    expect(dut.issue({ page: 0x12345 })).toMatchObject({ outcome: 'passThrough', pfn: 0x12345, fault: 0 });
  });
});

describe('accessed and dirty bits', () => {
  test('first stage: read sets A, write sets D, also when the page was cached by a read', () => {
    const dut = new DeviceUnderTest({ scalable: true });
    const table = dut.table(4, 'first');
    table.map(1, 0x101);
    dut.contexts.setPasid(dut.sourceIds[0] as number, 0, table, 2);
    dut.issue({ page: 1 });
    expect(table.leafLow(1) & 0x60).toBe(0x20);
    expect(dut.issue({ page: 1, at: 5000, write: true }).outcome).toBe('miss');
    expect(table.leafLow(1) & 0x60).toBe(0x60);
    expect(dut.issue({ page: 1, at: 9000, write: true }).outcome).toBe('hit');
  });

  test('second stage: only with SSADE', () => {
    for (const [flags, expected] of [
      [0, 0],
      [0x200, 0x300],
    ] as const) {
      const dut = new DeviceUnderTest({ scalable: true });
      const table = dut.table();
      table.map(1, 0x101);
      dut.contexts.setPasid(dut.sourceIds[0] as number, 0, table, 2, flags);
      dut.issue({ page: 1, write: true });
      expect(table.leafLow(1) & 0x300).toBe(expected);
    }
  });
});

describe('fault recording', () => {
  function faulty(): { dut: DeviceUnderTest; record: number; events: number[] } {
    const dut = new DeviceUnderTest({ devices: 12 });
    const events: number[] = [];
    dut.unit.onFaultEvent((atTick) => events.push(atTick));
    dut.contexts.setLegacy(dut.sourceIds[0] as number, dut.table(), 1);
    const record = Cap.faultRecordingOffset(dut.unit.mmioRead(CAP_REG), dut.unit.mmioRead(CAP_REG + 4));
    return { dut, record, events };
  }

  test('a record names requester, address, reason and direction', () => {
    const { dut, record, events } = faulty();
    const row = dut.issue({ page: 0x1234567, write: true });
    const words = [0, 4, 8, 12].map((offset) => dut.unit.mmioRead(record + offset));
    expect(words).toEqual([0x34567000, 0x12, 0x100, 0x8000_0005]);
    expect(dut.unit.mmioRead(FSTS_REG) & 2).toBe(2);
    expect(events).toEqual([row.ready * 1000]);
  });

  test('further faults of the requester are merged until software clears the record', () => {
    const { dut, record, events } = faulty();
    for (let i = 0; i < 5; i++) dut.issue({ page: i, at: 1000 * i });
    let counters = dut.unit.counters();
    expect([counters['model.fault_records'], counters['model.fault_records_collapsed']]).toEqual([1, 4]);
    dut.unit.mmioWrite(record + 12, 0x8000_0000, 0, dut.timeline.now);
    expect(dut.unit.mmioRead(FSTS_REG) & 2).toBe(0);
    dut.issue({ page: 9, at: 9000 });
    counters = dut.unit.counters();
    expect([counters['model.fault_records'], events.length]).toEqual([2, 2]);
  });

  test('with all records pending the overflow bit is set and faults are lost until it is cleared', () => {
    const { dut } = faulty();
    const records = Cap.faultRecords(dut.unit.mmioRead(CAP_REG + 4));
    for (let device = 0; device < 12; device++) dut.issue({ page: 1, device, at: 1000 * device });
    const counters = dut.unit.counters();
    expect([counters['model.fault_records'], counters['model.fault_records_lost']]).toEqual([records, 12 - records]);
    expect(dut.unit.mmioRead(FSTS_REG) & 1).toBe(1);
    dut.unit.mmioWrite(FSTS_REG, 1, 0, dut.timeline.now);
    expect(dut.unit.mmioRead(FSTS_REG) & 1).toBe(0);
  });

  test('FRI names the record that turned PPF on, and the handler begins there and wraps', () => {
    const { dut, record } = faulty();
    const { unit } = dut;
    const records = Cap.faultRecords(unit.mmioRead(CAP_REG + 4));
    const firstRecord = (): number => (unit.mmioRead(FSTS_REG) >>> 8) & 0xff;
    dut.issue({ page: 1 });
    expect(firstRecord()).toBe(0);
    expect(takeFaultRecords(unit, dut.timeline.now)).toHaveLength(1);
    expect(unit.mmioRead(FSTS_REG)).toBe(0);
    dut.issue({ page: 2, device: 1, at: 9000 });
    expect(unit.mmioRead(record + 12) >>> 31).toBe(0);
    expect(unit.mmioRead(record + 16 + 12) >>> 31).toBe(1);
    expect(unit.mmioRead(FSTS_REG)).toBe(0x102);
    // Faults that follow leave FRI where it is.
    for (let device = 2; device <= records; device++) dut.issue({ page: 2, device, at: 9000 + 1000 * device });
    expect(unit.mmioRead(FSTS_REG)).toBe(0x102);
    const taken = takeFaultRecords(unit, dut.timeline.now);
    expect(taken.map((fault) => fault.sourceId)).toEqual(dut.sourceIds.slice(1, records + 1));
    expect(unit.mmioRead(FSTS_REG)).toBe(0);
  });

  test('FPD in the PASID entry keeps its faults out of the records', () => {
    const dut = new DeviceUnderTest({ scalable: true });
    dut.contexts.setPasid(dut.sourceIds[0] as number, 0, dut.table(), 1, FPD);
    expect(dut.issue({ page: 1 }).fault).toBe(0x79);
    expect(dut.unit.counters()['model.fault_records']).toBe(0);
  });
});

test('writes to the interrupt range are not translated, reads of it are', () => {
  const dut = new DeviceUnderTest();
  dut.contexts.setLegacy(dut.sourceIds[0] as number, dut.table(), 1);
  expect(dut.issue({ page: 0xfee00, write: true, bytes: 4 }).outcome).toBe('passThrough');
  expect(dut.issue({ page: 0xfee00, at: 5000 }).fault).toBe(6);
});
