/** Devices that translate for themselves: hit rate, translation requests, invalidations, page requests. */
import type { CaseData } from '../case-data.ts';
import { distributionNs, nsFromPs, ratio } from '../quantities.ts';
import type { DeviceTlbSection } from '../schema/hardware.ts';

/** The section; undefined when no device has ATS. */
export function deviceTlbSection({ deviceTlb }: CaseData): DeviceTlbSection | undefined {
  if (deviceTlb === undefined) return undefined;
  const { pageStages: stages, pageLatency } = deviceTlb;
  const whole = stages.toQueuePs + stages.softwarePs + stages.responsePs;
  const stage = (name: string, ps: number) => ({
    stage: name,
    mean_ns: pageLatency.count === 0 ? null : nsFromPs(ps / pageLatency.count),
    share: ratio(ps, whole),
  });
  return {
    devices: deviceTlb.endpoints.map((endpoint) => ({
      device: endpoint.device,
      lookups: endpoint.lookups,
      hits: endpoint.hits,
      hit_share: ratio(endpoint.hits, endpoint.lookups),
      merged: endpoint.merged,
      translation_requests: endpoint.translationRequests,
      denied: endpoint.denied,
      evicted: endpoint.evicted,
      invalidated: endpoint.invalidated,
      invalidations: endpoint.invalidations,
      invalidation_timeouts: endpoint.timeouts,
      page_request_groups: endpoint.pageGroups,
      page_requests: endpoint.pageRequests,
      page_request_failures: endpoint.pageFailures,
    })),
    translation_request_ns: distributionNs(deviceTlb.translationLatency),
    invalidation_ns: distributionNs(deviceTlb.invalidationLatency),
    page_request_ns: distributionNs(pageLatency),
    page_request_stages: [
      stage('device to the page request queue', stages.toQueuePs),
      stage('interrupt, kernel and fault handler', stages.softwarePs),
      stage('response back to the device', stages.responsePs),
    ],
  };
}
