/**
 * A PASID entry rewritten while requests fetch it: what the unit sees is what the oracle enumerates from the stores of the
 * policy (old, new, absent, or one certain mix of 128-bit pieces), and hitless policies show old or new and nothing else
 * (the matrix of what 128-bit stores can do: VT-d spec 9.6, entry layout). The unit has neither PASID cache nor
 * paging-structure caches here and no page is used twice, so that every request fetches the entry and walks from its root.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Pasid } from '../../src/address.ts';
import type { VtdUnit } from '../../src/hw/vtd/unit.ts';
import { replacePresentEntry } from '../../src/stack/drivers/intel/pasid-replace.ts';
import { pasidPlace, writePasidEntry } from '../../src/stack/drivers/intel/pasid-table.ts';
import type { KernelBehaviours } from '../../src/stack/kernel/profile.ts';
import { columns, emptyResults } from '../support/device-under-test.ts';
import { intelMachine } from '../support/intel-machine.ts';
import { NO_PAGING_CACHES } from '../support/nested-scene.ts';
import {
  decodeEntry,
  type EntryFields,
  type EntryStore,
  encodeEntry,
  seenBetween,
} from '../support/pasid-entry-bits.ts';
import { seeded, seededTitle } from '../support/property-seed.ts';
import { TestPageTable } from '../support/table-builder.ts';

type Policy = KernelBehaviours['pasidReplace'];
/** Whose translation, under which domain id: `old 11`, `pass 12`; or `fault`. */
type Sight = string;

const PASID = 5 as Pasid;
const PAGES = 256;
const [FIRST_PAGE, OLD_PFN, NEW_PFN] = [0x1000, 0x50_0000, 0x60_0000];
const [OLD_DID, NEW_DID] = [11, 12];
const POLICIES: readonly Policy[] = ['in-place', 'clear-then-update', 'entry-sync', 'make-before-break'];

/** From what to what; the domain id stays or changes. */
interface Change {
  readonly from: EntryFields['type'];
  readonly to: EntryFields['type'];
  readonly sameDomain: boolean;
}

const TYPES = ['first', 'second', 'pass'] as const;
const changes: readonly Change[] = TYPES.flatMap((from) =>
  TYPES.flatMap((to) => [true, false].map((sameDomain) => ({ from, to, sameDomain }))),
);
const nameOf = ({ from, to, sameDomain }: Change): string =>
  `${from} to ${to}, ${sameDomain ? 'same' : 'other'} domain id`;

/** Hardware.md 1.9: two pieces in use differ only between first-stage entries of different domain ids. */
function canBeHitless({ from, to, sameDomain }: Change): boolean {
  return !(from === 'first' && to === 'first' && !sameDomain);
}

/** The stores each policy makes, in order, as documented. */
function storesOf(policy: Policy, change: Change): readonly EntryStore[] {
  switch (policy) {
    case 'in-place':
      return [[0], [1], [2], [3]];
    case 'clear-then-update':
      return ['clear', 'zero', [0, 1, 2, 3]];
    case 'make-before-break':
      return [[0, 1, 2, 3]];
    case 'entry-sync':
      if (!canBeHitless(change)) return ['clear', 'zero', [0, 1, 2, 3]];
      // Pieces the old type ignores, the one that switches, what the new type ignores.
      if (change.from !== 'first') return [[1], [0]];
      return change.to === 'first' ? [[1]] : [[0], [1]];
  }
}

/** A machine with the old entry in place. */
function scene(change: Change) {
  const machine = intelMachine({
    kernel: 'v7.3',
    registers: 'server',
    probe: { pasidBits: 20 },
    hardware: 'vtd-emr',
    hardwareOverrides: ['pasidCache.entries=0', 'pagingCaches.region256t.entries=0', ...NO_PAGING_CACHES],
  });
  const { memory, driver, devices } = machine;
  const table = (type: EntryFields['type'], pfn: number): TestPageTable => {
    const made = new TestPageTable(memory, 4, type === 'first' ? 'first' : 'second');
    for (let page = 0; page < PAGES; page++) made.map(FIRST_PAGE + page, pfn + page);
    return made;
  };
  const roots = { old: table(change.from, OLD_PFN).root, new: table(change.to, NEW_PFN).root };
  const entry = (type: EntryFields['type'], root: number, domainId: number): Uint32Array =>
    encodeEntry({ type, domainId, [type === 'first' ? 'firstRoot' : 'secondRoot']: type === 'pass' ? 0 : root });
  const old = entry(change.from, roots.old, OLD_DID);
  const next = entry(change.to, roots.new, change.sameDomain ? OLD_DID : NEW_DID);
  const info = driver.info(devices[0] as never);
  const place = pasidPlace(info, PASID) as NonNullable<ReturnType<typeof pasidPlace>>;
  writePasidEntry(info, place, old);
  const expected = (words: ArrayLike<number>): Sight => {
    const fields = decodeEntry(words);
    const root = fields?.type === 'first' ? fields.firstRoot : fields?.secondRoot;
    if (fields?.type === 'pass') return `pass ${fields.domainId}`;
    if (fields === undefined || (root !== roots.old && root !== roots.new)) return 'fault';
    return `${root === roots.old ? 'old' : 'new'} ${fields.domainId}`;
  };
  const unit = machine.hardware as VtdUnit;
  const { bindings } = unit.translator;
  const slot = bindings.slotOf(0, PASID);
  const sightOf = (page: number, fault: number, pfn: number): Sight => {
    if (fault !== 0) return 'fault';
    const whose = pfn === page ? 'pass' : pfn - page === OLD_PFN - FIRST_PAGE ? 'old' : 'new';
    if (whose === 'new' && pfn - page !== NEW_PFN - FIRST_PAGE) return `page ${pfn}`;
    return `${whose} ${bindings.domainId[slot]}`;
  };
  return { ...machine, info, old, next, expected, sightOf, unit };
}

