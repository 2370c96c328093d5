/** Control rows of the DMA API as calls of the modelled kernel: `dma_map`, `dma_unmap`, `dma_alloc`, `dma_free`. */
import { addressFromPfn, PAGE_SIZE } from '../address.ts';
import { type DmaApi, type PhysicalRun, protOfDirection } from '../stack/iommu/dma-api.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import type { CallOutcome } from './control-player.ts';
import type { ControlRow, FrameRun } from './control-row.ts';
import type { Diagnostics } from './diagnostics.ts';

const PAGE = BigInt(PAGE_SIZE);
/**
 * Frames of mappings whose source does not say where they lie: the IOVA page number modulo this. Addresses of data are
 * not looked at by the model, only their contiguity is.
 */
const UNKNOWN_FRAMES = 2 ** 26;

/** A stretch of IOVA without a hole, and the memory behind it. */
interface Segment {
  readonly iova: bigint;
  readonly runs: PhysicalRun[];
}

/** DMA-API calls of one world. */
export class DmaApiCalls {
  /** The DMA API of a device; undefined when its default domain does not translate. */
  readonly #apiOf: (device: number) => DmaApi | undefined;
  readonly #diagnostics: Diagnostics;

  constructor(apiOf: (device: number) => DmaApi | undefined, diagnostics: Diagnostics) {
    this.#apiOf = apiOf;
    this.#diagnostics = diagnostics;
  }

  /** dma_map_page, dma_map_sg, dma_alloc. */
  *map(row: ControlRow): KernelTask<CallOutcome> {
    const api = this.#apiOf(row.device);
    if (api === undefined) return { result: 0 };
    let frames = row.frames;
    if (frames.length === 0) {
      this.#diagnostics.count('frames_unknown');
      frames = unknownFrames(row);
    }
    const prot = protOfDirection(row.flags);
    for (const { iova, runs } of segments(frames)) {
      const result = yield* api.map(iova, runs, prot);
      if (result < 0) return { result };
    }
    return { result: 0 };
  }

  /** dma_unmap_page, dma_unmap_sg, dma_free: the whole pages that the buffer touches. */
  *unmap(row: ControlRow): KernelTask<CallOutcome> {
    const api = this.#apiOf(row.device);
    if (api === undefined) return { result: 0 };
    const start = row.iova & ~(PAGE - 1n);
    const end = (row.iova + row.length + PAGE - 1n) & ~(PAGE - 1n);
    if (end <= start) {
      this.#diagnostics.count('unmap_without_length');
      return { result: 0, skipped: true };
    }
    return { result: yield* api.unmap(row.cpu, start, end - start) };
  }
}

function unknownFrames(row: ControlRow): FrameRun[] {
  const first = Number(row.iova >> 12n);
  const last = Number((row.iova + (row.length > 0n ? row.length : 1n) - 1n) >> 12n);
  return [{ iovaPfn: first, pfn: first % UNKNOWN_FRAMES, pageCount: last - first + 1 }];
}

/** Cuts runs of frames, ascending by IOVA, where the IOVA jumps. */
function segments(frames: readonly FrameRun[]): Segment[] {
  const found: Segment[] = [];
  let current: Segment | undefined;
  let nextPfn = -1;
  for (const { iovaPfn, pfn, pageCount } of frames) {
    if (current === undefined || iovaPfn !== nextPfn) {
      current = { iova: addressFromPfn(iovaPfn), runs: [] };
      found.push(current);
    }
    current.runs.push({ paddr: addressFromPfn(pfn), lengthBytes: addressFromPfn(pageCount) });
    nextPfn = iovaPfn + pageCount;
  }
  return found;
}
