/** Checks the streams of observations: they must fit the rows they are about. */
import { nsFromWords } from '../../units.ts';
import type { BundleReader } from '../reader.ts';
import { NONE_U32 } from '../schema/column-type.ts';
import { ObservedOutcome } from '../schema/observed-streams.ts';
import { OrderCheck } from './order-check.ts';
import type { FileProblems } from './problems.ts';

/** [rows] Rows looked at between two loads. */
const CHUNK_ROWS = 16_384;

const HARDWARE_KINDS: ReadonlySet<string> = new Set([
  'descriptor',
  'iotlb_fill',
  'iotlb_reset',
  'context_fill',
  'context_reset',
  'pasid_cache_reset',
  'fault_record',
]);

/** One observation for every DMA row. */
export function checkObservedDma(bundle: BundleReader, unit: number, problems: FileProblems): void {
  const stream = bundle.observedDma(unit);
  if (stream === undefined) return;
  const rows = bundle.dma(unit)?.rowCount ?? 0;
  if (stream.rowCount !== rows) {
    problems.error(undefined, 'rows', () => `${stream.rowCount} rows for the ${rows} DMA rows of unit ${unit}`);
  }
  for (const { firstRow, rowCount, columns } of stream.chunks(CHUNK_ROWS)) {
    for (let i = 0; i < rowCount; i++) {
      const outcome = columns.outcome[i]!;
      if (outcome > ObservedOutcome.fault) problems.error(firstRow + i, 'outcome', () => `unknown outcome ${outcome}`);
    }
  }
}

/** Descriptors as the kernel submitted them. */
export function checkSubmissions(bundle: BundleReader, controlRows: number, problems: FileProblems): void {
  const stream = bundle.optionalStream('observed-submissions');
  if (stream === undefined) return;
  const unitCount = bundle.manifest.topology.units.length;
  const order = new OrderCheck();
  for (const { firstRow, rowCount, columns } of stream.chunks(CHUNK_ROWS)) {
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      const timeNs = nsFromWords(columns.timeNs[2 * i]!, columns.timeNs[2 * i + 1]!);
      order.row(problems, row, columns.sequence[i]!, timeNs, 'warning');
      if (columns.unit[i]! >= unitCount) problems.error(row, 'unit', () => `there is no unit ${columns.unit[i]}`);
      const controlRow = columns.controlRow[i]!;
      if (controlRow > controlRows) {
        problems.error(row, 'reference', () => `control row ${controlRow - 1} does not exist`);
      }
    }
  }
}

/** What the recorder's IOMMU did. */
export function checkHardware(bundle: BundleReader, problems: FileProblems): void {
  const stream = bundle.optionalStream('observed-hardware');
  if (stream === undefined) return;
  const submissions = bundle.optionalStream('observed-submissions')?.rowCount ?? 0;
  const unitCount = bundle.manifest.topology.units.length;
  checkWords(stream.dictionary('kind'), HARDWARE_KINDS, 'kind', problems);
  const order = new OrderCheck();
  for (const { firstRow, rowCount, columns } of stream.chunks(CHUNK_ROWS)) {
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      order.row(problems, row, columns.sequence[i]!, 0, 'warning');
      if (columns.unit[i]! >= unitCount) problems.error(row, 'unit', () => `there is no unit ${columns.unit[i]}`);
      const submission = columns.submissionRow[i]!;
      if (submission > submissions)
        problems.error(row, 'reference', () => `submission ${submission - 1} does not exist`);
    }
  }
}

/** Dumped tables. */
export function checkTables(bundle: BundleReader, problems: FileProblems): void {
  const stream = bundle.optionalStream('observed-tables');
  if (stream === undefined) return;
  const deviceCount = bundle.manifest.topology.devices.length;
  checkWords(stream.dictionary('when'), new Set(['before', 'after']), 'when', problems);
  checkWords(stream.dictionary('kind'), new Set(['leaf', 'context']), 'kind', problems);
  for (const { firstRow, rowCount, columns } of stream.chunks(CHUNK_ROWS)) {
    for (let i = 0; i < rowCount; i++) {
      const device = columns.device[i]!;
      if (device < deviceCount || device === NONE_U32) continue;
      problems.error(firstRow + i, 'device', () => `device ${device} is not in the topology of ${deviceCount}`);
    }
  }
}

function checkWords(
  words: readonly string[],
  known: ReadonlySet<string>,
  column: string,
  problems: FileProblems,
): void {
  for (const word of words) {
    if (!known.has(word)) problems.error(undefined, `${column} ${word}`, () => `unknown ${column} '${word}'`);
  }
}
