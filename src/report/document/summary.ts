/** The first screen in words: state, sentence, tiles, provenance. */
import {
  formatByteRate,
  formatCount,
  formatDuration,
  formatQuotient,
  formatRate,
  formatShare,
  plural,
} from '../format.ts';
import type { ReportCase, ReportModel } from '../schema/report.ts';
import { translationMeanNs } from '../sections/headline.ts';
import type { Badge, Provenance, Tile } from './block.ts';
import { streamProvenance } from './workload-provenance.ts';

/** Badges of a case; completeness is that of the run. */
export function badges(model: ReportModel, { headline, divergences, identity }: ReportCase): Badge[] {
  const list: Badge[] = [
    model.complete ? { text: 'complete', tone: 'good' } : { text: 'incomplete', tone: 'bad' },
    headline.faulted_dma === 0
      ? { text: 'no faults', tone: 'good' }
      : { text: plural(headline.faulted_dma, 'faulted DMA', 'faulted DMA'), tone: 'warn' },
  ];
  if (divergences.compared === 0) list.push({ text: 'nothing compared', tone: 'plain' });
  else if (divergences.count === 0) list.push({ text: 'results match the recording', tone: 'good' });
  else list.push({ text: plural(divergences.count, 'divergence'), tone: 'bad' });
  const lost = identity?.lost_events ?? 0;
  if (lost > 0) list.push({ text: `${plural(lost, 'event')} lost`, tone: 'warn' });
  return list;
}

/** The case in one sentence. */
export function sentence({ headline, latency }: ReportCase): string {
  if (headline.dma_requests === 0) return 'No DMA was replayed.';
  const { p50, p99 } = latency.dma_latency_ns;
  return (
    `${plural(headline.dma_requests, 'DMA request')} and ${plural(headline.control_calls, 'control-plane call')} in ` +
    `${formatDuration(headline.span_ns)} of model time: half of the requests finish within ${formatDuration(p50)}, ` +
    `99 % within ${formatDuration(p99)}, and translation is ${formatShare(headline.translation_share)} of their latency.`
  );
}

/** The numbers of the first screen. */
export function tiles(facts: ReportCase): Tile[] {
  const { headline, latency, invalidation, timeline, faults, device_tlbs: deviceTlbs } = facts;
  const translationNs = deviceTlbs === undefined ? latency.translation_latency_ns.mean : translationMeanNs(facts);
  const dma = latency.dma_latency_ns;
  const tile = (label: string, value: string, detail: string, alert = false): Tile => ({ label, value, detail, alert });
  return [
    tile('DMA latency p50', formatDuration(dma.p50), `mean ${formatDuration(dma.mean)}`),
    tile('DMA latency p99', formatDuration(dma.p99), `p90 ${formatDuration(dma.p90)}`),
    tile('DMA latency p99.9', formatDuration(dma.p99_9), `of ${plural(dma.count, 'request')}`),
    tile('DMA latency max', formatDuration(dma.max), `min ${formatDuration(dma.min)}`),
    tile(
      'Throughput',
      formatByteRate(headline.throughput_bytes_per_s),
      formatRate(headline.dma_per_s).replace(/ ?\/s$/, ' DMA/s'),
    ),
    tile(
      'Translation',
      formatShare(headline.translation_share),
      `of DMA latency, mean ${formatDuration(translationNs)}`,
    ),
    tile(
      'IOTLB hits',
      formatShare(headline.iotlb_hit_share),
      `${formatQuotient(headline.walks_per_dma)} walks, ${formatQuotient(headline.memory_reads_per_dma)} reads per DMA`,
    ),
    tile(
      'Invalidation wait',
      formatShare(headline.invalidation_wait_share),
      `of control-plane time, p99 ${formatDuration(invalidation.wait_ns.p99)}`,
    ),
    tile(
      'Longest domain change',
      formatDuration(headline.longest_domain_change_ns),
      timeline.longest_idle_ns
        ? `longest idle ${formatDuration(timeline.longest_idle_ns)}`
        : 'no bin without a completion',
    ),
    tile(
      'Faulted DMA',
      formatCount(headline.faulted_dma),
      faults[0]?.reason_text ?? 'none blocked',
      headline.faulted_dma > 0,
    ),
  ];
}

/** Provenance of the DMA stream; `null` without a manifest. */
export function provenance({ identity, divergences }: ReportCase): Provenance | null {
  if (identity === null) return null;
  return streamProvenance(identity, [
    divergences.compared === 0
      ? 'no control-plane result compared'
      : `${formatCount(divergences.count)} of ${formatCount(divergences.compared)} control-plane results diverge`,
    `recorded on ${identity.tool}${identity.kernel === '' ? '' : `, kernel ${identity.kernel}`}`,
  ]);
}
