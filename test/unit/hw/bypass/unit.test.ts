import { expect, test } from 'vitest';
import { BypassUnit } from '../../../../src/hw/bypass/unit.ts';
import { hardwareProfile } from '../../../../src/hw/profiles/registry.ts';
import { DmaOutcome } from '../../../../src/hw/unit.ts';
import { NEVER, type Tick } from '../../../../src/units.ts';
import { columns } from '../../../support/device-under-test.ts';

const { link } = hardwareProfile('bypass').config;

test('a 64-byte read takes the measured round trip of the profile', () => {
  const unit = new BypassUnit('none', link, 1);
  const { input, out } = columns([{ page: 5, at: 100 }]);
  expect(unit.translate(input, 0, 1, NEVER, out)).toBe(1);
  expect((out.doneTick[0] as number) - (out.issueTick[0] as number)).toBe(412_000);
  expect([out.outcome[0], out.pfn[0], out.readyTick[0]]).toEqual([DmaOutcome.passThrough, 5, out.arriveTick[0]]);
});

test('64-byte reads saturate at 27 tags a round trip', () => {
  const unit = new BypassUnit('none', link, 1);
  const rows = Array.from({ length: 1000 }, (_, page) => ({ page }));
  const { input, out } = columns(rows);
  unit.translate(input, 0, rows.length, NEVER, out);
  const interval = ((out.doneTick[999] as number) - (out.doneTick[499] as number)) / 500;
  expect(Math.abs(interval / 1000 / (412 / 27) - 1)).toBeLessThan(0.01);
});

test('a row is the same however often it is interrupted, and the unit says when it would issue', () => {
  const rows = [
    { page: 5, bytes: 20_000 },
    { page: 50, bytes: 300, write: true },
  ];
  const whole = columns(rows);
  new BypassUnit('none', link, 1).translate(whole.input, 0, 2, NEVER, whole.out);
  const unit = new BypassUnit('none', link, 1);
  const { input, out } = columns(rows);
  let row = 0;
  for (let limit = 1000; row < 2; limit += 1000) {
    row = unit.translate(input, row, 2, limit as Tick, out);
    if (row < 2) expect(out.issueTick[row]).toBeGreaterThanOrEqual(limit);
  }
  expect([out.issueTick, out.doneTick]).toEqual([whole.out.issueTick, whole.out.doneTick]);
});
