/**
 * The DMA rows of one device that are loaded and not yet issued, in trace order. Rows of a lane that follow each other
 * in the stream form a segment, so that a whole run of them is one call of the unit.
 */

/** Key of a lane whose next row cannot be issued yet, or that has none. */
export const BLOCKED = Number.POSITIVE_INFINITY;

/** One device's queue. The feed and its parts own the fields; the heap owns {@link heapIndex}. */
export class DmaLane {
  readonly device: number;
  /** Next row to issue; meaningless while {@link empty}. */
  next = 0;
  /** End (exclusive) of the segment {@link next} is in. */
  segmentEnd = 0;
  /** Rows before this one, in the segment, have their final `notBefore`. */
  resolved = 0;
  /** [ps] No row of this lane issues before: a lower bound, exact once the unit was asked. {@link BLOCKED}: unknown. */
  key = BLOCKED;
  /** [ps] Issue of the row before the next. */
  lastIssue = 0;
  /** 1 + control row the next row waits for; 0 = none. */
  waitsForControl = 0;
  /** 1 + DMA row of the unit the next row waits for (skew limit); 0 = none. */
  waitsForRow = 0;
  heapIndex = 0;
  /** The device has stopped: nothing issues until it is told to go on. */
  held = false;
  /** [ps] When it was told to the last time. */
  heldUntil = 0;

  /** Segments behind the current one: pairs of first row and end, in a ring. */
  #ring = new Float64Array(16);
  #head = 0;
  #count = 0;

  constructor(device: number) {
    this.device = device;
  }

  get empty(): boolean {
    return this.next === this.segmentEnd;
  }

  /** Appends rows `first` .. `end`-1; true when the lane was empty, so that its key must be found anew. */
  push(first: number, end: number): boolean {
    if (this.empty) {
      this.#enter(first, end);
      return true;
    }
    if (2 * this.#count === this.#ring.length) this.#grow();
    const slot = (this.#head + 2 * this.#count) & (this.#ring.length - 1);
    this.#ring[slot] = first;
    this.#ring[slot + 1] = end;
    this.#count++;
    return false;
  }

  /** Goes on to `row`; enters the next segment at the end of this one. @hot */
  advance(row: number): void {
    this.next = row;
    if (row < this.segmentEnd || this.#count === 0) return;
    const slot = this.#head;
    this.#head = (slot + 2) & (this.#ring.length - 1);
    this.#count--;
    this.#enter(this.#ring[slot]!, this.#ring[slot + 1]!);
  }

  #enter(first: number, end: number): void {
    this.next = first;
    this.segmentEnd = end;
    this.resolved = first;
  }

  #grow(): void {
    const ring = this.#ring;
    const grown = new Float64Array(ring.length * 2);
    for (let i = 0; i < ring.length; i++) grown[i] = ring[(this.#head + i) & (ring.length - 1)]!;
    this.#ring = grown;
    this.#head = 0;
  }
}

/** Binary heap of lanes by (key, next row): the lane that issues next is on top. Every lane is always in it. */
export class LaneHeap {
  readonly #lanes: DmaLane[] = [];

  get top(): DmaLane | undefined {
    return this.#lanes[0];
  }

  add(lane: DmaLane): void {
    lane.heapIndex = this.#lanes.length;
    this.#lanes.push(lane);
    this.update(lane);
  }

  /** The lane that comes after the top one; undefined when there is just one. @hot */
  second(): DmaLane | undefined {
    const left = this.#lanes[1];
    const right = this.#lanes[2];
    if (right === undefined || left === undefined) return left;
    return before(right, left) ? right : left;
  }

  /** Restores the order after a change of `lane.key` or `lane.next`. @hot */
  update(lane: DmaLane): void {
    const lanes = this.#lanes;
    let hole = lane.heapIndex;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = lanes[parent]!;
      if (!before(lane, above)) break;
      lanes[hole] = above;
      above.heapIndex = hole;
      hole = parent;
    }
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= lanes.length) break;
      if (child + 1 < lanes.length && before(lanes[child + 1]!, lanes[child]!)) child++;
      const below = lanes[child]!;
      if (!before(below, lane)) break;
      lanes[hole] = below;
      below.heapIndex = hole;
      hole = child;
    }
    lanes[hole] = lane;
    lane.heapIndex = hole;
  }
}

function before(a: DmaLane, b: DmaLane): boolean {
  return a.key < b.key || (a.key === b.key && a.next < b.next);
}
