/** What CAP does not offer is an error of the entry that asks for it (VT-d spec 9.3, 9.6: AW, FSPM; 9.7, 9.8: page size). */
import { describe, expect, test } from 'vitest';
import { VTD_BDW, VTD_SNB } from '../../../../src/hw/profiles/vtd-bdw.ts';
import { DeviceUnderTest, FULL_CAP, type TestDma, type TestOutcome } from '../../../support/device-under-test.ts';

const DID = 7;
/** Fields of CAP that are taken away. */
const NO_39 = 1n << 9n;
const NO_57 = 1n << 11n;
const NO_2M = 1n << 34n;
const NO_1G = 1n << 35n;
const NO_FIRST_1G = 1n << 56n;
const NO_FIRST_5 = 1n << 60n;

function bench(without: bigint, scalable: boolean, plainRows = true): DeviceUnderTest {
  const cap = (BigInt(`0x${FULL_CAP}`) & ~without).toString(16);
  return new DeviceUnderTest({ scalable, plainRows, set: [`registers.cap=${cap}`] });
}

/** One row after another row of the same page, so that its binding is known if it can be; and what a probe says. */
function answer(dut: DeviceUnderTest, row: TestDma): TestOutcome {
  const probed = dut.unit.probe(dut.sourceIds[0] as never, (row.pasid ?? 0) as never, row.page, 0);
  const first = dut.issue({ ...row, at: 1000 });
  const second = dut.issue({ ...row, at: 9000 });
  expect(second.fault).toBe(first.fault);
  expect([probed.fault, probed.outcome === 3]).toEqual([first.fault, first.outcome === 'fault']);
  return first;
}

describe('address widths', () => {
  test.each([
    [3, NO_39],
    [5, NO_57],
  ])('a context entry of %i levels is invalid without SAGAW for them', (levels, field) => {
    for (const [without, fault] of [
      [0n, 0],
      [field, 3],
    ] as const) {
      for (const type of [0, 2]) {
        const dut = bench(without, false);
        const table = dut.table(levels);
        table.map(0x1000, 0x500);
        dut.contexts.setLegacy(dut.sourceIds[0] as number, table, DID, type);
        expect(answer(dut, { page: 0x1000 }).fault).toBe(fault);
      }
    }
  });

  test.each([
    [3, NO_39],
    [5, NO_57],
  ])('a PASID entry whose second stage has %i levels likewise, nested or not', (levels, field) => {
    for (const [without, fault] of [
      [0n, 0],
      [field, 0x5b],
    ] as const) {
      const dut = bench(without, true);
      const second = dut.table(levels);
      const first = dut.table(4, 'first');
      first.map(0x1000, 0x500);
      for (const page of [0x500, 0x1000]) second.map(page, 0x600);
      const [plain, nested] = dut.sourceIds as [number, number];
      dut.contexts.setPasid(plain, 0, second, DID);
      expect(answer(dut, { page: 0x1000 }).fault).toBe(fault);
      dut.contexts.setNested(nested, 0, first, second, DID);
      // The tables of the first stage are not mapped in 39 bits.
      const reason = dut.issue({ page: 0x1000, device: 1, at: 20_000 }).fault;
      if (fault === 0x5b) expect(reason).toBe(0x5b);
      else expect(reason).not.toBe(0x5b);
    }
  });

  test('a first stage of 5 levels needs FL5LP', () => {
    for (const [without, fault] of [
      [NO_57, 0],
      [NO_FIRST_5, 0x5b],
    ] as const) {
      const dut = bench(without, true);
      const table = dut.table(5, 'first');
      table.map(0x1000, 0x500);
      dut.contexts.setPasid(dut.sourceIds[0] as number, 0, table, DID);
      expect(answer(dut, { page: 0x1000 }).fault).toBe(fault);
    }
  });

  test('Broadwell has 48 bits only', () => {
    for (const levels of [3, 5]) {
      const dut = new DeviceUnderTest({ profile: VTD_BDW });
      const table = dut.table(levels);
      table.map(0x1000, 0x500);
      dut.contexts.setLegacy(dut.sourceIds[0] as number, table, DID);
      expect(dut.issue({ page: 0x1000 })).toMatchObject({ outcome: 'fault', fault: 3 });
    }
  });
});

describe.each([true, false])('page sizes (compiled loop: %s)', (plainRows) => {
  test.each([
    [1, NO_2M],
    [2, NO_1G],
  ])('a second-stage leaf of 512^%i pages is a set reserved bit without SLLPS for it', (size, field) => {
    for (const scalable of [false, true]) {
      for (const [without, fault] of [
        [0n, 0],
        [field, scalable ? 0x7a : 0xc],
      ] as const) {
        const dut = bench(without, scalable, plainRows);
        const table = dut.table(4);
        table.map(0x40000, 0x80000, 3, size);
        if (scalable) dut.contexts.setPasid(dut.sourceIds[0] as number, 0, table, DID);
        else dut.contexts.setLegacy(dut.sourceIds[0] as number, table, DID);
        // What lacks permission is not looked at further.
        expect(answer(dut, { page: 0x40005 }).fault).toBe(fault);
        table.map(0x80000, 0x80000, 1, size);
        const write = dut.issue({ page: 0x80005, write: true, at: 30_000 });
        expect(write.fault).toBe(scalable ? 0x79 : 5);
      }
    }
  });

  test('a first-stage leaf of 1 GiB needs FL1GP, one of 2 MiB nothing', () => {
    for (const [size, fault] of [
      [1, 0],
      [2, 0x72],
    ] as const) {
      const dut = bench(NO_FIRST_1G | NO_2M | NO_1G, true, plainRows);
      const table = dut.table(4, 'first');
      table.map(0x40000, 0x80000, 3, size);
      dut.contexts.setPasid(dut.sourceIds[0] as number, 0, table, DID);
      expect(answer(dut, { page: 0x40005 }).fault).toBe(fault);
    }
  });

  test.each([
    ['first-stage 1 GiB', NO_FIRST_1G, 2, 0, 0x72],
    ['second-stage 2 MiB', NO_2M, 0, 1, 0x7a],
    ['second-stage 1 GiB', NO_1G, 0, 2, 0x7a],
    ['none', 0n, 2, 2, 0],
  ])('both stages have their own sizes: %s missing', (_, without, firstSize, secondSize, fault) => {
    const dut = bench(without, true, plainRows);
    const first = dut.table(4, 'first');
    const second = dut.table(4);
    first.map(0x40000, 0x80000, 3, firstSize);
    for (const frame of first.frames) second.map(frame, frame);
    second.map(0x80000, 0xc0000, 3, secondSize);
    dut.contexts.setNested(dut.sourceIds[0] as number, 0, first, second, DID);
    expect(answer(dut, { page: 0x40000 }).fault).toBe(fault);
  });

  test('no table has leaves above 1 GiB', () => {
    const dut = bench(0n, false, plainRows);
    const table = dut.table(5);
    table.map(0, 0x80000, 3, 3);
    dut.contexts.setLegacy(dut.sourceIds[0] as number, table, DID);
    expect(answer(dut, { page: 0x40005 }).fault).toBe(0xc);
  });

  test('Sandy Bridge has no large pages', () => {
    const dut = new DeviceUnderTest({ profile: VTD_SNB, plainRows });
    const table = dut.table();
    table.map(0x40000, 0x80000, 3, 1);
    dut.contexts.setLegacy(dut.sourceIds[0] as number, table, DID);
    expect(dut.issue({ page: 0x40005 })).toMatchObject({ outcome: 'fault', fault: 0xc });
  });
});
