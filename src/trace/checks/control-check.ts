/** Checks `control.arrow`, `frames.arrow` and `initial.arrow`. */
import { nsFromWords } from '../../units.ts';
import { readU64 } from '../columns.ts';
import { faultBlockProblem } from '../fault-block.ts';
import type { BundleReader } from '../reader.ts';
import { NONE_U32 } from '../schema/column-type.ts';
import { CONTROL_OPS, type ControlOp } from '../schema/control-ops.ts';
import { DATA_FRAME_LIMIT } from '../schema/frames-stream.ts';
import type { Manifest } from '../schema/manifest.ts';
import { OrderCheck } from './order-check.ts';
import type { FileProblems } from './problems.ts';

/** [rows] Rows looked at between two loads. */
const CHUNK_ROWS = 16_384;
/** Largest PASID: 20 bits. */
const MAX_PASID = 0xf_ffff;

/** Calls that can put mappings into an address space, so that frames may refer to them. */
const MAPPING_OPS: ReadonlySet<ControlOp> = new Set([
  'dma_map',
  'dma_alloc',
  'driver_bind',
  'IOMMU_IOAS_MAP',
  'IOMMU_IOAS_COPY',
  'IOMMU_HWPT_ALLOC',
  'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
  'VFIO_SET_IOMMU',
  'VFIO_GROUP_SET_CONTAINER',
  'VFIO_IOMMU_MAP_DMA',
]);

/** What the other streams refer to in the control stream. */
export interface ControlFacts {
  readonly rowCount: number;
  /** Sequence of each row. */
  readonly sequences: Uint32Array;
  /** Event of each row. */
  readonly ops: readonly string[];
  /** 1 for a row that can be named by frames. */
  readonly maps: Uint8Array;
  /** Rows with `afterDma`. */
  readonly waits: readonly DmaWait[];
}

/** A control row that waits for a DMA row. */
export interface DmaWait {
  readonly controlRow: number;
  readonly sequence: number;
  readonly unit: number;
  readonly dmaRow: number;
}

/** Checks the control stream by itself. */
export function checkControl(bundle: BundleReader, problems: FileProblems): ControlFacts {
  const stream = bundle.stream('control');
  const { devices, units } = bundle.manifest.topology;
  const onlyUnit = units.length === 1 ? 0 : -1;
  const ops = stream.dictionary('op');
  const known = new Set<string>(CONTROL_OPS);
  for (const op of ops) if (!known.has(op)) problems.error(undefined, `op ${op}`, () => `unknown op '${op}'`);
  const sequences = new Uint32Array(stream.rowCount);
  const maps = new Uint8Array(stream.rowCount);
  const rowOps: string[] = [];
  const waits: DmaWait[] = [];
  const order = new OrderCheck();
  for (const { firstRow, rowCount, columns } of stream.chunks(CHUNK_ROWS)) {
    sequences.set(columns.sequence, firstRow);
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      const sequence = columns.sequence[i]!;
      const timeNs = nsFromWords(columns.timeNs[2 * i]!, columns.timeNs[2 * i + 1]!);
      // Calls are stamped where they were entered and ordered by when they took effect: times may step back.
      order.row(problems, row, sequence, timeNs, 'warning');
      const op = ops[columns.op[i]!];
      rowOps.push(op ?? '');
      if (op === undefined) problems.error(row, 'op', () => `op code ${columns.op[i]} is not in the dictionary`);
      if (op === 'lost_events') problems.warning(row, 'lost', () => 'events were lost here');
      if (op === 'IOMMU_FAULT_QUEUE_ALLOC') {
        const problem = faultBlockProblem(readU64(columns.length, i));
        if (problem !== undefined) problems.error(row, 'length', () => problem);
      }
      if (op !== undefined && MAPPING_OPS.has(op as ControlOp)) maps[row] = 1;
      const device = columns.device[i]!;
      if (device !== NONE_U32 && device >= devices.length) {
        problems.error(row, 'device', () => `device ${device} is not in the topology of ${devices.length}`);
      }
      const pasid = columns.pasid[i]!;
      if (pasid !== NONE_U32 && pasid > MAX_PASID)
        problems.error(row, 'pasid', () => `PASID ${pasid} has more than 20 bits`);
      const afterDma = columns.afterDma[i]!;
      if (afterDma === 0) continue;
      const unit = device === NONE_U32 ? onlyUnit : (devices[device]?.unit ?? -1);
      // A call on a context without a device waits in its closed world, which takes a plan to know.
      if (device === NONE_U32 && onlyUnit < 0) continue;
      if (unit < 0) problems.error(row, 'afterDma', () => 'afterDma on a row that names no device behind a unit');
      else waits.push({ controlRow: row, sequence, unit, dmaRow: afterDma - 1 });
    }
  }
  return { rowCount: stream.rowCount, sequences, ops: rowOps, maps, waits };
}

/** Checks that frames are sorted runs of control rows that map. */
export function checkFrames(bundle: BundleReader, control: ControlFacts, problems: FileProblems): void {
  let lastRow = 0;
  let lastEnd = 0;
  for (const { firstRow, rowCount, columns } of bundle.stream('frames').chunks(CHUNK_ROWS)) {
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      const controlRow = columns.controlRow[i]!;
      const iovaPfn = nsFromWords(columns.iovaPfn[2 * i]!, columns.iovaPfn[2 * i + 1]!);
      const pageCount = columns.pageCount[i]!;
      if (controlRow >= control.rowCount) {
        problems.error(row, 'reference', () => `control row ${controlRow} does not exist`);
      } else if (control.maps[controlRow] === 0) {
        problems.error(row, 'reference', () => `control row ${controlRow} maps nothing`);
      }
      if (controlRow < lastRow) problems.error(row, 'order', () => `control row ${controlRow} comes after ${lastRow}`);
      else if (controlRow === lastRow && iovaPfn < lastEnd) {
        problems.error(row, 'order', () => 'the run overlaps the one before or is out of order');
      }
      const pfn = nsFromWords(columns.pfn[2 * i]!, columns.pfn[2 * i + 1]!);
      checkRun(problems, row, pfn, pageCount);
      lastRow = controlRow;
      lastEnd = iovaPfn + pageCount;
    }
  }
}

/** Checks mappings that existed before the window. */
export function checkInitial(bundle: BundleReader, problems: FileProblems): void {
  const { devices }: Manifest['topology'] = bundle.manifest.topology;
  const stream = bundle.optionalStream('initial');
  if (stream === undefined) return;
  for (const { firstRow, rowCount, columns } of stream.chunks(CHUNK_ROWS)) {
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      const device = columns.device[i]!;
      if (device >= devices.length) problems.error(row, 'device', () => `device ${device} is not in the topology`);
      const prot = columns.prot[i]!;
      if (prot < 1 || prot > 3) problems.error(row, 'prot', () => `protection ${prot} is neither read nor write`);
      const pfn = nsFromWords(columns.pfn[2 * i]!, columns.pfn[2 * i + 1]!);
      checkRun(problems, row, pfn, columns.pageCount[i]!);
    }
  }
}

function checkRun(problems: FileProblems, row: number, pfn: number, pageCount: number): void {
  if (pageCount === 0) problems.error(row, 'empty', () => 'a run of no pages');
  if (pfn + pageCount > DATA_FRAME_LIMIT) {
    problems.error(row, 'pfn', () => `page frame 0x${pfn.toString(16)} lies at or above 1 TiB`);
  }
}
