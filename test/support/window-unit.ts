/**
 * An IOMMU that is easy to reason about: every device has a window of outstanding requests, the translation takes
 * longer when the previous request of *any* device touched another page, and nothing faults. Because the last page
 * is shared, results depend on the order of rows of different devices: what batch and chunk sizes must not change.
 */
import {
  allocateBatch,
  type CounterSnapshot,
  type DmaBatch,
  type DmaColumns,
  type IommuUnit,
  type ResultColumns,
} from '../../src/hw/unit.ts';

const HIT_PS = 2_000;
const MISS_PS = 300_000;
const UP_PS = 100_000;
const MEMORY_PS = 200_000;

/** The unit. Window in requests. */
export class WindowUnit implements IommuUnit {
  readonly name: string;
  readonly #window: number;
  readonly #outstanding = new Map<number, number[]>();
  #lastPage = -1;
  rows = 0;
  calls = 0;
  /** Rows in the order in which they were issued: device and issue tick. */
  readonly log: { device: number; issueTick: number; doneTick: number }[] = [];

  constructor(name: string, window = 4) {
    this.name = name;
    this.#window = window;
  }

  columns(capacityRows: number): DmaBatch {
    return allocateBatch(capacityRows);
  }

  translate(input: DmaColumns, from: number, to: number, limit: number, out: ResultColumns): number {
    this.calls++;
    for (let row = from; row < to; row++) {
      const device = input.device[row]!;
      let outstanding = this.#outstanding.get(device);
      if (outstanding === undefined) {
        outstanding = [];
        this.#outstanding.set(device, outstanding);
      }
      const free = outstanding.length < this.#window ? 0 : outstanding[0]!;
      const issue = Math.max(input.notBefore[row]!, free);
      out.issueTick[row] = issue;
      if (issue >= limit) return row;
      if (outstanding.length === this.#window) outstanding.shift();
      const page = Math.floor(input.iova[2 * row]! / 4096);
      const hit = page === this.#lastPage;
      this.#lastPage = page;
      out.arriveTick[row] = issue + UP_PS;
      out.readyTick[row] = issue + UP_PS + (hit ? HIT_PS : MISS_PS);
      out.doneTick[row] = out.readyTick[row]! + MEMORY_PS;
      out.outcome[row] = hit ? 0 : 1;
      out.fault[row] = 0;
      out.walkReads[row] = hit ? 0 : 4;
      out.pageShift[row] = 12;
      outstanding.push(out.doneTick[row]!);
      outstanding.sort((a, b) => a - b);
      this.rows++;
      this.log.push({ device, issueTick: issue, doneTick: out.doneTick[row]! });
    }
    return to;
  }

  mmioWrite(): void {}

  mmioRead(): number {
    return 0;
  }

  counters(): CounterSnapshot {
    return { rows: this.rows };
  }
}
