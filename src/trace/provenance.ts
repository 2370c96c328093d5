/** How the content of DMA rows is known, column by column. */
import { DmaProvenance } from './schema/dma-stream.ts';
import type { InferredColumns } from './schema/manifest.ts';

const NOT_MEASURED = DmaProvenance.inferred | DmaProvenance.synthetic;

/** Adds a row with these {@link DmaProvenance} bits; a row that was not measured as a whole counts in no column. */
export function countInferredColumns(
  counts: { -readonly [column in keyof InferredColumns]: number },
  provenance: number,
): void {
  if ((provenance & NOT_MEASURED) !== 0) return;
  if ((provenance & DmaProvenance.sizeInferred) !== 0) counts.size++;
  if ((provenance & DmaProvenance.directionInferred) !== 0) counts.direction++;
  if ((provenance & DmaProvenance.timeInferred) !== 0) counts.time++;
}
