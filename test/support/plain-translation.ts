/**
 * The untimed oracle of imports: walks a bundle draft in `sequence` order, keeps the latest mapping of every IOVA page by
 * plain bookkeeping of the control rows, and asks of every observed translation whether that mapping explains it. It knows
 * nothing of caches, tables or time, and shares no code with the importer.
 */

import { readU64 } from '../../src/trace/columns.ts';
import type { BundleDraft, ControlRow, FrameRow } from '../../src/trace/import/bundle-draft.ts';
import { NONE_U32 } from '../../src/trace/schema/column-type.ts';
import { ObservedOutcome } from '../../src/trace/schema/observed-streams.ts';

/** What the walk found. */
export interface PlainTranslationReport {
  /** In-window translations (faults are not among them). */
  readonly translations: number;
  readonly explained: number;
  readonly learned: number;
  /** Fills whose page was not mapped at that place in the order. */
  readonly fillsOfUnmapped: number;
  readonly faults: number;
  /** Faults on pages that were mapped for the device at that place. */
  readonly faultsOnMapped: number;
  /** Submissions that name the control row they belong to, and whose row comes first. */
  readonly submissions: number;
  readonly submissionsWithCall: number;
  readonly submissionsExecuted: number;
  /** Submissions whose execution does not come after them, or whose call does not come before. */
  readonly submissionsMisplaced: number;
  /** Rows of all streams with a sequence number; equal to the highest plus one when none is doubled. */
  readonly sequenced: number;
  readonly sequenceGaps: number;
  /** Rows that name a later row as what must be complete before them. */
  readonly backwardDependencies: number;
  readonly firstProblem: string;
}

interface Page {
  readonly pfn: number;
  live: boolean;
}

type Space = Map<number, Page>;

/** A DMA row of the one unit of a recording, with what was observed of it. */
interface PlainDmaRow {
  readonly sequence: number;
  readonly device: number;
  readonly iova: bigint;
  readonly afterControl: number;
  readonly outcome: number;
  readonly learned: number;
  readonly pfn: bigint;
}

function dmaRows(draft: BundleDraft): PlainDmaRow[] {
  const rows = draft.units[0]?.dma;
  if (rows === undefined) return [];
  const { dma, observed } = rows;
  return Array.from({ length: rows.length }, (_, row) => ({
    sequence: dma.sequence[row] ?? 0,
    device: dma.device[row] ?? 0,
    iova: readU64(dma.iova, row),
    afterControl: dma.afterControl[row] ?? 0,
    outcome: observed.outcome[row] ?? 0,
    learned: observed.learned[row] ?? 0,
    pfn: readU64(observed.pfn, row),
  }));
}

/** Walks a draft. */
export function checkPlainTranslation(draft: BundleDraft): PlainTranslationReport {
  const machine = new PlainMachine(draft);
  const dma = dmaRows(draft);
  const isObserved = draft.units[0]?.observed === true;
  let translations = 0;
  let explained = 0;
  let learned = 0;
  let fillsOfUnmapped = 0;
  let faults = 0;
  let faultsOnMapped = 0;
  let firstProblem = '';
  let nextControl = 0;
  dma.forEach((row, index) => {
    for (; nextControl < draft.control.length; nextControl++) {
      const control = draft.control[nextControl] as ControlRow;
      if (control.sequence > row.sequence) break;
      machine.run(control, nextControl);
    }
    if (!isObserved) return;
    const seen = row;
    const page = machine.lookup(row.device, Math.floor(Number(row.iova) / 4096));
    if (seen.outcome === ObservedOutcome.fault) {
      faults++;
      if (page?.live === true) faultsOnMapped++;
      return;
    }
    translations++;
    learned += seen.learned;
    const right = page?.pfn === Number(seen.pfn);
    if (right) explained++;
    if (right && seen.outcome === ObservedOutcome.fill && page.live === false) fillsOfUnmapped++;
    if ((!right || (!page.live && seen.outcome === ObservedOutcome.fill)) && firstProblem === '') {
      firstProblem = `row ${index} device ${row.device} iova ${row.iova.toString(16)} saw ${seen.pfn.toString(16)}, have ${page?.pfn.toString(16)} ${page?.live}`;
    }
  });
  return {
    translations,
    explained,
    learned,
    fillsOfUnmapped,
    faults,
    faultsOnMapped,
    ...checkSubmissions(draft),
    ...checkSequences(draft),
    backwardDependencies: countBackwardDependencies(draft),
    firstProblem,
  };
}

class PlainMachine {
  readonly #draft: BundleDraft;
  readonly #frames = new Map<number, FrameRow[]>();
  readonly #own = new Map<number, Space>();
  readonly #attached = new Map<number, Space>();
  readonly #ioases = new Map<number, Space>();
  readonly #hwpts = new Map<number, number>();

  constructor(draft: BundleDraft) {
    this.#draft = draft;
    for (const frame of draft.frames) {
      const list = this.#frames.get(frame.controlRow) ?? [];
      list.push(frame);
      this.#frames.set(frame.controlRow, list);
    }
    for (const { device, iovaPfn, pfn, pageCount } of draft.initial) {
      const space = this.#ownSpace(device);
      for (let page = 0; page < pageCount; page++) {
        space.set(Number(iovaPfn) + page, { pfn: Number(pfn) + page, live: true });
      }
    }
  }

