import { describe, expect, test } from 'vitest';
import type { ControlCall } from '../../../src/replay/control-call.ts';
import { PacingClock } from '../../../src/replay/pacing.ts';
import type { Pacing } from '../../../src/replay/protocol.ts';
import { Replayer, ReplayStalledError } from '../../../src/replay/replayer.ts';
import { planShards, shardFacts } from '../../../src/replay/shards.ts';
import { Scheduler } from '../../../src/stack/kernel/scheduler.ts';
import { Timeline } from '../../../src/timeline.ts';
import { type BundleContent, type ControlEvent, type DmaRow, openTestBundle } from '../../support/replay-bundle.ts';
import { WindowUnit } from '../../support/window-unit.ts';

const CALL_PS = 1_000_000;

/** Replays on WindowUnits with calls of 1 us each. */
async function replay(content: BundleContent, pacing: Pacing, batchRows = 4096) {
  const bundle = await openTestBundle(content);
  const timeline = new Timeline();
  const units = Array.from({ length: content.units ?? 1 }, (_, unit) => new WindowUnit(`dmar${unit}`));
  const calls: ControlCall[] = [];
  const world = planShards(shardFacts(bundle))[0]!;
  const replayer = new Replayer({
    bundle,
    world,
    timeline,
    scheduler: new Scheduler(timeline),
    unitAt: (unit) => units[unit]!,
    calls: {
      *perform() {
        yield CALL_PS;
        return { result: 0 };
      },
    },
    clock: new PacingClock(pacing, 0),
    batchRows,
    onChunk: () => {},
    onCall: (call) => calls.push(call),
  });
  const counts = replayer.run();
  bundle.close();
  return { counts, units, calls };
}

const dma = (device: number, fields: Partial<DmaRow> = {}): DmaRow => ({
  kind: 'dma',
  device,
  iova: 0x1000,
  ...fields,
});
const call = (fields: Partial<ControlEvent> = {}): ControlEvent => ({
  kind: 'control',
  op: 'dma_map',
  device: 0,
  ...fields,
});

describe('recorded pacing', () => {
  test('a row issues at its recorded time when nothing holds it', async () => {
    const { units } = await replay(
      { devices: [{}], rows: [dma(0, { timeNs: 5 }), dma(0, { timeNs: 90 })] },
      { mode: 'recorded' },
    );
    expect(units[0]!.log.map((row) => row.issueTick)).toEqual([5_000, 90_000]);
  });

  test('scale multiplies recorded times', async () => {
    const { units } = await replay({ devices: [{}], rows: [dma(0, { timeNs: 8 })] }, { mode: 'scale', factor: 2.5 });
    expect(units[0]!.log[0]!.issueTick).toBe(20_000);
  });

  test('a row waits for the control row it depends on, and other devices do not', async () => {
    const rows = [call({ timeNs: 10 }), dma(0, { timeNs: 20, afterControl: 1 }), dma(1, { timeNs: 30 })];
    const { units } = await replay({ devices: [{}, {}], rows }, { mode: 'recorded' });
    expect(units[0]!.log.map(({ device, issueTick }) => [device, issueTick])).toEqual([
      [1, 30_000],
      [0, 10_000 + CALL_PS],
    ]);
  });
});

