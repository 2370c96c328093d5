/**
 * A lane: the requests of one device and PASID. Remembers the latest of them, so that a switch can be held against what
 * was usual just before it.
 */

/** [requests] Remembered; a power of two. */
const HISTORY_ROWS = 512;

/** What was usual before a switch. */
export interface LaneBaseline {
  readonly rows: number;
  readonly hits: number;
  readonly walkReads: number;
  /** [ps] */
  readonly medianLatencyPs: number;
  readonly maxLatencyPs: number;
  /** [ps] Longest time between two completions. */
  readonly maxGapPs: number;
}

/** Requests of one device and PASID. */
export class Lane {
  readonly device: number;
  readonly pasid: number;
  readonly unit: number;
  /** [ps] Latest completion that was no fault; 0 = none yet. */
  lastSuccess = 0;
  readonly #done = new Float64Array(HISTORY_ROWS);
  readonly #latency = new Float64Array(HISTORY_ROWS);
  readonly #bytes = new Float64Array(HISTORY_ROWS);
  /** Bit 0: hit; from bit 1 on: walk reads. */
  readonly #walks = new Uint16Array(HISTORY_ROWS);
  #count = 0;

  constructor(device: number, pasid: number, unit: number) {
    this.device = device;
    this.pasid = pasid;
    this.unit = unit;
  }

  /** Adds a request that was translated. @hot */
  push(doneTick: number, latencyPs: number, bytes: number, hit: number, walkReads: number): void {
    const at = this.#count & (HISTORY_ROWS - 1);
    this.#done[at] = doneTick;
    this.#latency[at] = latencyPs;
    this.#bytes[at] = bytes;
    this.#walks[at] = hit | (walkReads << 1);
    this.#count++;
    if (doneTick > this.lastSuccess) this.lastSuccess = doneTick;
  }

  /** Calls `each` for the remembered requests, the oldest first. */
  visit(each: (doneTick: number, latencyPs: number, bytes: number) => void): void {
    const kept = Math.min(this.#count, HISTORY_ROWS);
    for (let i = this.#count - kept; i < this.#count; i++) {
      const at = i & (HISTORY_ROWS - 1);
      each(this.#done[at]!, this.#latency[at]!, this.#bytes[at]!);
    }
  }

  baseline(): LaneBaseline {
    const kept = Math.min(this.#count, HISTORY_ROWS);
    const latencies = this.#latency.slice(0, kept).sort();
    const done = this.#done.slice(0, kept).sort();
    let hits = 0;
    let walkReads = 0;
    let maxGapPs = 0;
    for (let i = 0; i < kept; i++) {
      hits += this.#walks[i]! & 1;
      walkReads += this.#walks[i]! >>> 1;
      if (i > 0) maxGapPs = Math.max(maxGapPs, done[i]! - done[i - 1]!);
    }
    return {
      rows: kept,
      hits,
      walkReads,
      medianLatencyPs: latencies[kept >> 1] ?? 0,
      maxLatencyPs: latencies[kept - 1] ?? 0,
      maxGapPs,
    };
  }
}
