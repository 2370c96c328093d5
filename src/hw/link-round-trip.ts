/** What a read's round trip is made of besides memory: the same sum where a profile states it and where a sweep does. */
import { nsFromTicks } from '../units.ts';
import type { LinkTiming } from './device-link.ts';

/** [bytes] The read that round trips are stated for. */
const ROUND_TRIP_BYTES = 64;

/** [ps] Flight and wire time of a lone 64-byte read: its round trip with the IOMMU off, less the time of memory. */
export function flightAndWireTicks(
  link: Pick<LinkTiming, 'psPerByte' | 'requestHeaderBytes' | 'completionHeaderBytes' | 'dllpBytes' | 'oneWayTicks'>,
): number {
  const { psPerByte, dllpBytes } = link;
  const up = Math.round((link.requestHeaderBytes + dllpBytes) * psPerByte);
  const down = Math.round((ROUND_TRIP_BYTES + link.completionHeaderBytes + dllpBytes) * psPerByte);
  return 2 * link.oneWayTicks + up + down;
}

/** [ns] Shortest round trip of a 64-byte read that the link leaves room for: memory takes no time. */
export function leastRoundTripNs(link: Parameters<typeof flightAndWireTicks>[0]): number {
  return nsFromTicks(flightAndWireTicks(link));
}
