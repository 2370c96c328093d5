/** What the compiled loop takes for granted about the rest of the unit. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as Header from '../../../../src/hw/cache-header.ts';
import { DevicePort, MAX_REQUEST_BYTES, RequestShape } from '../../../../src/hw/device-link.ts';
import { TABLE_FRAME_BASE, WORDS_PER_FRAME } from '../../../../src/hw/memory.ts';
import { GROUP_SHIFT } from '../../../../src/hw/set-assoc.ts';
import { DmaOutcome } from '../../../../src/hw/unit.ts';
import { BindingKind } from '../../../../src/hw/vtd/binding.ts';
import { Counter, TimePart } from '../../../../src/hw/vtd/counters.ts';
import * as Iotlb from '../../../../src/hw/vtd/iotlb.ts';
import { FsEntry, SsEntry } from '../../../../src/hw/vtd/layout.ts';
import * as Word from '../../../../src/hw/vtd/plain-rows/words.ts';
import { PLAIN_ROWS_WASM } from '../../../../src/hw/vtd/plain-rows-binary.ts';
import { PROT_READ, PROT_WRITE } from '../../../../src/hw/vtd/walker.ts';
import { compilePlainRows } from '../../../../tools/build-wasm.mjs';
import { DeviceUnderTest } from '../../../support/device-under-test.ts';

test('the binary is what the sources compile to', async () => {
  expect(await compilePlainRows()).toContain(PLAIN_ROWS_WASM);
});

test('numbers of the loop are those of the model', () => {
  const pairs: Readonly<Record<string, readonly [number, number]>> = {
    requests: [Word.COUNT_REQUESTS, Counter.iommu_requests],
    occupancy: [Word.COUNT_PW_OCCUPANCY, Counter.pw_occupancy],
    reads: [Word.COUNT_MRDS, Counter.iommu_mrds],
    blocked: [Word.COUNT_MEM_BLOCKED, Counter.iommu_mem_blocked],
    contextLookup: [Word.COUNT_CONTEXT_LOOKUP, Counter.ctxt_cache_lookup],
    contextHit: [Word.COUNT_CONTEXT_HIT, Counter.ctxt_cache_hit],
    pasidLookup: [Word.COUNT_PASID_LOOKUP, Counter.pasid_cache_lookup],
    pasidHit: [Word.COUNT_PASID_HIT, Counter.pasid_cache_hit],
    ssLookup: [Word.COUNT_SS_LOOKUP, Counter.ss_nonleaf_lookup],
    ssHit: [Word.COUNT_SS_HIT, Counter.ss_nonleaf_hit],
    fsLookup: [Word.COUNT_FS_LOOKUP, Counter.fs_nonleaf_lookup],
    fsHit: [Word.COUNT_FS_HIT, Counter.fs_nonleaf_hit],
    iotlbLookup: [Word.COUNT_IOTLB_LOOKUP, Counter.iotlb_lookup],
    iotlbHit: [Word.COUNT_IOTLB_HIT, Counter.iotlb_hit],
    relookup: [Word.COUNT_RELOOKUP, Counter['model.iotlb_relookup']],
    merged: [Word.COUNT_MERGED, Counter['model.merged_misses']],
    walks: [Word.COUNT_WALKS, Counter['model.page_walks']],
    walks1: [Word.COUNT_WALKS_1_READ, Counter['model.walks_1_read']],
    passThrough: [Word.COUNT_PASS_THROUGH, Counter['model.pass_through']],
    window: [Word.PART_WINDOW, TimePart.window],
    link: [Word.PART_LINK, TimePart.link],
    hitTime: [Word.PART_IOTLB_HIT, TimePart.iotlbHit],
    pageWalk: [Word.PART_PAGE_WALK, TimePart.pageWalk],
    walkQueue: [Word.PART_WALK_QUEUE, TimePart.walkQueue],
    memory: [Word.PART_MEMORY, TimePart.memory],
    hit: [Word.OUTCOME_HIT, DmaOutcome.hit],
    miss: [Word.OUTCOME_MISS, DmaOutcome.miss],
    mergedMiss: [Word.OUTCOME_MERGED, DmaOutcome.mergedMiss],
    passedThrough: [Word.OUTCOME_PASS_THROUGH, DmaOutcome.passThrough],
    secondStage: [Word.KIND_SECOND_STAGE, BindingKind.secondStage],
    firstStage: [Word.KIND_FIRST_STAGE, BindingKind.firstStage],
    passThroughKind: [Word.KIND_PASS_THROUGH, BindingKind.passThrough],
    spaceShift: [Word.SPACE_SHIFT, GROUP_SHIFT],
    pageHigh: [Word.PAGE_HIGH_LIMIT, Iotlb.MAX_PAGE_HIGH],
    protShift: [Word.PROT_SHIFT, Iotlb.VALUE_PROT_SHIFT],
    sizeShift: [Word.SIZE_SHIFT, Iotlb.VALUE_SIZE_SHIFT],
    didShift: [Word.DID_SHIFT, Iotlb.VALUE_DID_SHIFT],
    pfnHigh: [Word.PFN_HIGH_MASK, Iotlb.VALUE_PFN_HIGH],
    maxRequest: [Word.MAX_REQUEST, MAX_REQUEST_BYTES],
    step: [Word.SHAPE_STEP, RequestShape.step],
    serial: [Word.SHAPE_SERIAL, RequestShape.serial],
    downTotal: [Word.SHAPE_DOWN_TOTAL, RequestShape.downTotal],
    downStep: [Word.SHAPE_DOWN_STEP, RequestShape.downStep],
    hold: [Word.SHAPE_HOLD, RequestShape.hold],
    upFree: [Word.PORT_UP_FREE, DevicePort.upFree],
    downFree: [Word.PORT_DOWN_FREE, DevicePort.downFree],
    nextIssue: [Word.PORT_NEXT_ISSUE, DevicePort.nextIssue],
    frameBase: [Word.FRAME_BASE, TABLE_FRAME_BASE],
    frameBytes: [Word.FRAME_BYTES, 4 * WORDS_PER_FRAME],
    read: [Word.PERMISSION_READ, PROT_READ],
    write: [Word.PERMISSION_WRITE, PROT_WRITE],
    pageSize: [Word.ENTRY_PAGE_SIZE, SsEntry.pageSize],
    pageSizeFirst: [Word.ENTRY_PAGE_SIZE, FsEntry.pageSize],
    ssAccessed: [Word.SS_ACCESSED, SsEntry.accessed],
    ssDirty: [Word.SS_DIRTY, SsEntry.dirty],
    fsPresent: [Word.FS_PRESENT, FsEntry.present],
    fsWrite: [Word.FS_WRITE, FsEntry.write],
    fsUser: [Word.FS_USER, FsEntry.user],
    fsAccessed: [Word.FS_ACCESSED, FsEntry.accessed],
    fsDirty: [Word.FS_DIRTY, FsEntry.dirty],
  };
  for (const [name, [ours, theirs]] of Object.entries(pairs)) expect(ours, name).toBe(theirs);
});

test('no two words of the block share a place', () => {
  const text = readFileSync(new URL('../../../../src/hw/vtd/plain-rows/words.ts', import.meta.url), 'utf8');
  const [ints, ticks] = text
    .slice(text.indexOf('/** Int32 words'), text.indexOf('/** Counter numbers'))
    .split('/** Float64');
  const numbers = (part: string): [string, number][] =>
    [...part.matchAll(/export const (\w+) = (\d+);/g)].map(([, name, value]) => [name as string, Number(value)]);
  const lengths: Readonly<Record<string, number>> = { SS_HEADERS: 4, FS_HEADERS: 4, PATH_SLOT: 6, PATH_PROT: 6 };
  const taken = numbers(ints as string).flatMap(([name, first]) =>
    Array.from({ length: lengths[name] ?? 1 }, (_, at) => first + at),
  );
  for (const [name, first] of numbers(ticks as string))
    if (name !== 'BLOCK_LENGTH') taken.push(2 * first, 2 * first + 1);
  expect(taken.length).toBeGreaterThan(90);
  expect(new Set(taken).size).toBe(taken.length);
  expect(Math.max(...taken)).toBeLessThan(2 * Word.BLOCK_LENGTH);
});

test('no two words of a cache header are the same', () => {
  const words = Object.entries(Header).filter(([name]) => name.startsWith('CACHE_'));
  expect(words.length).toBe(Header.CACHE_WORDS + 1);
  expect(new Set(words.map(([, word]) => word)).size).toBe(words.length);
});

test.each([true, false])(
  'an address too wide for the tables faults though another device cached it (compiled: %s)',
  (plainRows) => {
    const dut = new DeviceUnderTest({ plainRows });
    const page = 2 ** 27 + 5;
    const deep = dut.table(4);
    deep.map(page, 0x777);
    const [first, second] = dut.sourceIds as [number, number];
    const shallow = dut.table(3);
    shallow.map(1, 0x778);
    dut.contexts.setLegacy(first, deep, 7);
    dut.contexts.setLegacy(second, shallow, 7);
    expect(dut.issue({ at: 1000, device: 0, page }).outcome).toBe('miss');
    expect(dut.issue({ at: 3000, device: 1, page: 1 }).outcome).toBe('miss');
    expect(dut.issue({ at: 5000, device: 0, page }).outcome).toBe('hit');
    expect(dut.issue({ at: 7000, device: 1, page })).toMatchObject({ outcome: 'fault', fault: 4 });
  },
);
