/** Bundles for replay tests: a few rows given as objects, everything else filled in. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BundleReader } from '../../src/trace/reader.ts';
import { NONE_U32 } from '../../src/trace/schema/column-type.ts';
import type { ControlOp } from '../../src/trace/schema/control-ops.ts';
import { RESULT_UNKNOWN } from '../../src/trace/schema/control-stream.ts';
import type { DeviceTopology } from '../../src/trace/schema/topology.ts';
import { writeBundle } from '../../src/trace/writer.ts';

/** A DMA row; what is left out is 0. */
export interface DmaRow {
  readonly kind: 'dma';
  readonly device: number;
  readonly iova: number;
  readonly timeNs?: number;
  readonly bytes?: number;
  readonly flags?: number;
  readonly pasid?: number;
  readonly afterControl?: number;
}

/** A control row; what is left out does not apply. */
export interface ControlEvent {
  readonly kind: 'control';
  readonly op: ControlOp;
  readonly timeNs?: number;
  readonly cpu?: number;
  readonly thread?: number;
  readonly device?: number;
  readonly context?: number;
  readonly object?: number;
  readonly target?: number;
  readonly pasid?: number;
  readonly flags?: number;
  readonly iova?: number;
  readonly length?: number;
  readonly userAddress?: number;
  readonly recordedResult?: number;
  readonly recordedObject?: number;
  readonly afterDma?: number;
  readonly text?: string;
  /** Runs of frames: [iovaPfn, pfn, pageCount]. */
  readonly frames?: readonly (readonly [number, number, number])[];
  /** [kind, address, value, step, count]. */
  readonly userData?: readonly (readonly [string, number, number, number, number])[];
}

/** A mapping that existed before the window: [device, iovaPfn, pfn, pageCount]. */
export type InitialMapping = readonly [number, number, number, number];

/** A bundle to be written: rows are numbered in the order given. */
export interface BundleContent {
  readonly name?: string;
  readonly units?: number;
  readonly mode?: 'legacy' | 'scalable';
  readonly flushMode?: 'strict' | 'lazy';
  readonly devices: readonly Partial<DeviceTopology>[];
  readonly rows: readonly (DmaRow | ControlEvent)[];
  readonly initial?: readonly InitialMapping[];
  readonly pacing?: 'recorded' | 'closed';
  /** [rows] Rows of a record batch. */
  readonly batchRows?: number;
}

/** Topology entry of device `index` with defaults. */
export function testDevice(index: number, device: Partial<DeviceTopology>): DeviceTopology {
  return {
    name: `0000:01:${index.toString(16).padStart(2, '0')}.0`,
    sourceId: 0x100 + 8 * index,
    group: index,
    unit: 0,
    kind: 'physical',
    driver: 'test',
    defaultDomain: 'dma',
    ats: false,
    pasidBits: 0,
    pri: false,
    ...device,
  };
}

/** Writes a bundle into a new temporary folder and returns its path. */
export async function writeTestBundle(content: BundleContent): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), 'replay-test-')), content.name ?? 'bundle');
  const units = content.units ?? 1;
  const devices = content.devices.map((device, index) => testDevice(index, device));
  await writeBundle(path, { batchRows: content.batchRows }, (writer) => {
    for (let unit = 0; unit < units; unit++) writer.dma(unit);
    let dmaRows = 0;
    let endNs = 0;
    for (const [sequence, row] of content.rows.entries()) {
      const timeNs = row.timeNs ?? 0;
      endNs = Math.max(endNs, timeNs);
      if (row.kind === 'dma') {
        dmaRows++;
        writer.dma(devices[row.device]?.unit ?? 0).append({
          sequence,
          timeNs,
          device: row.device,
          pasid: row.pasid ?? 0,
          iova: row.iova,
          bytes: row.bytes ?? 64,
          flags: row.flags ?? 0,
          provenance: 16,
          afterControl: row.afterControl ?? 0,
        });
        continue;
      }
      const controlRow = writer.control.append({
        sequence,
        timeNs,
        op: row.op,
        cpu: row.cpu ?? 0,
        thread: row.thread ?? 1000 + (row.cpu ?? 0),
        device: row.device ?? NONE_U32,
        context: row.context ?? NONE_U32,
        object: row.object ?? NONE_U32,
        target: row.target ?? NONE_U32,
        pasid: row.pasid ?? NONE_U32,
        flags: row.flags ?? 0,
        iova: row.iova ?? 0,
        length: row.length ?? 0,
        userAddress: row.userAddress ?? 0,
        recordedResult: row.recordedResult ?? RESULT_UNKNOWN,
        recordedObject: row.recordedObject ?? NONE_U32,
        recordedDurationNs: NONE_U32,
        afterDma: row.afterDma ?? 0,
        text: row.text ?? '',
      });
      for (const [iovaPfn, pfn, pageCount] of row.frames ?? []) {
        writer.frames.append({ controlRow, iovaPfn, pfn, pageCount });
      }
      for (const [kind, address, value, step, count] of row.userData ?? []) {
        writer.userData.append({ controlRow, kind, address, value, step, count });
      }
    }
    for (const [device, iovaPfn, pfn, pageCount] of content.initial ?? []) {
      writer.initial.append({ device, pasid: 0, iovaPfn, pfn, pageCount, prot: 3, leafShift: 12, origin: 2 });
    }
    return {
      name: content.name ?? 'bundle',
      description: 'written by a test',
      origin: { importer: 'synth', tool: 'test', kernel: '', clock: 'synthetic' },
      time: { originNs: '0', windowStartNs: 0, windowEndNs: endNs },
      dmaPolicy: { flushMode: content.flushMode ?? 'strict' },
      pacing: { default: content.pacing ?? 'closed', reason: 'test' },
      topology: {
        units: Array.from({ length: units }, (_, unit) => ({
          name: `dmar${unit}`,
          mode: content.mode ?? 'legacy',
          stage: 'second' as const,
        })),
        devices,
      },
      provenance: { dma: { measured: 0, inferred: 0, synthetic: dmaRows } },
      lostEvents: 0,
      diagnostics: [],
    };
  });
  return path;
}

/** Writes and opens a bundle. */
export async function openTestBundle(content: BundleContent): Promise<BundleReader> {
  return BundleReader.open(await writeTestBundle(content));
}
