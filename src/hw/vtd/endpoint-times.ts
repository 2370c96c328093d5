/** How long translation requests, device-TLB invalidations and page requests of a unit's endpoints took. */
import { Histogram } from '../../stats/histogram.ts';

/** Times of all endpoints of one unit. */
export class EndpointTimes {
  /** [ps] Device asks to answer at the device, waiting for a free request included. */
  readonly translation = new Histogram();
  /** [ps] Descriptor executed to answer at the unit. */
  readonly invalidation = new Histogram();
  /** [ps] Page request group sent to response at the device. */
  readonly page = new Histogram();
  /** [ps] Sums over answered groups of the ticks at which they were sent, in the queue, answered by software, back. */
  pagesSent = 0n;
  pagesQueued = 0n;
  pagesResponded = 0n;
  pagesBack = 0n;
}
