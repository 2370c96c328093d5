/**
 * The unit against the untimed oracle (test/support/cache-oracle.ts) under every interleaving of map, unmap, invalidate,
 * attach, replace, detach and DMA that is generated: mappings and faults agree, nothing stale is used once an invalidation
 * has completed, and no hit occurs that nothing read before could explain.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Iotlb } from '../../src/hw/vtd/iotlb.ts';
import { seeded, seededTitle } from '../support/property-seed.ts';
import { TranslationWorld, type WorldDefect, type WorldOptions } from '../support/translation-world.ts';
import { focusedOperation, worldCaches, worldOperation } from '../support/world-operations.ts';

type Setting = Pick<WorldOptions, 'mode' | 'levels' | 'set'> & { readonly name: string; readonly runs: number };

const SLOW = ['translation.walkReadNs=900', 'translation.walkers=2'];
const SERIAL = ['translation.walkers=1', 'translation.serialiseRegion=true', 'translation.releaseInOrder=true'];
const INSTANT = ['queue.doorbellNs=0', 'queue.fetchNs=0', 'queue.executeNs=0', 'queue.statusNs=0'];
const SCALABLE = ['pasidCache.entries=64'];

const settings: readonly Setting[] = [
  { name: 'legacy, 4 and 3 levels', mode: 'legacy', levels: [4, 3], set: [], runs: 1500 },
  { name: 'legacy, 5 and 4 levels, slow walks', mode: 'legacy', levels: [5, 4], set: SLOW, runs: 800 },
  { name: 'scalable, 4 levels', mode: 'scalable', levels: [4, 4], set: SCALABLE, runs: 2000 },
  { name: 'scalable, 5 and 3 levels, slow walks', mode: 'scalable', levels: [5, 3], set: SLOW, runs: 1200 },
  { name: 'scalable, 3 and 5 levels, one walker, in order', mode: 'scalable', levels: [3, 5], set: SERIAL, runs: 800 },
  { name: 'scalable, queue without delay', mode: 'scalable', levels: [4, 5], set: INSTANT, runs: 800 },
];

function property(setting: Setting, seen: Record<string, number>, defect: WorldDefect = {}) {
  const length = { minLength: 20, maxLength: 90, size: 'max' } as const;
  // Device 1 has the second table of the second stage in legacy mode, of the first stage in scalable mode.
  const focused = setting.mode === 'legacy' ? focusedOperation(1, 1, 0) : focusedOperation(1, 3, 6);
  const operations = fc.oneof(
    { weight: 3, arbitrary: fc.array(worldOperation, length) },
    { weight: 1, arbitrary: fc.array(focusedOperation(0, 0, 0), length) },
    { weight: 1, arbitrary: fc.array(focused, length) },
  );
  return fc.property(fc.option(worldCaches, { nil: undefined, freq: 4 }), operations, (caches, list) => {
    const world = new TranslationWorld({ ...setting, defect, ...(caches === undefined ? {} : { caches }) });
    for (const operation of list) world.run(operation);
    for (const [how, count] of Object.entries(world.seen)) seen[how] = (seen[how] ?? 0) + count;
  });
}

describe('DMA sees what software guaranteed', () => {
  for (const setting of settings) {
    test(seededTitle(setting.name, setting.runs), () => {
      const seen: Record<string, number> = {};
      fc.assert(property(setting, seen), seeded(setting.runs));
      for (const how of ['hit', 'walk', 'fault', 'pass'])
        expect(seen[how], how).toBeGreaterThan(seeded(setting.runs).numRuns);
    });
  }
});

/** Software that leaves out one kind of invalidation, and units that are built wrong: each must be noticed. */
const defects: readonly { readonly name: string; readonly mode: Setting['mode']; readonly defect: WorldDefect }[] = [
  ...(['pages', 'domain', 'global', 'context'] as const).map((kind) => ({
    name: `software that forgets: ${kind}`,
    mode: 'legacy' as const,
    defect: { forgets: (given: { readonly kind: string }) => given.kind === kind },
  })),
  ...(['pasid', 'pasidAll', 'pasidPages'] as const).map((kind) => ({
    name: `software that forgets: ${kind}`,
    mode: 'scalable' as const,
    defect: { forgets: (given: { readonly kind: string }) => given.kind === kind },
  })),
  {
    name: 'an IOTLB that ignores generations',
    mode: 'legacy',
    defect: {
      breaks: ({ unit }) => {
        const { iotlb, spaces } = unit.translator;
        const { tags, entries } = iotlb.cache;
        iotlb.lookup = (space, low, high) => {
          for (let entry = 0; entry < entries; entry++) {
            const word = entry * 4;
            if (tags[word] === low && tags[word + 1] === ((space << 15) | high) && spaces.count > space) return entry;
          }
          return -1;
        };
      },
    },
  },
  {
    name: 'paging-structure caches that survive page-selective invalidation',
    mode: 'legacy',
    defect: {
      breaks: ({ unit }) => {
        unit.translator.ssPaging.invalidateRange = () => {};
      },
    },
  },
  {
    name: 'bindings that survive the invalidation of their entries',
    mode: 'scalable',
    defect: {
      breaks: ({ unit }) => {
        unit.translator.bindings.drop = () => {};
      },
    },
  },
  {
    name: 'second-stage invalidations that spare what went through both stages',
    mode: 'scalable',
    defect: {
      breaks: ({ unit }) => {
        unit.translator.spaces.nested.has = () => false;
      },
    },
  },
  {
    name: 'page-selective invalidations that miss large pages',
    mode: 'scalable',
    defect: {
      breaks: ({ unit }) => {
        unit.translator.iotlb.cache.remove = removeButLarge(unit.translator.iotlb);
      },
    },
  },
];

/** Removes 4 KiB entries only. */
function removeButLarge({ cache }: Iotlb): typeof cache.remove {
  const remove = cache.remove.bind(cache);
  return (key0, key1, generation) => ((key1 >>> 13) & 3) === 0 && remove(key0, key1, generation);
}

describe('the oracle notices', () => {
  for (const { name, mode, defect } of defects) {
    test(name, () => {
      const setting: Setting = { name, mode, levels: [4, 4], set: mode === 'scalable' ? SCALABLE : [], runs: 2000 };
      const found = fc.check(property(setting, {}, defect), { ...seeded(setting.runs), endOnFailure: true });
      expect(found.failed).toBe(true);
      expect(found.errorInstance).toMatchObject({ message: expect.stringContaining('which none of') });
    });
  }
});