  lookup(device: number, iovaPfn: number): Page | undefined {
    return (this.#attached.get(this.#group(device)) ?? this.#ownSpace(device)).get(iovaPfn);
  }

  run(row: ControlRow, index: number): void {
    if (row.recordedResult < 0) return;
    switch (row.op) {
      case 'dma_map':
      case 'dma_alloc':
        this.#fill(this.#ownSpace(row.device), index);
        return;
      case 'dma_unmap':
      case 'dma_free':
        clear(this.#ownSpace(row.device), row);
        return;
      case 'IOMMU_IOAS_MAP':
        this.#fill(this.#ioas(row.object), index);
        return;
      case 'IOMMU_IOAS_COPY': {
        const source = this.#ioas(row.target);
        const start = Number(row.userAddress) / 4096;
        for (let page = 0; page < Number(row.length) / 4096; page++) {
          const from = source.get(start + page);
          if (from !== undefined) this.#ioas(row.object).set(Number(row.iova) / 4096 + page, { ...from });
        }
        this.#fill(this.#ioas(row.object), index);
        return;
      }
      case 'IOMMU_IOAS_UNMAP':
        clear(this.#ioas(row.object), row);
        return;
      case 'IOMMU_HWPT_ALLOC':
        this.#hwpts.set(row.recordedObject, row.object);
        this.#fill(this.#ioas(row.object), index);
        return;
      case 'VFIO_DEVICE_ATTACH_IOMMUFD_PT':
        this.#fill(this.#ioas(row.target), index);
        this.#attached.set(this.#group(row.device), this.#ioas(row.target));
        return;
      case 'VFIO_DEVICE_BIND_IOMMUFD':
      case 'VFIO_DEVICE_DETACH_IOMMUFD_PT':
        this.#attached.set(this.#group(row.device), new Map());
        return;
      case 'close':
        if (row.device !== NONE_U32) this.#attached.delete(this.#group(row.device));
        return;
      default:
        return;
    }
  }

  #group(device: number): number {
    return this.#draft.manifest.topology.devices[device]?.group ?? -1;
  }

  #ownSpace(device: number): Space {
    return spaceOf(this.#own, this.#group(device));
  }

  #ioas(id: number): Space {
    return spaceOf(this.#ioases, this.#hwpts.get(id) ?? id);
  }

  #fill(space: Space, index: number): void {
    for (const { iovaPfn, pfn, pageCount } of this.#frames.get(index) ?? []) {
      for (let page = 0; page < pageCount; page++) {
        space.set(Number(iovaPfn) + page, { pfn: Number(pfn) + page, live: true });
      }
    }
  }
}

function spaceOf(spaces: Map<number, Space>, key: number): Space {
  const known = spaces.get(key) ?? new Map();
  spaces.set(key, known);
  return known;
}

function clear(space: Space, { iova, length }: ControlRow): void {
  const end = Math.ceil((Number(iova) + Number(length)) / 4096);
  for (let page = Math.floor(Number(iova) / 4096); page < end; page++) {
    const known = space.get(page);
    if (known !== undefined) known.live = false;
  }
}

function checkSubmissions(
  draft: BundleDraft,
): Pick<
  PlainTranslationReport,
  'submissions' | 'submissionsWithCall' | 'submissionsExecuted' | 'submissionsMisplaced'
> {
  const executions = new Map<number, number>();
  for (const row of draft.hardware) if (row.submissionRow > 0) executions.set(row.submissionRow - 1, row.sequence);
  let submissionsWithCall = 0;
  let submissionsMisplaced = 0;
  draft.submissions.forEach(({ sequence, controlRow }, index) => {
    const executed = executions.get(index);
    if (executed !== undefined && executed <= sequence) submissionsMisplaced++;
    if (controlRow === 0) return;
    submissionsWithCall++;
    if ((draft.control[controlRow - 1]?.sequence ?? Number.POSITIVE_INFINITY) >= sequence) submissionsMisplaced++;
  });
  return {
    submissions: draft.submissions.length,
    submissionsWithCall,
    submissionsExecuted: executions.size,
    submissionsMisplaced,
  };
}

function checkSequences(draft: BundleDraft): Pick<PlainTranslationReport, 'sequenced' | 'sequenceGaps'> {
  const streams = [draft.control, draft.submissions, draft.hardware, dmaRows(draft)];
  const all = streams.flatMap((stream) => stream.map(({ sequence }) => sequence));
  const sorted = Uint32Array.from(all).sort();
  let sequenceGaps = 0;
  sorted.forEach((sequence, index) => {
    if (sequence !== index) sequenceGaps++;
  });
  for (const stream of streams) {
    for (let index = 1; index < stream.length; index++) {
      if ((stream[index - 1]?.sequence ?? 0) >= (stream[index]?.sequence ?? 0)) sequenceGaps++;
    }
  }
  return { sequenced: all.length, sequenceGaps };
}

function countBackwardDependencies(draft: BundleDraft): number {
  let backward = 0;
  const dma = dmaRows(draft);
  for (const { afterControl, sequence } of dma) {
    if (afterControl > 0 && (draft.control[afterControl - 1]?.sequence ?? Infinity) >= sequence) backward++;
  }
  for (const { afterDma, sequence } of draft.control) {
    if (afterDma > 0 && (dma[afterDma - 1]?.sequence ?? Infinity) >= sequence) backward++;
  }
  return backward;
}
