/** Checks `dma-<unit>.arrow` and what the control stream waits for in it. */
import { nsFromWords } from '../../units.ts';
import { countInferredColumns } from '../provenance.ts';
import type { BundleReader } from '../reader.ts';
import { DmaProvenance } from '../schema/dma-stream.ts';
import type { InferredColumns, ProvenanceSplit } from '../schema/manifest.ts';
import type { ControlFacts, DmaWait } from './control-check.ts';
import { OrderCheck } from './order-check.ts';
import type { FileProblems } from './problems.ts';

/** [rows] Rows looked at between two loads. */
const CHUNK_ROWS = 65_536;
/** Largest PASID: 20 bits. */
const MAX_PASID = 0xf_ffff;
/** [bytes] Largest request of the hardware seam: 2^31 - 1. */
const MAX_BYTES = 0x7fff_ffff;
/** Bits write, translation request, translated. */
const ALL_FLAGS = 7;
/** Translation request and translated at once: reserved by PCIe (AT field 11). */
const RESERVED_AT = 6;
const ALL_PROVENANCE = Object.values(DmaProvenance).reduce((all, bit) => all | bit, 0);

/** How the rows of a unit are known. */
export interface DmaProvenanceCounts extends ProvenanceSplit {
  /** Measured rows by the columns that were inferred. */
  readonly columns: InferredColumns;
}

/** Checks the DMA rows of a unit; gives the split of rows by provenance. */
export function checkDma(
  bundle: BundleReader,
  unit: number,
  control: ControlFacts,
  problems: FileProblems,
  controlProblems: FileProblems,
): DmaProvenanceCounts {
  const split = { measured: 0, inferred: 0, synthetic: 0, columns: { size: 0, direction: 0, time: 0 } };
  const stream = bundle.dma(unit);
  const waits = control.waits.filter((wait) => wait.unit === unit).sort((a, b) => a.dmaRow - b.dmaRow);
  const rows = stream?.rowCount ?? 0;
  for (const { controlRow, dmaRow } of waits) {
    if (dmaRow < rows) continue;
    controlProblems.error(controlRow, 'afterDma', () => `afterDma: unit ${unit} has no DMA row ${dmaRow}`);
  }
  if (stream === undefined) return split;
  const { devices } = bundle.manifest.topology;
  const onUnit = Uint8Array.from(devices, (device) => (device.unit === unit ? 1 : 0));
  const timeSeverity = bundle.manifest.pacing.default === 'recorded' ? 'error' : 'warning';
  const order = new OrderCheck();
  let nextWait = 0;
  for (const { firstRow, rowCount, columns } of stream.chunks(CHUNK_ROWS)) {
    nextWait = checkWaits(waits, nextWait, firstRow, rowCount, columns.sequence, controlProblems);
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      const sequence = columns.sequence[i]!;
      const timeNs = nsFromWords(columns.timeNs[2 * i]!, columns.timeNs[2 * i + 1]!);
      order.row(problems, row, sequence, timeNs, timeSeverity);
      const device = columns.device[i]!;
      if (onUnit[device] !== 1) problems.error(row, 'device', () => `device ${device} is not behind unit ${unit}`);
      if (columns.pasid[i]! > MAX_PASID)
        problems.error(row, 'pasid', () => `PASID ${columns.pasid[i]} has more than 20 bits`);
      const bytes = columns.bytes[i]!;
      if (bytes === 0 || bytes > MAX_BYTES) problems.error(row, 'bytes', () => `a request of ${bytes} bytes`);
      const flags = columns.flags[i]!;
      if (flags > ALL_FLAGS || (flags & RESERVED_AT) === RESERVED_AT)
        problems.error(row, 'flags', () => `flags ${flags}`);
      const provenance = columns.provenance[i]!;
      if (provenance > ALL_PROVENANCE) problems.error(row, 'provenance', () => `provenance ${provenance}`);
      if ((provenance & DmaProvenance.synthetic) !== 0) split.synthetic++;
      else if ((provenance & DmaProvenance.inferred) !== 0) split.inferred++;
      else split.measured++;
      countInferredColumns(split.columns, provenance);
      const after = columns.afterControl[i]!;
      if (after > control.rowCount)
        problems.error(row, 'afterControl', () => `control row ${after - 1} does not exist`);
      else if (after > 0 && control.sequences[after - 1]! >= sequence) {
        problems.error(row, 'afterControl', () => `waits for control row ${after - 1}, which comes later`);
      }
    }
  }
  return split;
}

/** Waits for rows of this chunk: the DMA must come before the call. Gives the first wait behind the chunk. */
function checkWaits(
  waits: readonly DmaWait[],
  from: number,
  firstRow: number,
  rowCount: number,
  sequences: Uint32Array,
  problems: FileProblems,
): number {
  let index = from;
  for (; index < waits.length; index++) {
    const { controlRow, sequence, dmaRow } = waits[index]!;
    if (dmaRow >= firstRow + rowCount) break;
    if (sequences[dmaRow - firstRow]! < sequence) continue;
    problems.error(controlRow, 'afterDma', () => `waits for DMA row ${dmaRow}, which comes later`);
  }
  return index;
}