describe('closed pacing', () => {
  test('the window of the device is the only limit of rows without dependencies', async () => {
    const rows = Array.from({ length: 8 }, () => dma(0, { timeNs: 1_000_000 }));
    const { units } = await replay({ devices: [{}], rows }, { mode: 'closed' });
    const { log } = units[0]!;
    expect(log.slice(0, 4).map((row) => row.issueTick)).toEqual([0, 0, 0, 0]);
    // The hits of rows 1..3 return before the miss of row 0.
    expect(log[4]!.issueTick).toBe(302_000);
  });

  test('a control row starts when the DMA it depends on has completed, not later', async () => {
    const rows = [dma(0), dma(0), dma(0), call({ op: 'dma_unmap', afterDma: 2 }), dma(0)];
    const { units, calls } = await replay({ devices: [{}], rows }, { mode: 'closed' });
    expect(calls[0]!.startTick).toBe(units[0]!.log[1]!.doneTick);
  });

  test('a chain of maps, DMA and unmaps runs as a dataflow', async () => {
    const rows = Array.from({ length: 10 }, (_, i) => [
      call({ op: 'dma_map', iova: 0x1000 }),
      dma(0, { afterControl: 2 * i + 1 }),
      call({ op: 'dma_unmap', iova: 0x1000, afterDma: i + 1 }),
    ]).flat();
    const { counts, units, calls } = await replay({ devices: [{}], rows }, { mode: 'closed' });
    expect(counts).toEqual({ dmaRows: 10, controlRows: 20, forwardDependencies: 0, stoppedEarly: false });
    for (let i = 0; i < 10; i++) {
      expect(units[0]!.log[i]!.issueTick).toBe(calls[2 * i]!.endTick);
      expect(calls[2 * i + 1]!.startTick).toBe(units[0]!.log[i]!.doneTick);
    }
  });

  test('calls of one CPU run one after the other, those of different CPUs at the same time', async () => {
    const rows = [call({ cpu: 0, iova: 0x1000 }), call({ cpu: 0, iova: 0x2000 }), call({ cpu: 1, iova: 0x3000 })];
    const { calls } = await replay({ devices: [{}], rows }, { mode: 'closed' });
    expect(calls.map((done) => [done.row, done.startTick])).toEqual([
      [0, 0],
      [2, 0],
      [1, CALL_PS],
    ]);
  });

  test('a control row that waits for one unit is not passed by another unit of its world', async () => {
    const rows = [
      ...Array.from({ length: 50 }, () => dma(0)),
      ...Array.from({ length: 50 }, () => dma(1, { iova: 0x5000 })),
      call({ device: 1, context: 1, afterDma: 50 }),
      call({ device: 0, context: 1, iova: 0x7000, cpu: 1 }),
      dma(0, { afterControl: 1 }),
    ];
    const { units, calls } = await replay({ units: 2, devices: [{ unit: 0 }, { unit: 1 }], rows }, { mode: 'closed' });
    const waited = calls.find((done) => done.row === 0)!;
    expect(waited.startTick).toBe(units[1]!.log[49]!.doneTick);
    expect(units[0]!.log[50]!.issueTick).toBe(waited.endTick);
  });

  test('a dependency on a later control row is left out and counted', async () => {
    const rows = [dma(0, { afterControl: 1 }), call({ afterDma: 1 }), dma(0, { afterControl: 1 })];
    const { counts, units, calls } = await replay({ devices: [{}], rows }, { mode: 'closed' });
    expect(counts.forwardDependencies).toBe(1);
    expect(calls[0]!.startTick).toBe(units[0]!.log[0]!.doneTick);
    expect(units[0]!.log[1]!.issueTick).toBe(calls[0]!.endTick);
  });

  test('rows that wait for what never comes end the replay with an error that names them', async () => {
    const rows = [call({ afterDma: 5 }), dma(0, { afterControl: 1 })];
    await expect(replay({ devices: [{}], rows }, { mode: 'closed' })).rejects.toThrow(ReplayStalledError);
    await expect(replay({ devices: [{}], rows }, { mode: 'closed' })).rejects.toThrow(
      /row 0 of dma-0 waits for control row 0; control row 0 \(dma_map\) waits for DMA row 4/,
    );
  });
});

test('a request of no bytes is an input error with its row', async () => {
  const rows = [dma(0), dma(1, { bytes: 0 })];
  await expect(replay({ devices: [{}], rows }, { mode: 'closed' })).rejects.toThrow(
    /dma-0\.arrow: row 1: a request of 0 bytes/,
  );
});

test('a device index that is not behind the unit is an input error with its row', async () => {
  const rows = [dma(0), dma(7)];
  await expect(replay({ devices: [{}], rows }, { mode: 'closed' })).rejects.toThrow(/dma-0\.arrow: row 1: device 7/);
});
