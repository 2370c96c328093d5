// Nested entries have no place in a bundle: the rule of entry-sync is held against the driver alone.
import { expect, test } from 'vitest';
import type { Pasid } from '../../../../src/address.ts';
import type { EntryStep } from '../../../../src/stack/drivers/intel/entry-step.ts';
import { IntelNestedDomain } from '../../../../src/stack/drivers/intel/nested-domain.ts';
import { replacePasidEntrySynced } from '../../../../src/stack/drivers/intel/pasid-entry-ops.ts';
import { pasidPlace, readPasidEntry } from '../../../../src/stack/drivers/intel/pasid-table.ts';
import type { PagingDomain } from '../../../../src/stack/iommu/ops.ts';
import { intelMachine } from '../../../support/intel-machine.ts';

const PASID = 5 as Pasid;
const NEST_PARENT = 1;

/** struct iommu_hwpt_vtd_s1 of a 48-bit table. */
function firstStage(table: bigint) {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(8, table, true);
  view.setUint32(16, 48, true);
  return { type: 1, lengthBytes: 24, bytes };
}

function setUp() {
  const machine = intelMachine({ kernel: 'hitless', registers: 'server', probe: { pasidBits: 20 } });
  const { kernel, driver } = machine;
  const device = machine.devices[0] as (typeof machine.devices)[number];
  const info = driver.info(device);
  const parent = kernel.run(driver.allocPaging(device, 'user', NEST_PARENT, undefined)) as PagingDomain;
  const nested = (table: bigint): IntelNestedDomain => {
    const made = kernel.run(driver.allocNested(device, parent, 0, firstStage(table)));
    if (!(made instanceof IntelNestedDomain)) throw new Error('no nested domain');
    return made;
  };
  const steps: EntryStep[] = [];
  info.unit.onEntryStep = (step) => steps.push(step);
  const actions = (): string[] =>
    steps.splice(0).map(({ action, piece }) => (piece < 0 ? action : `${action} ${piece}`));
  return { kernel, driver, device, info, parent, nested, actions };
}

test('nested to nested with a new domain id changes two pieces in use: the entry goes absent in between', () => {
  const { kernel, driver, device, nested, actions } = setUp();
  const [one, two] = [nested(0x10_0000n), nested(0x20_0000n)];
  kernel.run(driver.setPasid(device, PASID, one, undefined));
  actions();
  expect(kernel.run(driver.setPasid(device, PASID, two, one))).toBe(0);
  expect(actions()).toEqual(['clear_present', 'zero', 'setup']);
});

test('with the domain id kept, the first-stage pointer is one piece: hitless', () => {
  const { kernel, driver, device, info, nested, actions } = setUp();
  kernel.run(driver.setPasid(device, PASID, nested(0x10_0000n), undefined));
  actions();
  const place = pasidPlace(info, PASID);
  const words = readPasidEntry(info, place as NonNullable<typeof place>);
  words[4] = 0x20_0000;
  expect(kernel.run(replacePasidEntrySynced(info, PASID, words))).toBe(0);
  expect(actions()).toEqual(['piece 1']);
});

test('second stage to nested writes the piece that is ignored first', () => {
  const { kernel, driver, device, parent, nested, actions } = setUp();
  kernel.run(driver.setPasid(device, PASID, parent, undefined));
  actions();
  expect(kernel.run(driver.setPasid(device, PASID, nested(0x10_0000n), parent))).toBe(0);
  expect(actions()).toEqual(['piece 1', 'piece 0']);
});
