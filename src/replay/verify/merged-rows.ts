/** All rows of a recorded bundle in the recorder's own order: a k-way merge by `sequence`. */

import type { ReadRow } from '../../trace/columns.ts';
import type { BundleReader } from '../../trace/reader.ts';
import type { DMA_SCHEMA } from '../../trace/schema/dma-stream.ts';
import type {
  OBSERVED_DMA_SCHEMA,
  OBSERVED_HARDWARE_SCHEMA,
  OBSERVED_SUBMISSIONS_SCHEMA,
} from '../../trace/schema/observed-streams.ts';
import { ControlReader, type ControlRow } from '../control-row.ts';

export type DmaRow = ReadRow<typeof DMA_SCHEMA>;
export type ObservedDmaRow = ReadRow<typeof OBSERVED_DMA_SCHEMA>;
export type SubmissionRow = ReadRow<typeof OBSERVED_SUBMISSIONS_SCHEMA>;
export type HardwareRow = ReadRow<typeof OBSERVED_HARDWARE_SCHEMA>;

/** One row and what it is. */
export type MergedRow =
  | { readonly kind: 'control'; readonly row: ControlRow }
  | {
      readonly kind: 'dma';
      readonly unit: number;
      readonly index: number;
      readonly row: DmaRow;
      readonly observed: ObservedDmaRow;
    }
  | { readonly kind: 'submission'; readonly index: number; readonly row: SubmissionRow }
  | { readonly kind: 'hardware'; readonly row: HardwareRow };

interface Source {
  readonly next: () => MergedRow | undefined;
  head: MergedRow | undefined;
}

/** Yields every row of the bundle in ascending sequence. */
export function* mergedRows(bundle: BundleReader): Generator<MergedRow, void, undefined> {
  const sources: Source[] = [];
  const add = (next: () => MergedRow | undefined): void => {
    sources.push({ next, head: next() });
  };
  const control = new ControlReader(bundle);
  add(() => {
    const row = control.next();
    return row === undefined ? undefined : { kind: 'control', row };
  });
  const submissions = bundle.optionalStream('observed-submissions')?.rows();
  let submissionIndex = 0;
  if (submissions !== undefined) {
    add(() => {
      const step = submissions.next();
      return step.done === true ? undefined : { kind: 'submission', index: submissionIndex++, row: step.value };
    });
  }
  const hardware = bundle.optionalStream('observed-hardware')?.rows();
  if (hardware !== undefined) {
    add(() => {
      const step = hardware.next();
      return step.done === true ? undefined : { kind: 'hardware', row: step.value };
    });
  }
  for (let unit = 0; unit < bundle.manifest.topology.units.length; unit++) {
    const dma = bundle.dma(unit)?.rows();
    const observed = bundle.observedDma(unit)?.rows();
    if (dma === undefined || observed === undefined) continue;
    let index = 0;
    add(() => {
      const row = dma.next();
      const seen = observed.next();
      if (row.done === true || seen.done === true) return undefined;
      return { kind: 'dma', unit, index: index++, row: row.value, observed: seen.value };
    });
  }
  for (;;) {
    let first: Source | undefined;
    for (const source of sources) {
      if (source.head === undefined) continue;
      if (first?.head === undefined || source.head.row.sequence < first.head.row.sequence) first = source;
    }
    if (first?.head === undefined) return;
    const row = first.head;
    first.head = first.next();
    yield row;
  }
}
