/** Metrics in words, for people; conditions use the names. */
import { shortOpName } from '../sections/control-class.ts';

/** Where the name does not read well as words. */
const LABELS: Readonly<Record<string, string>> = {
  'headline.dma_per_s': 'DMA rate',
  'headline.dma_requests': 'DMA requests',
  'headline.dma_bytes': 'DMA bytes',
  'headline.iotlb_hit_share': 'IOTLB hits',
  'headline.walks_per_dma': 'walks per DMA',
  'headline.memory_reads_per_dma': 'memory reads per DMA',
  'headline.invalidation_wait_share': 'invalidation wait',
  'headline.translation_share': 'translation',
  'headline.faulted_dma': 'faulted DMA',
  'latency.dma_latency_ns.mean': 'mean DMA latency',
  'latency.dma_latency_ns.p50': 'p50 DMA latency',
  'latency.dma_latency_ns.p99': 'p99 DMA latency',
  'latency.dma_latency_ns.p99_9': 'p99.9 DMA latency',
  'latency.dma_latency_ns.max': 'max DMA latency',
};

/** The metric in words, without `context`: the part of its name that a caption has said. */
export function metricLabel(metric: string, context = ''): string {
  const known = LABELS[metric];
  if (known !== undefined && context === '') return known;
  const said = context !== '' && metric.startsWith(context) ? context.length : metric.indexOf('.');
  const parts = [...metric.slice(said).matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)].map(([, label, key]) =>
    label === undefined ? words(key!) : /^[A-Z0-9_]+$/.test(label) ? shortOpName(label) : label,
  );
  return parts.filter((part) => part !== '').join(' ');
}

/** A key without its unit, which the value has. */
function words(key: string): string {
  if (key === 'p99_9') return 'p99.9';
  return key.replace(/(_bytes)?_per_s$|_ns$|(?<=.)_bytes$/, '').replaceAll('_', ' ');
}
