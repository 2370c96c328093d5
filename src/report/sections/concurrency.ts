/**
 * Little's law: what must be in flight for the rate and latency that came out, and whether the walkers bound it. With W
 * walkers, walks of mean length L and B bytes moved per walk, throughput cannot pass W * B / L.
 */
import type { ProfileCard } from '../../replay/protocol.ts';
import type { CaseData } from '../case-data.ts';
import { nsFromPs, perSecond, ratio, totalNs } from '../quantities.ts';
import type { ConcurrencySection } from '../schema/performance.ts';
import { meanWalkNs, walkCount } from './caches.ts';

/** The section; `walkers` is read off the hardware profile by the name of its number. */
export function concurrencySection(data: CaseData, profiles: readonly ProfileCard[]): ConcurrencySection {
  const spanNs = nsFromPs(data.spanPs);
  const bytes = data.devices.reduce((sum, device) => sum + device.bytes, 0);
  const walkNs = nsFromPs(data.time.contextWalkPs + data.time.pageWalkPs);
  const latencySumNs = totalNs(data.dmaLatency);
  const walkers = walkerCount(data, profiles);
  const walks = walkCount(data);
  const meanWalk = meanWalkNs(data);
  const bytesPerWalk = ratio(bytes, walks);
  const inFlight = ratio(latencySumNs, spanNs);
  const walksInFlight = ratio(walkNs, spanNs);
  const bound =
    walkers === null || bytesPerWalk === null || meanWalk === null ? null : perSecond(walkers * bytesPerWalk, meanWalk);
  return {
    in_flight_requests: inFlight,
    in_flight_bytes:
      inFlight === null || data.dmaLatency.count === 0 ? null : inFlight * (bytes / data.dmaLatency.count),
    walks_in_flight: walksInFlight,
    walkers,
    walker_bound_bytes_per_s: bound,
    walker_utilisation_share: walkers === null || walksInFlight === null ? null : walksInFlight / walkers,
  };
}

function walkerCount(data: CaseData, profiles: readonly ProfileCard[]): number | null {
  const profile = profiles.find((card) => card.kind === 'hardware' && card.name === data.hardwareProfile);
  const number = profile?.numbers.find(({ path }) => /(^|\.)walkers(\.count)?$/i.test(path));
  return typeof number?.value === 'number' && number.value > 0 ? number.value : null;
}
