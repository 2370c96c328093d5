/**
 * The baseline without an IOMMU: the same devices and links, every DMA untranslated. Registers and invalidations do not
 * exist, so a driver must not be attached to it.
 */
import { InvariantError } from '../../assert.ts';
import type { Tick } from '../../units.ts';
import { DeviceLinks, LinkTick, type LinkTiming } from '../device-link.ts';
import {
  allocateBatch,
  type CounterSnapshot,
  type DmaBatch,
  type DmaColumns,
  DmaOutcome,
  type IommuUnit,
  type ResultColumns,
} from '../unit.ts';

const PAGE_BYTES = 4096;

/** Passes every DMA through at no cost of its own. */
export class BypassUnit implements IommuUnit {
  readonly name: string;
  readonly #links: DeviceLinks;
  /** [bytes] By device: of the row in progress, done so far. */
  readonly #bytesDone: Float64Array;
  /** [ps] By device: issue, arrival and completion of the row in progress. */
  readonly #issue: Float64Array;
  readonly #arrive: Float64Array;
  readonly #done: Float64Array;
  #requests = 0;

  constructor(name: string, link: LinkTiming, deviceCount: number) {
    this.name = name;
    this.#links = new DeviceLinks(link, deviceCount, 0);
    this.#bytesDone = new Float64Array(deviceCount);
    this.#issue = new Float64Array(deviceCount);
    this.#arrive = new Float64Array(deviceCount);
    this.#done = new Float64Array(deviceCount);
  }

  translate(input: DmaColumns, from: number, to: number, limit: Tick, out: ResultColumns): number {
    const links = this.#links;
    const { ticks } = links;
    const { maxReadChunkBytes, maxWriteChunkBytes } = links;
    for (let row = from; row < to; row++) {
      const device = input.device[row]!;
      const write = input.flags[row]! & 1;
      const port = (device << 1) | write;
      const chunkLimit = write === 0 ? maxReadChunkBytes : maxWriteChunkBytes;
      const size = input.bytes[row]!;
      const low = input.iova[2 * row]!;
      const high = input.iova[2 * row + 1]!;
      let earliest = input.notBefore[row]!;
      let done = this.#bytesDone[device]!;
      while (done < size) {
        const piece = Math.min(size - done, PAGE_BYTES - ((low + done) % PAGE_BYTES), chunkLimit);
        ticks[LinkTick.earliest] = earliest;
        links.offer(port, piece);
        const issue = ticks[LinkTick.issue]!;
        if (issue >= limit) {
          this.#bytesDone[device] = done;
          out.issueTick[row] = issue;
          return row;
        }
        links.commit(port);
        const arrival = ticks[LinkTick.arrival]!;
        ticks[LinkTick.ready] = arrival;
        links.complete(port);
        const complete = ticks[LinkTick.done]!;
        this.#requests += links.tlpCount(port);
        if (done === 0) {
          this.#issue[device] = issue;
          this.#arrive[device] = arrival;
          this.#done[device] = complete;
        } else if (complete > this.#done[device]!) {
          this.#done[device] = complete;
        }
        done += piece;
        earliest = issue;
      }
      if (done === 0) throw new InvariantError(`device ${device}: a DMA row of 0 bytes`);
      this.#bytesDone[device] = 0;
      out.issueTick[row] = this.#issue[device]!;
      out.arriveTick[row] = this.#arrive[device]!;
      out.readyTick[row] = this.#arrive[device]!;
      out.doneTick[row] = this.#done[device]!;
      out.outcome[row] = DmaOutcome.passThrough;
      out.fault[row] = 0;
      out.walkReads[row] = 0;
      out.pageShift[row] = 0;
      out.pfn[2 * row] = (low >>> 12) | (high << 20);
      out.pfn[2 * row + 1] = high >>> 12;
    }
    return to;
  }

  columns(capacityRows: number): DmaBatch {
    return allocateBatch(capacityRows);
  }

  mmioWrite(): void {}

  mmioRead(): number {
    return 0;
  }

  counters(): CounterSnapshot {
    return { iommu_requests: 0, 'model.pass_through': this.#requests };
  }
}
