/** A row has at least one byte: whoever reads traces refuses others, and no unit makes up an answer for one. */
import { expect, test } from 'vitest';
import { BypassUnit } from '../../../src/hw/bypass/unit.ts';
import { hardwareProfile } from '../../../src/hw/profiles/registry.ts';
import { NEVER } from '../../../src/units.ts';
import { columns, DeviceUnderTest } from '../../support/device-under-test.ts';

const ROWS = [
  { page: 0x1000, at: 1000 },
  { page: 0x1001, at: 5000, bytes: 0 },
];

test.each([
  ['without ATS, compiled loop', true, false],
  ['without ATS, no compiled loop', false, false],
  ['with ATS', true, true],
])('a unit refuses a row of 0 bytes: %s', (_, plainRows, ats) => {
  const dut = new DeviceUnderTest({ plainRows, ...(ats ? { endpoints: [{ device: 0 }] } : {}) });
  const table = dut.table();
  for (const { page } of ROWS) table.map(page, page);
  dut.contexts.setLegacy(dut.sourceIds[0] as number, table, 7, ats ? 1 : 0);
  if (ats) dut.enableAts(0);
  expect(() => dut.run(ROWS)).toThrow('device 0: a DMA row of 0 bytes');
});

test('so does one that translates nothing', () => {
  const { input, out } = columns(ROWS);
  const unit = new BypassUnit('none', hardwareProfile('bypass').config.link, 1);
  expect(() => unit.translate(input, 0, 2, NEVER, out)).toThrow('device 0: a DMA row of 0 bytes');
});
