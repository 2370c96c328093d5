/** Writes to 0xFEEx_xxxx: interrupt requests, unless they carry a PASID (VT-d spec 3.14). */
import { describe, expect, test } from 'vitest';
import { DeviceUnderTest, type TestDma } from '../../../support/device-under-test.ts';

const RANGE = [0xfee00, 0xfee01, 0xfeeff];
const OUTSIDE = [0xfedff, 0xfef00, 0x1_000f_ee00];
const PASID = 5;
const DEVICE_TLB_ENABLE = 4;

/** Device 0 and 1 with a PASID on a first stage, without one on a second stage; device 0 may have ATS. */
function bench(plainRows: boolean, ats = false): DeviceUnderTest {
  const dut = new DeviceUnderTest({ scalable: true, plainRows, ...(ats ? { endpoints: [{ device: 0 }] } : {}) });
  for (const source of dut.sourceIds) {
    const first = dut.table(4, 'first');
    const second = dut.table();
    for (const page of [...RANGE, ...OUTSIDE]) {
      first.map(page, 0x500);
      second.map(page, 0x600);
    }
    dut.contexts.setPasid(source, 0, second, 7);
    dut.contexts.setPasid(source, PASID, first, 8);
    if (ats) dut.contexts.setContextBits(source, DEVICE_TLB_ENABLE);
  }
  if (ats) dut.enableAts(0);
  return dut;
}

/** What the row is answered, twice: with nothing cached, and with everything; a probe says the same. */
function twice(dut: DeviceUnderTest, row: TestDma): (string | number)[] {
  const probe = (): number[] => {
    const { outcome, pfn } = dut.unit.probe(
      dut.sourceIds[row.device ?? 0] as never,
      (row.pasid ?? 0) as never,
      row.page,
      row.write === true ? 1 : 0,
    );
    return [outcome, pfn];
  };
  const answers: (string | number)[] = [];
  for (const at of [10_000, 20_000]) {
    const [outcome, pfn] = probe() as [number, number];
    const answer = dut.issue({ ...row, at: Math.max(at, dut.timeline.now / 1000) });
    expect(pfn).toBe(answer.pfn);
    expect(outcome === 4).toBe(answer.outcome === 'passThrough');
    answers.push(answer.outcome, answer.pfn);
  }
  return answers;
}

describe.each([true, false])('compiled loop: %s', (plainRows) => {
  test.each(RANGE)('a write without PASID to page %i is an interrupt request, a read of it is not', (page) => {
    const dut = bench(plainRows);
    expect(twice(dut, { page, write: true, bytes: 4 })).toEqual(['passThrough', page, 'passThrough', page]);
    expect(dut.unit.counters()['model.interrupt_writes']).toBe(2);
    expect(twice(dut, { page, device: 1, bytes: 4 })).toEqual(['miss', 0x600, 'hit', 0x600]);
  });

  test.each(RANGE)('a write with PASID to page %i is translated', (page) => {
    const dut = bench(plainRows);
    expect(twice(dut, { page, pasid: PASID, write: true, bytes: 4 })).toEqual(['miss', 0x500, 'hit', 0x500]);
    expect(dut.unit.counters()['model.interrupt_writes']).toBe(0);
  });

  test.each(OUTSIDE)('page %i is outside', (page) => {
    const dut = bench(plainRows);
    const row = { page: page, write: true, bytes: 4 };
    expect(twice(dut, row)).toEqual(['miss', 0x600, 'hit', 0x600]);
  });
});

test('a device with ATS translates its writes with PASID itself, and sends its interrupts as they are', () => {
  const dut = bench(true, true);
  const rows = [
    { page: 0xfee01, write: true, bytes: 4, at: 1000 },
    { page: 0xfee01, pasid: PASID, write: true, bytes: 4, at: 9000 },
    { page: 0xfee01, pasid: PASID, write: true, bytes: 4, at: 20_000 },
  ];
  const answers = dut.run(rows).map(({ outcome, pfn }) => [outcome, pfn]);
  expect(answers).toEqual([
    ['passThrough', 0xfee01],
    ['miss', 0x500],
    ['deviceHit', 0x500],
  ]);
});
