// Switches of nested tables: the steps of the driver alone, and whole replays of bundles.
import { expect, test } from 'vitest';
import type { Pasid } from '../../../../src/address.ts';
import type { EntryStep } from '../../../../src/stack/drivers/intel/entry-step.ts';
import { IntelNestedDomain } from '../../../../src/stack/drivers/intel/nested-domain.ts';
import { replacePasidEntrySynced } from '../../../../src/stack/drivers/intel/pasid-entry-ops.ts';
import { pasidPlace, readPasidEntry } from '../../../../src/stack/drivers/intel/pasid-table.ts';
import type { PagingDomain } from '../../../../src/stack/iommu/ops.ts';
import { intelMachine } from '../../../support/intel-machine.ts';
import { study, switchLoad } from '../../../support/switch-study.ts';

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

const POLICIES = ['block-then-setup', 'clear-then-update', 'entry-sync', 'make-before-break'] as const;
const NESTED = { fromStage: 'nested', toStage: 'nested' };

test.each([
  ['RIDs', { devices: 8 }],
  ['PASIDs', { devices: 2, pasids: 4 }],
])('a new first stage on the same second stage blacks out under entry-sync: %s', async (_who, fields) => {
  const results = await study(await switchLoad({ ...NESTED, ...fields }), { policies: POLICIES });
  for (const [policy, { summary, lintStale, diagnostics }] of results) {
    expect([policy, summary.switches, summary.failed, diagnostics]).toEqual([policy, 32, 0, {}]);
    expect([policy, summary.served_torn, summary.stale_after_return, lintStale]).toEqual([policy, 0, 0, 0]);
  }
  const synced = results.get('entry-sync')!;
  expect(synced.switches.every(({ transition }) => transition === 'nested>nested')).toBe(true);
  expect(synced.summary.hitless_by_layout).toBe(0);
  expect(synced.summary.blackout.mean_ns).toBeGreaterThan(1000);
  expect(synced.summary.blackout.mean_ns).toBe(results.get('clear-then-update')!.summary.blackout.mean_ns);
  const best = results.get('make-before-break')!.summary;
  expect([best.faulted, best.served_old > 0, best.served_new > 0]).toEqual([0, true, true]);
});

test('where nested tables on a parent share a domain id, the same switch is hitless', async () => {
  const overrides = ['behaviours.nestedDomainIds=shared'];
  const results = await study(await switchLoad(NESTED), { policies: POLICIES, overrides });
  const { faulted, stale_after_return, hitless_by_layout, served_old, served_new } = results.get('entry-sync')!.summary;
  expect([faulted, stale_after_return, hitless_by_layout]).toEqual([0, 0, 32]);
  expect(Math.min(served_old, served_new)).toBeGreaterThan(32);
  expect(results.get('clear-then-update')!.summary.faulted).toBeGreaterThan(32);
});

test.each([
  ['second', 'nested', 0],
  ['nested', 'second', 0],
  ['first', 'nested', 1000],
  ['nested', 'first', 1000],
])('%s stage to %s: entry-sync blacks out for more than %d ns or not at all', async (fromStage, toStage, least) => {
  const results = await study(await switchLoad({ fromStage, toStage }), { policies: POLICIES });
  const { blackout, failed, stale_after_return } = results.get('entry-sync')!.summary;
  expect([failed, stale_after_return]).toEqual([0, 0]);
  if (least === 0) expect(blackout.max_ns).toBe(0);
  else expect(blackout.mean_ns).toBeGreaterThan(least);
  expect(results.get('clear-then-update')!.summary.blackout.mean_ns).toBeGreaterThan(1000);
});

test('the in-place version leaves second-stage entries of nested tables behind when the domain id goes on', async () => {
  const results = await study(await switchLoad(NESTED), { policies: ['in-place'] });
  expect(results.get('in-place')!.summary.stale_after_return).toBeGreaterThan(32);
});

test('injected switches move nested tables to twins', async () => {
  const load = await switchLoad({ ...NESTED, switches: 1 });
  const inject = { everyNs: 10_000, kind: 'rid' } as const;
  const results = await study(load, { policies: ['clear-then-update', 'make-before-break'], inject });
  for (const [policy, { switches, summary }] of results) {
    const injected = switches.filter(({ kind }) => kind === 'injected');
    expect([policy, injected.length > 10]).toEqual([policy, true]);
    expect(injected.every(({ transition }) => transition === 'nested>nested')).toBe(true);
    expect(summary.stale_after_return).toBe(0);
  }
});
