import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { validateBundle } from '../../../src/trace/validate.ts';
import { type BundleContent, type ControlEvent, type DmaRow, writeTestBundle } from '../../support/replay-bundle.ts';

const map: ControlEvent = {
  kind: 'control',
  op: 'dma_map',
  device: 0,
  iova: 4096,
  length: 8192,
  frames: [[1, 100, 2]],
};
const dma: DmaRow = { kind: 'dma', device: 0, iova: 4096, afterControl: 1 };
const unmap: ControlEvent = { kind: 'control', op: 'dma_unmap', device: 0, iova: 4096, length: 8192, afterDma: 1 };
const sound: BundleContent = { devices: [{}], rows: [map, dma, unmap], initial: [[0, 9, 9, 1]] };

async function problemsOf(content: BundleContent) {
  const result = validateBundle(await writeTestBundle(content));
  return result.problems.map(({ severity, file, row, reason }) => `${severity} ${file} ${row ?? '-'} ${reason}`);
}

test('a sound bundle has no problems', async () => {
  const path = await writeTestBundle(sound);
  expect(validateBundle(path)).toEqual({ valid: true, problems: [] });
});

test.each<[string, Partial<BundleContent>, string]>([
  [
    'device out of range',
    { rows: [map, { ...dma, device: 3 }, unmap] },
    'error dma-0.arrow 0 device 3 is not behind unit 0',
  ],
  ['no bytes', { rows: [map, { ...dma, bytes: 0 }, unmap] }, 'error dma-0.arrow 0 a request of 0 bytes'],
  ['reserved address type', { rows: [map, { ...dma, flags: 6 }, unmap] }, 'error dma-0.arrow 0 flags 6'],
  [
    'a map that does not exist',
    { rows: [map, { ...dma, afterControl: 9 }, unmap] },
    'error dma-0.arrow 0 control row 8 does not exist',
  ],
  [
    'a map that comes later',
    { rows: [map, { ...dma, afterControl: 2 }, unmap] },
    'error dma-0.arrow 0 waits for control row 1, which comes later',
  ],
  [
    'a DMA row that does not exist',
    { rows: [map, dma, { ...unmap, afterDma: 5 }] },
    'error control.arrow 1 afterDma: unit 0 has no DMA row 4',
  ],
  [
    'a DMA row that comes later',
    { rows: [map, { ...unmap, afterDma: 1 }, dma] },
    'error control.arrow 1 waits for DMA row 0, which comes later',
  ],
  [
    'user data of another event',
    { rows: [{ ...map, userData: [['vtd_s1', 0, 0, 0, 48]] }, dma, unmap] },
    'error user-data.arrow 0 vtd_s1 belongs to no dma_map',
  ],
  [
    'a fault block that is no power of two',
    { rows: [{ kind: 'control', op: 'IOMMU_FAULT_QUEUE_ALLOC', context: 1, length: 12_288 }] },
    'error control.arrow 0 a fault block of 12288 bytes is not a power of two of at least a page',
  ],
  [
    'a fault block smaller than a page',
    { rows: [{ kind: 'control', op: 'IOMMU_FAULT_QUEUE_ALLOC', context: 1, length: 2048 }] },
    'error control.arrow 0 a fault block of 2048 bytes is not a power of two of at least a page',
  ],
  [
    'words between words',
    { rows: [{ kind: 'control', op: 'user_store', context: 1, userData: [['words', 12, 7, 0, 1]] }] },
    'error user-data.arrow 0 words are not aligned to 8 bytes',
  ],
  [
    'user data that says nothing',
    { rows: [{ kind: 'control', op: 'user_store', context: 1, userData: [['words', 8, 7, 0, 0]] }] },
    'error user-data.arrow 0 a count of 0',
  ],
  [
    'user data of no known kind',
    { rows: [{ kind: 'control', op: 'user_store', context: 1, userData: [['bytes', 8, 7, 0, 1]] }] },
    "error user-data.arrow - unknown kind 'bytes'",
  ],
  [
    'frames of a call that maps nothing',
    { rows: [{ ...unmap, afterDma: 0, frames: [[1, 1, 1]] }] },
    'error frames.arrow 0 control row 0 maps nothing',
  ],
  [
    'frames that overlap',
    {
      rows: [
        {
          ...map,
          frames: [
            [1, 100, 2],
            [2, 300, 1],
          ],
        },
      ],
    },
    'error frames.arrow 1 the run overlaps the one before or is out of order',
  ],
  [
    'frames above 1 TiB',
    { rows: [{ ...map, frames: [[1, 2 ** 28 - 1, 2]] }] },
    'error frames.arrow 0 page frame 0xfffffff lies at or above 1 TiB',
  ],
  [
    'an initial mapping of no device',
    { initial: [[7, 1, 1, 1]] },
    'error initial.arrow 0 device 7 is not in the topology',
  ],
  [
    'lost events',
    { rows: [map, dma, unmap, { kind: 'control', op: 'lost_events' }] },
    'warning control.arrow 2 events were lost here',
  ],
  [
    'a time that steps back under recorded pacing',
    { pacing: 'recorded', rows: [map, { ...dma, timeNs: 5 }, { ...dma, timeNs: 4 }, unmap] },
    'error dma-0.arrow 1 time 4 ns lies before 5 ns of the row before',
  ],
  [
    'a time that steps back under closed pacing',
    { rows: [map, { ...dma, timeNs: 5 }, { ...dma, timeNs: 4 }, unmap] },
    'warning dma-0.arrow 1 time 4 ns lies before 5 ns of the row before',
  ],
])('%s is reported with file and row', async (_name, change, problem) => {
  expect(await problemsOf({ ...sound, ...change })).toEqual([problem]);
});

test('many problems of one kind are one entry with a count', async () => {
  const bad = Array.from({ length: 5 }, () => ({ ...dma, bytes: 0 }));
  expect(await problemsOf({ ...sound, rows: [map, ...bad] })).toEqual([
    'error dma-0.arrow 0 a request of 0 bytes (5 rows)',
  ]);
});

test('a changed byte is found by the digest', async () => {
  const path = await writeTestBundle(sound);
  const file = join(path, 'dma-0.arrow');
  const bytes = readFileSync(file);
  bytes[6] = 1;
  writeFileSync(file, bytes);
  const { valid, problems } = validateBundle(path);
  expect(valid).toBe(false);
  expect(problems).toMatchObject([{ file: 'dma-0.arrow', reason: expect.stringMatching(/^SHA-256 is /) }]);
});

test('a cut file does not keep the others from being checked', async () => {
  const path = await writeTestBundle({ ...sound, rows: [{ ...map, frames: [[1, 100, 0]] }, dma, unmap] });
  truncateSync(join(path, 'dma-0.arrow'), 200);
  const reasons = validateBundle(path).problems.map(({ file, reason }) => `${file}: ${reason}`);
  expect(reasons).toContain('dma-0.arrow: the file is cut short: no Arrow footer at its end');
  expect(reasons).toContain('frames.arrow: a run of no pages');
});

test('a file that the manifest does not list is a warning', async () => {
  const path = await writeTestBundle(sound);
  appendFileSync(join(path, 'notes.txt'), 'x');
  expect(validateBundle(path)).toMatchObject({ valid: true, problems: [{ severity: 'warning', file: 'notes.txt' }] });
});
