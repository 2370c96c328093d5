/** Page frames at or above 1 TiB: `validate` and `run` refuse the same rows in the same files (ARCHITECTURE.md D1). */
import { describe, expect, test } from 'vitest';
import { runReplay } from '../../src/replay/run.ts';
import { DATA_FRAME_LIMIT } from '../../src/trace/schema/frames-stream.ts';
import { validateBundle } from '../../src/trace/validate.ts';
import { type ControlEvent, type InitialMapping, writeTestBundle } from '../support/replay-bundle.ts';

const map = (page: number, pfn: number, pages: number): ControlEvent => ({
  kind: 'control',
  op: 'dma_map',
  device: 0,
  iova: page * 4096,
  length: pages * 4096,
  recordedResult: 0,
  frames: [[page, pfn, pages]],
});

/** A sound mapping first, so that the refused one is row 1 of its file. */
function bundle(pfn: number, pages: number, initial: boolean): Promise<string> {
  const mappings: InitialMapping[] = [
    [0, 0x900, 0x900, 1],
    [0, 0x1000, pfn, pages],
  ];
  const rows = [map(0x100, 0x8000, 1), ...(initial ? [] : [map(0x200, pfn, pages)])];
  return writeTestBundle({ devices: [{}], rows, ...(initial ? { initial: mappings } : {}) });
}

describe.each([
  ['frames.arrow', false],
  ['initial.arrow', true],
] as const)('%s', (file, initial) => {
  test.each([
    ['the last frames below the limit', DATA_FRAME_LIMIT - 2, 2, true],
    ['the first frame above', DATA_FRAME_LIMIT, 1, false],
    ['a run across the limit', DATA_FRAME_LIMIT - 1, 2, false],
  ] as const)('%s', async (_name, pfn, pages, sound) => {
    const path = await bundle(pfn, pages, initial);
    const report = validateBundle(path);
    const options = { bundles: [path], hardware: ['vtd-emr'], workers: 0, toolVersion: 'test' };
    const { run, exitCode } = await runReplay(options);
    const text = JSON.stringify(report);
    if (sound) {
      expect(text).not.toContain('1 TiB');
      expect([exitCode, run.failures]).toEqual([0, []]);
      return;
    }
    expect(text).toContain('lies at or above 1 TiB');
    expect(exitCode).toBe(3);
    expect(run.failures[0]?.error).toContain(file);
    expect(run.failures[0]?.error).toMatch(/row 1\b.*frame 0x[0-9a-f]+ lies at or above 1 TiB/);
  });
});
