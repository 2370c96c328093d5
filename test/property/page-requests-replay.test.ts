/**
 * Replays of devices that ask for pages: whatever comes when, every row ends, nothing faults, nothing stale is used, and
 * how rows are cut into calls changes nothing; also with devices of one world behind several units, whose events all the
 * others must not pass by.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JobResult } from '../../src/replay/protocol.ts';
import { runReplay } from '../../src/replay/run.ts';
import { type ControlEvent, type DmaRow, writeTestBundle } from '../support/replay-bundle.ts';

const BASE_PAGE = 0x100;
const PAGES = 12;
const FAULT_ID_VALID = 4;
const ALLOC_PASID = 8;
const WITH_PASID = 1;

const trace = fc.record({
  units: fc.integer({ min: 1, max: 3 }),
  devices: fc.integer({ min: 1, max: 4 }),
  withPasid: fc.boolean(),
  blockPages: fc.constantFrom(1, 4),
  entries: fc.constantFrom(1, 4, 64),
  slowWake: fc.boolean(),
  /** [pages] Largest group a device sends: the default, and what the schema allows at least and at most. */
  window: fc.constantFrom(32, 1, 512),
  steps: fc.array(
    fc.record({
      device: fc.nat(3),
      page: fc.nat(PAGES - 1),
      offset: fc.nat(63),
      bytes: fc.oneof(
        { arbitrary: fc.constantFrom(64, 512, 4096, 12_288), weight: 60 },
        { arbitrary: fc.constant(131_072), weight: 4 },
        { arbitrary: fc.constant(2_097_152), weight: 1 },
      ),
      write: fc.boolean(),
      unmap: fc.nat(11),
      gapNs: fc.nat(4000),
    }),
    { minLength: 20, maxLength: 120 },
  ),
});

type Trace = typeof trace extends fc.Arbitrary<infer T> ? T : never;

/** One context: each device has an IOAS and a table of its own that sends faults to the one queue of all. */
function rowsOf({ devices, withPasid, blockPages, steps }: Trace): (DmaRow | ControlEvent)[] {
  const rows: (DmaRow | ControlEvent)[] = [];
  let timeNs = 0;
  let controlRows = 0;
  const control = (op: ControlEvent['op'], fields: Partial<ControlEvent>): number => {
    timeNs += 100;
    rows.push({ kind: 'control', op, context: 0, timeNs, ...fields });
    return ++controlRows;
  };
  control('open_iommufd', {});
  control('IOMMU_FAULT_QUEUE_ALLOC', { length: blockPages * 4096, userAddress: 2 ** 45, recordedObject: 1 });
  const attached: number[] = [];
  for (let device = 0; device < devices; device++) {
    const [id, ioas, hwpt] = [10 * device + 2, 10 * device + 3, 10 * device + 4];
    control('open_cdev', { device });
    control('VFIO_DEVICE_BIND_IOMMUFD', { device, recordedObject: id });
    control('IOMMU_IOAS_ALLOC', { recordedObject: ioas });
    const flags = FAULT_ID_VALID | (withPasid ? ALLOC_PASID : 0);
    control('IOMMU_HWPT_ALLOC', { object: ioas, target: id, flags, recordedObject: hwpt });
    const pasid = withPasid ? { pasid: 7, flags: WITH_PASID } : {};
    attached.push(control('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { device, target: hwpt, ...pasid }));
  }
  timeNs += 100_000;
  for (const step of steps) {
    timeNs += step.gapNs;
    const device = step.device % devices;
    if (step.unmap === 0) {
      const first = BASE_PAGE + step.page - (step.page % blockPages);
      const range = { iova: first * 4096, length: blockPages * 4096 };
      control('IOMMU_IOAS_UNMAP', { object: 10 * device + 3, cpu: 1, ...range });
    }
    rows.push({
      kind: 'dma',
      device,
      pasid: withPasid ? 7 : 0,
      iova: (BASE_PAGE + step.page) * 4096 + step.offset * 64,
      bytes: step.bytes,
      flags: step.write ? 1 : 0,
      timeNs,
      afterControl: attached[device] as number,
    });
  }
  return rows;
}

async function replay(bundle: string, { entries, slowWake, window }: Trace, batchRows: number): Promise<JobResult[]> {
  const { run, exitCode } = await runReplay({
    bundles: [bundle],
    hardware: ['vtd-emr'],
    kernels: ['v7.3'],
    overrides: [
      `endpoint.deviceTlb.entries=${entries}`,
      `endpoint.deviceTlb.ways=${Math.min(entries, 4)}`,
      `endpoint.pageRequestWindow=${window}`,
      ...(slowWake ? ['costsNs.userWake.value=40000'] : []),
    ],
    workers: 0,
    batchRows,
    toolVersion: '1.2.3',
  });
  expect(run.failures).toEqual([]);
  expect(exitCode).toBe(0);
  return [...run.jobs];
}

test.each(['recorded', 'closed'] as const)(
  '%s pacing: nothing is lost, nothing stale, and cuts change nothing',
  async (pacing) => {
    await fc.assert(
      fc.asyncProperty(trace, async (given) => {
        const rows = rowsOf(given);
        const devices = Array.from({ length: given.devices }, (_, index) => ({
          unit: index % given.units,
          driver: 'vfio-pci',
          ats: true,
          pri: true,
          pasidBits: given.withPasid ? 20 : 0,
        }));
        const units = Math.min(given.units, given.devices);
        const bundle = await writeTestBundle({ units, mode: 'scalable', devices, rows, pacing });
        const whole = await replay(bundle, given, 16_384);
        expect(await replay(bundle, given, 3)).toEqual(whole);
        expect(whole.reduce((sum, { dmaRows }) => sum + dmaRows, 0)).toBe(given.steps.length);
        for (const job of whole) {
          expect([job.faults, job.stale, job.diagnostics]).toEqual([[], [], {}]);
          for (const endpoint of job.deviceTlb?.endpoints ?? []) expect(endpoint.pageFailures).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  },
);
