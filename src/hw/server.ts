/** A pool of identical servers, each known only by the tick until which it is busy: page walkers. */
import { assert } from '../assert.ts';
import { type ArraySource, HEAP_ARRAYS } from './linear-memory.ts';

/** k identical servers. A request takes the one that is free first; ties go to the lowest number. */
export class ServerPool {
  /** [ps] Per server: busy until. */
  readonly busyUntil: Float64Array;

  constructor(count: number, arrays: ArraySource = HEAP_ARRAYS) {
    assert(Number.isInteger(count) && count > 0, `bad server count ${count}`);
    this.busyUntil = arrays.float64(count);
  }

  /** Number of the server that is free first. @hot */
  earliest(): number {
    const busyUntil = this.busyUntil;
    let best = 0;
    let bestTick = busyUntil[0]!;
    for (let server = 1; server < busyUntil.length; server++) {
      const tick = busyUntil[server]!;
      if (tick < bestTick) {
        bestTick = tick;
        best = server;
      }
    }
    return best;
  }

  /** All servers free. */
  reset(): void {
    this.busyUntil.fill(0);
  }
}
