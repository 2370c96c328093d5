import { expect, test } from 'vitest';
import { DmaOutcome } from '../../../src/hw/unit.ts';
import { StaleTranslations } from '../../../src/replay/analyses/lint.ts';
import { type ControlRow, emptyRow } from '../../../src/replay/control-row.ts';
import { columns } from '../../support/device-under-test.ts';

/** Devices of stale hits: one hit a device after `call`, on a frame that no table gives. */
function staleAfter(call: Partial<ControlRow> & Pick<ControlRow, 'op'>): string[] {
  const view = { frameOf: () => 5, awaitsFlush: () => false, translates: () => true };
  const stale = new StaleTranslations(view, 0, (device) => `device ${device}`, [0, 1]);
  const { input, out } = columns([
    { device: 0, page: 7 },
    { device: 1, page: 7 },
  ]);
  out.outcome.fill(DmaOutcome.hit);
  stale.onCall({ ...emptyRow(), ...call });
  stale.onIssued(input, out, 0, 2);
  return stale.finish().map(({ device }) => device);
}

test('a store to guests’ tables is followed by checks of its device, or of every device when it names none', () => {
  expect(staleAfter({ op: 'user_store', device: 1, context: 0, object: 3 })).toEqual(['device 1']);
  expect(staleAfter({ op: 'user_store', context: 0, object: 3 })).toEqual(['device 0', 'device 1']);
});
