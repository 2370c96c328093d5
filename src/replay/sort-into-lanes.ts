/** Cuts a new chunk of DMA rows into runs of one device and appends them to the lanes. */
import { InputError } from '../input-error.ts';
import type { DmaChunk } from './dma-chunk.ts';
import type { DmaLane } from './dma-lane.ts';

/**
 * Sorts the rows of `chunk` into the lanes by device; returns those that were empty. `file` is the stream's, for the
 * message when a row is refused.
 */
export function sortIntoLanes(chunk: DmaChunk, lanes: ReadonlyMap<number, DmaLane>, file: string): DmaLane[] {
  const { device, bytes } = chunk.input;
  const unsized = firstUnsized(bytes, chunk.rowCount);
  if (unsized >= 0) {
    const reason = `a request of ${bytes[unsized]} bytes`;
    throw new InputError({ file, row: chunk.firstRow + unsized, reason });
  }
  const woken: DmaLane[] = [];
  let from = 0;
  while (from < chunk.rowCount) {
    const index = device[from]!;
    let to = from + 1;
    while (to < chunk.rowCount && device[to] === index) to++;
    const lane = lanes.get(index);
    if (lane === undefined) {
      const reason = `device ${index} is not behind this unit`;
      throw new InputError({ file, row: chunk.firstRow + from, reason });
    }
    if (lane.push(chunk.firstRow + from, chunk.firstRow + to)) woken.push(lane);
    from = to;
  }
  return woken;
}

/** First row whose size no unit takes (1 .. 2^31 - 1 bytes); -1 = none. */
function firstUnsized(bytes: Uint32Array, rowCount: number): number {
  for (let i = 0; i < rowCount; i++) if ((bytes[i]! | 0) <= 0) return i;
  return -1;
}
