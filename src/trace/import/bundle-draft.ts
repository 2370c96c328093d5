/** An import's result before it is written: the rows of every stream and what the manifest says. */
import { type Columns, copyColumns, type WritableRow } from '../columns.ts';
import { countInferredColumns } from '../provenance.ts';
import type { StreamSchema } from '../schema/column-type.ts';
import type { CONTROL_SCHEMA } from '../schema/control-stream.ts';
import type { FRAMES_SCHEMA } from '../schema/frames-stream.ts';
import type { INITIAL_SCHEMA } from '../schema/initial-stream.ts';
import type { InferredColumns, Manifest } from '../schema/manifest.ts';
import type {
  OBSERVED_HARDWARE_SCHEMA,
  OBSERVED_SUBMISSIONS_SCHEMA,
  OBSERVED_TABLES_SCHEMA,
} from '../schema/observed-streams.ts';
import type { StreamWriter } from '../stream-writer.ts';
import { type BundleWriterOptions, type ManifestContent, writeBundle } from '../writer.ts';
import type { DmaRows } from './dma-rows.ts';

export type ControlRow = WritableRow<typeof CONTROL_SCHEMA>;
export type FrameRow = WritableRow<typeof FRAMES_SCHEMA>;
export type InitialRow = WritableRow<typeof INITIAL_SCHEMA>;
export type SubmissionRow = WritableRow<typeof OBSERVED_SUBMISSIONS_SCHEMA>;
export type HardwareRow = WritableRow<typeof OBSERVED_HARDWARE_SCHEMA>;
export type TableRow = WritableRow<typeof OBSERVED_TABLES_SCHEMA>;

/** What an import looked at and what it could not use. */
export interface ImportSummary {
  readonly importer: string;
  readonly lines: number;
  /** Lines that were events, by input file. */
  readonly parsed: Readonly<Record<string, number>>;
  /** Counted anomalies by code. */
  readonly skipped: Readonly<Record<string, number>>;
  readonly lostEvents: number;
  /** [ns] Length of the traced window. */
  readonly spanNs: number;
  readonly clock: string;
  readonly devices: readonly string[];
  readonly controlRows: number;
  readonly dmaRows: number;
  /** DMA rows whose page no recorded mapping explains; it was learned from the row. */
  readonly learnedRows: number;
  /** Device-model events outside the traced window. */
  readonly outsideWindow: number;
  /** Further measures of the importer, by name. */
  readonly measures: Readonly<Record<string, number>>;
}

/** Rows of one IOMMU unit. */
export interface UnitDraft {
  readonly dma: DmaRows;
  /** Whether anything was observed: without it only the DMA columns are written. */
  readonly observed: boolean;
}

/** Everything of a bundle. */
export interface BundleDraft {
  readonly manifest: ManifestContent;
  readonly control: readonly ControlRow[];
  readonly frames: readonly FrameRow[];
  readonly initial: readonly InitialRow[];
  readonly units: readonly UnitDraft[];
  readonly submissions: readonly SubmissionRow[];
  readonly hardware: readonly HardwareRow[];
  readonly tables: readonly TableRow[];
  readonly summary: ImportSummary;
}

/** Writes a draft as a bundle. @throws InputError when the target may not be written. */
export function writeDraft(path: string, options: BundleWriterOptions, draft: BundleDraft): Promise<Manifest> {
  return writeBundle(path, options, (writer) => {
    for (const row of draft.control) writer.control.append(row);
    for (const row of draft.frames) writer.frames.append(row);
    for (const row of draft.initial) writer.initial.append(row);
    draft.units.forEach(({ dma, observed }, unit) => {
      if (dma.length === 0) return;
      appendColumns(writer.dma(unit), dma.dma, dma.length);
      if (observed) appendColumns(writer.observedDma(unit), dma.observed, dma.length);
    });
    for (const row of draft.submissions) writer.stream('observed-submissions').append(row);
    for (const row of draft.hardware) writer.stream('observed-hardware').append(row);
    for (const row of draft.tables) writer.stream('observed-tables').append(row);
    const { dma } = draft.manifest.provenance;
    return { ...draft.manifest, provenance: { dma, inferredColumns: inferredColumns(draft.units) } };
  });
}

function inferredColumns(units: readonly UnitDraft[]): InferredColumns {
  const counts = { size: 0, direction: 0, time: 0 };
  for (const { dma } of units) {
    for (let row = 0; row < dma.length; row++) countInferredColumns(counts, dma.dma.provenance[row]!);
  }
  return counts;
}

function appendColumns<S extends StreamSchema>(writer: StreamWriter<S>, columns: Columns<S>, rowCount: number): void {
  for (let from = 0; from < rowCount; ) {
    const count = Math.min(writer.room, rowCount - from);
    copyColumns(writer.schema, columns, from, writer.columns, writer.row, count);
    writer.commit(count);
    from += count;
  }
}
