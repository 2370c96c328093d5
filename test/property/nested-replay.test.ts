/**
 * A replay of guests' own tables reaches the frames that plain bookkeeping of stores and maps leads to, request by request,
 * whatever the shape of the tables.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Machine } from '../../src/replay/machine.ts';
import { PacingClock } from '../../src/replay/pacing.ts';
import { Replayer } from '../../src/replay/replayer.ts';
import { hardwareForRun, kernelForRun } from '../../src/replay/run-profiles.ts';
import { planShards, shardFacts } from '../../src/replay/shards.ts';
import { BundleReader } from '../../src/trace/reader.ts';
import { decodeRecipe } from '../../src/trace/synth/recipe.ts';
import { synthesizeRecipe } from '../../src/trace/synth/synthesize.ts';

const RUNS = 12;

/** Frames by DMA row as the modelled unit found them. */
function replayedFrames(bundle: BundleReader, batchRows: number): number[] {
  const world = planShards(shardFacts(bundle))[0]!;
  const hardware = hardwareForRun('vtd-emr', []).planned.profile as never;
  const kernel = kernelForRun('v7.3', []).planned.profile as never;
  const machine = new Machine({ bundle, world, hardware, kernel });
  const frames: number[] = [];
  new Replayer({
    bundle,
    world,
    timeline: machine.kernel.timeline,
    scheduler: machine.kernel.scheduler,
    unitAt: (index) => machine.unitAt(index),
    calls: machine.calls,
    clock: new PacingClock({ mode: 'closed' }, machine.originTick),
    batchRows,
    onChunk: ({ firstRow, rowCount, results }) => {
      for (let i = 0; i < rowCount; i++) {
        frames[firstRow + i] = results.fault[i]! !== 0 ? -1 : results.pfn[2 * i]! + results.pfn[2 * i + 1]! * 2 ** 32;
      }
    },
    onCall: ({ row, op, result }) => expect([row, op, result >= 0]).toEqual([row, op, true]),
  }).run();
  expect(machine.diagnosticCounts()).toEqual({});
  return frames;
}

function byControlRow<T extends { readonly controlRow: number }>(rows: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const row of rows) groups.set(row.controlRow, [...(groups.get(row.controlRow) ?? []), row]);
  return groups;
}

/** The same by sequence, without caches and time. */
function expectedFrames(bundle: BundleReader): number[] {
  const control = [...bundle.stream('control').rows()];
  const frames = byControlRow([...bundle.stream('frames').rows()]);
  const data = byControlRow([...bundle.stream('user-data').rows()]);
  /** Per IOAS: frames by page, and words by address. */
  const memory = new Map<string, { pages: Map<number, number>; words: Map<bigint, bigint> }>();
  const ioasOf = new Map<string, string>();
  const rootOf = new Map<string, bigint>();
  const attached = new Map<string, string>();
  const play = (row: number): void => {
    const { op, context, object, target, device, pasid, recordedObject } = control[row]!;
    const name = `${context} ${object}`;
    const given = data.get(row) ?? [];
    if (op === 'IOMMU_IOAS_ALLOC') memory.set(`${context} ${recordedObject}`, { pages: new Map(), words: new Map() });
    if (op === 'IOMMU_IOAS_MAP') {
      for (const { iovaPfn, pfn, pageCount } of frames.get(row)!) {
        for (let i = 0; i < pageCount; i++) memory.get(name)!.pages.set(Number(iovaPfn) + i, Number(pfn) + i);
      }
    }
    if (op === 'IOMMU_HWPT_ALLOC') {
      ioasOf.set(`${context} ${recordedObject}`, ioasOf.get(name) ?? name);
      if (given.length > 0) rootOf.set(`${context} ${recordedObject}`, given[0]!.address);
    }
    if (op === 'user_store') {
      for (const { address, value, step, count } of given) {
        for (let i = 0n; i < count; i++) memory.get(name)!.words.set(address + 8n * i, value + step * i);
      }
    }
    if (op === 'VFIO_DEVICE_ATTACH_IOMMUFD_PT') {
      attached.set(`${device} ${pasid === 0xffff_ffff ? 0 : pasid}`, `${context} ${target}`);
    }
  };
  const translate = (device: number, pasid: number, page: bigint): number => {
    const hwpt = attached.get(`${device} ${pasid}`)!;
    const { pages, words } = memory.get(ioasOf.get(hwpt)!)!;
    let table = rootOf.get(hwpt)!;
    for (let level = 3n; level >= 0n; level--) {
      const entry = words.get(table + 8n * ((page >> (9n * level)) & 511n)) ?? 0n;
      if ((entry & 1n) === 0n) return -1;
      table = entry & 0xf_ffff_ffff_f000n;
      const below = (1n << (9n * level)) - 1n;
      if (level === 0n || (entry & 0x80n) !== 0n) return pages.get(Number((table >> 12n) | (page & below))) ?? -1;
    }
    return -1;
  };
  let next = 0;
  return [...bundle.dma(0)!.rows()].map(({ sequence, device, pasid, iova }) => {
    while (next < control.length && control[next]!.sequence < sequence) play(next++);
    return translate(device, pasid, iova >> 12n);
  });
}

test('every request through two stages reaches the frame that bookkeeping leads to', async () => {
  const seed = 20261130;
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        devices: fc.integer({ min: 1, max: 3 }),
        pasids: fc.integer({ min: 0, max: 3 }),
        slots: fc.constantFrom(1, 2, 4),
        rounds: fc.integer({ min: 0, max: 6 }),
        shape: fc.constantFrom([4096, 16], [4096, 1024], [4096, 2048], [2_097_152, 4], [2_097_152, 12]),
        seed: fc.nat(),
      }),
      fc.integer({ min: 1, max: 300 }),
      async ({ shape, ...fields }, batchRows) => {
        const [pageBytes, blocks] = shape as [number, number];
        const path = join(mkdtempSync(join(tmpdir(), 'nested-replay-')), 'bundle');
        const recipe = {
          name: 'nested',
          kind: 'nested',
          rows: 600,
          pageBytes,
          regionBytes: pageBytes * blocks,
          ...fields,
        };
        await synthesizeRecipe(decodeRecipe(recipe, 'test'), path);
        const bundle = BundleReader.open(path);
        const expected = expectedFrames(bundle);
        expect(expected.every((frame) => frame >= 0)).toBe(true);
        expect(replayedFrames(bundle, batchRows)).toEqual(expected);
        bundle.close();
      },
    ),
    { numRuns: RUNS, seed },
  );
});