describe.each(POLICIES)('%s', (policy) => {
  test.each(changes.map((change) => ({ name: nameOf(change), change })))('$name', ({ change }) => {
    const { kernel, info, old, next, unit, devices, ...scenery } = scene(change);
    const expected = seenBetween(old, next, storesOf(policy, change)).map(scenery.expected);
    const handle = kernel.scheduler.start(replacePresentEntry(policy, info, PASID, next));
    const seen: Sight[] = [];
    let page = FIRST_PAGE;
    // A fetch between any two events of the call: every interleaving there is.
    const look = (): void => {
      const { fault, pfn } = unit.probe(devices[0]?.sourceIds[0] as never, PASID, page, 0);
      seen.push(scenery.sightOf(page++, fault, pfn));
    };
    look();
    while (!handle.done) {
      kernel.timeline.run();
      look();
    }
    expect(handle.result).toBe(0);
    // In this order, each state for some time.
    expect(seen.filter((one, at) => one !== seen[at - 1])).toEqual(
      expected.filter((one, at) => one !== expected[at - 1]),
    );
    if (policy === 'make-before-break' || (policy === 'entry-sync' && canBeHitless(change))) {
      expect(new Set([...seen, expected[0], expected.at(-1)]).size).toBeLessThanOrEqual(2);
    }
  });
});

const RUNS = 1000;
test(seededTitle('DMA during a rewrite sees one of the enumerated entries', RUNS), () => {
  let torn = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...POLICIES),
      fc.constantFrom(...changes),
      fc.array(fc.oneof({ weight: 4, arbitrary: fc.nat(20) }, fc.nat(900)), {
        minLength: 8,
        maxLength: 40,
        size: 'max',
      }),
      (policy, change, gapsNs) => {
        const { kernel, info, old, next, unit, expected, sightOf } = scene(change);
        const states = seenBetween(old, next, storesOf(policy, change)).map(expected);
        const start = Math.ceil(kernel.now / 1000) + 1000;
        kernel.scheduler.start(replacePresentEntry(policy, info, PASID, next), { atTick: (start * 1000) as never });
        let at = start - 50;
        let reached = 0;
        gapsNs.forEach((gapNs, index) => {
          at += gapNs;
          const page = FIRST_PAGE + index;
          const { input } = columns([{ at, page, pasid: PASID, write: index % 2 === 1 }]);
          const out = emptyResults(1);
          while (unit.translate(input, 0, 1, kernel.timeline.next, out) === 0) kernel.timeline.run();
          const seen = sightOf(page, out.fault[0] as number, out.pfn[0] as number);
          // Never back to an earlier state.
          const state = states.indexOf(seen, reached);
          if (state < 0) throw new Error(`${seen} at ${at} ns after ${reached} of ${states.join(', ')}`);
          if (seen !== states[0] && seen !== states.at(-1) && seen !== 'fault') torn++;
          reached = state;
        });
      },
    ),
    seeded(RUNS),
  );
  expect(torn).toBeGreaterThan(0);
});

test('the torn entry of an in-place replace translates by the old table under the new domain id', () => {
  const change: Change = { from: 'first', to: 'first', sameDomain: false };
  const { old, next } = scene(change);
  const [, torn] = seenBetween(old, next, storesOf('in-place', change));
  const fields = decodeEntry(torn as Uint32Array) as EntryFields;
  expect(fields.domainId).toBe(decodeEntry(next)?.domainId);
  expect(fields.firstRoot).toBe(decodeEntry(old)?.firstRoot);
});
