/** Promise 1 (same bytes for any batch size): what issues when follows from rows, not from how they are cut. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PacingClock } from '../../src/replay/pacing.ts';
import type { Pacing } from '../../src/replay/protocol.ts';
import { Replayer } from '../../src/replay/replayer.ts';
import { planShards, shardFacts } from '../../src/replay/shards.ts';
import { Scheduler } from '../../src/stack/kernel/scheduler.ts';
import { Timeline } from '../../src/timeline.ts';
import { type ControlEvent, type DmaRow, openTestBundle } from '../support/replay-bundle.ts';
import { WindowUnit } from '../support/window-unit.ts';

/** Everything that happened: per unit the DMA in order of issue, and the calls in order of completion. */
async function history(rows: readonly (DmaRow | ControlEvent)[], pacing: Pacing, cut: Cut): Promise<string> {
  const devices = [
    { unit: 0, group: 0 },
    { unit: 0, group: 0 },
    { unit: 0, group: 0 },
    { unit: 1, group: 0 },
  ];
  const bundle = await openTestBundle({ units: 2, devices, rows, batchRows: cut.recordBatchRows });
  const timeline = new Timeline();
  const units = [new WindowUnit('dmar0'), new WindowUnit('dmar1', 2)];
  const calls: [number, number, number][] = [];
  const chunks: number[][] = [[], []];
  const replayer = new Replayer({
    bundle,
    world: planShards(shardFacts(bundle))[0]!,
    timeline,
    scheduler: new Scheduler(timeline),
    unitAt: (unit) => units[unit]!,
    calls: {
      *perform(row) {
        yield 100_000 + (row.row % 7) * 50_000;
        return { result: 0 };
      },
    },
    clock: new PacingClock(pacing, 0),
    batchRows: cut.batchRows,
    skewRows: 16,
    onChunk: (chunk, unit) => chunks[unit]!.push(...chunk.results.doneTick.subarray(0, chunk.rowCount)),
    onCall: ({ row, startTick, endTick }) => calls.push([row, startTick, endTick]),
  });
  const counts = replayer.run();
  bundle.close();
  return JSON.stringify({ counts, logs: units.map((unit) => unit.log), calls, chunks });
}

interface Cut {
  readonly batchRows: number;
  readonly recordBatchRows: number;
}

/** Rows whose dependencies point back, as every importer makes them. */
const trace = fc
  .array(
    fc.record({
      control: fc.boolean(),
      device: fc.nat(3),
      page: fc.nat(3),
      gapNs: fc.nat(400),
      back: fc.nat(5),
      depends: fc.boolean(),
      cpu: fc.nat(2),
    }),
    { minLength: 1, maxLength: 120 },
  )
  .map((steps) => {
    const rows: (DmaRow | ControlEvent)[] = [];
    const unitRows = [0, 0];
    let controlRows = 0;
    let timeNs = 0;
    for (const { control, device, page, gapNs, back, depends, cpu } of steps) {
      timeNs += gapNs;
      const unit = device === 3 ? 1 : 0;
      if (control) {
        const afterDma = depends ? Math.max(0, unitRows[unit]! - back) : 0;
        rows.push({ kind: 'control', op: 'dma_map', device, cpu, timeNs, iova: page * 4096, afterDma });
        controlRows++;
      } else {
        const afterControl = depends ? Math.max(0, controlRows - back) : 0;
        rows.push({ kind: 'dma', device, timeNs, iova: page * 4096, afterControl });
        unitRows[unit]!++;
      }
    }
    // One row a unit at the end ties both into one world with a context.
    rows.push(
      { kind: 'control', op: 'marker', device: 0, context: 1 },
      { kind: 'control', op: 'marker', device: 3, context: 1 },
    );
    return rows;
  });

const pacings: Pacing[] = [{ mode: 'recorded' }, { mode: 'closed' }, { mode: 'scale', factor: 0.125 }];

test('neither batch size nor record batches change a single tick', async () => {
  await fc.assert(
    fc.asyncProperty(trace, fc.constantFrom(...pacings), async (rows, pacing) => {
      const reference = await history(rows, pacing, { batchRows: 262_144, recordBatchRows: 65_536 });
      for (const batchRows of [1, 7, 1000]) {
        expect(await history(rows, pacing, { batchRows, recordBatchRows: 13 })).toBe(reference);
      }
    }),
    { numRuns: 40 },
  );
});

test('a stream of many chunks replays as one of few', async () => {
  const rows: (DmaRow | ControlEvent)[] = [];
  let controlRows = 0;
  for (let i = 0; i < 9000; i++) {
    const device = (i * 7) % 4;
    if (i % 50 === 0) {
      rows.push({
        kind: 'control',
        op: 'dma_map',
        device,
        cpu: i % 3,
        timeNs: i * 20,
        iova: (i % 5) * 4096,
        context: 1,
      });
      controlRows++;
    }
    const afterControl = i % 11 === 0 ? controlRows : 0;
    rows.push({ kind: 'dma', device, timeNs: i * 20, iova: (i % 5) * 4096, afterControl });
  }
  for (const pacing of pacings) {
    const reference = await history(rows, pacing, { batchRows: 65_536, recordBatchRows: 65_536 });
    for (const batchRows of [64, 1500]) {
      expect(await history(rows, pacing, { batchRows, recordBatchRows: 777 })).toBe(reference);
    }
  }
});
