/** What a measured added latency may be off by: the published latency sweeps and a user's alike. */
import type { CurveValue } from './curve.ts';
import type { Tolerance } from './result.ts';

/** [pages] Windows up to this fit the IOTLB of every machine. */
const PLATEAU_PAGES = 64;
/** [ns] What a hit adds at most; less is not told from nothing. */
const HIT_NS = 3;
/** [pages] Up to this the reach of the single machine decides: 113 entries on Broadwell, 125 to 128 on Sandy Bridge. */
const REACH_PAGES = 128;
/** [ns] A dozen of 128 requests miss or do not, at up to 300 ns each. */
const REACH_NS = 30;
/** [share] Beyond. */
const SHARE = 0.1;

/** By window; a share only of values that it means something of. */
export function addedLatencyTolerance({ pages, value }: CurveValue): Tolerance {
  if (pages <= PLATEAU_PAGES) return nothing(value);
  if (pages <= REACH_PAGES) return { kind: 'absolute', amount: REACH_NS };
  return shareOfAdded(SHARE, value);
}

/** `share` of an added latency [ns], and 3 ns at least: superpages add about 0. */
export function shareOfAdded(share: number, value: number): Tolerance {
  return share * value > HIT_NS ? { kind: 'relative', share } : nothing(value);
}

/** Next to nothing: a hit, and what is below 0, up to as much again, is noise of the measurement. */
function nothing(value: number): Tolerance {
  return { kind: 'absolute', amount: HIT_NS + Math.min(HIT_NS, Math.max(0, -value)) };
}
