/** The numbers of the first screen. */
import type { CaseData } from '../case-data.ts';
import { nsFromPs, perSecond, ratio, totalNs } from '../quantities.ts';
import type { HeadlineSection } from '../schema/performance.ts';
import type { ReportCase } from '../schema/report.ts';
import { counterTotal, walkCount } from './caches.ts';
import { controlClass } from './control-class.ts';

/** The section. */
export function headlineSection(data: CaseData): HeadlineSection {
  const spanNs = nsFromPs(data.spanPs);
  const requests = data.dmaLatency.count;
  const bytes = data.devices.reduce((sum, device) => sum + device.bytes, 0);
  const { control } = data.time;
  const controlPs =
    control.iovaPs + control.tablePs + control.submitPs + control.waitPs + control.lockPs + control.otherPs;
  const domainChanges = Object.entries(data.controlLatency).filter(([op]) => controlClass(op) === 'domain change');
  const lookups = counterTotal(data, 'iotlb_lookup');
  return {
    dma_requests: data.dmaRows,
    control_calls: data.controlRows,
    dma_bytes: bytes,
    span_ns: spanNs,
    throughput_bytes_per_s: perSecond(bytes, spanNs),
    dma_per_s: perSecond(data.dmaRows, spanNs),
    translation_share: translationShare(data),
    iotlb_hit_share: ratio(counterTotal(data, 'iotlb_hit'), lookups),
    walks_per_dma: lookups === 0 ? null : ratio(walkCount(data), requests),
    memory_reads_per_dma: lookups === 0 ? null : ratio(counterTotal(data, 'iommu_mrds'), requests),
    invalidation_wait_share: ratio(control.waitPs, controlPs),
    longest_domain_change_ns:
      domainChanges.length === 0 ? null : nsFromPs(Math.max(...domainChanges.map(([, state]) => state.max))),
    faulted_dma: data.devices.reduce((sum, device) => sum + device.faults, 0),
    divergences: data.divergences.count,
  };
}

/** Requests of devices that translate for themselves spend it before they reach the IOMMU: there the parts of time count. */
function translationShare({ deviceTlb, time, translationLatency, dmaLatency }: CaseData): number | null {
  if (deviceTlb === undefined) return ratio(totalNs(translationLatency), totalNs(dmaLatency));
  const { iotlbHitPs, contextWalkPs, pageWalkPs, walkQueuePs, windowPs, linkPs, memoryPs } = time;
  const translation = iotlbHitPs + contextWalkPs + pageWalkPs + walkQueuePs + (time.deviceTlbPs ?? 0);
  return ratio(translation, translation + windowPs + linkPs + memoryPs + (time.pageRequestPs ?? 0));
}

/** [ns] Mean time that translation takes of a DMA, wherever it happens: device TLB, translation requests, IOMMU. */
export function translationMeanNs({ headline, latency }: Pick<ReportCase, 'headline' | 'latency'>): number | null {
  const { mean } = latency.dma_latency_ns;
  return headline.translation_share === null || mean === null ? null : headline.translation_share * mean;
}
