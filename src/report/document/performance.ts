/** Latency, time, caches and invalidation of a case in words and tables. */
import {
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatQuotient,
  formatShare,
  NOT_AVAILABLE,
} from '../format.ts';
import type { BottleneckSection } from '../schema/performance.ts';
import type { ReportCase } from '../schema/report.ts';
import { pageName } from '../sections/answers.ts';
import { shownUse } from '../sections/bottleneck.ts';
import { type Fact, figures, type Section, type Table, words } from './block.ts';
import { LATENCY_COLUMNS, latencyCells } from './latency-columns.ts';

/** Latency: curves, percentiles over time, and the devices behind them. */
export function latencyChapter({ latency }: ReportCase): Section {
  const devices: Table = {
    kind: 'table',
    caption: 'Requests by device',
    columns: [
      words('device', { code: true }),
      figures('reads'),
      figures('writes'),
      figures('bytes'),
      figures('p99', { wideOnly: true }),
      figures('hits', { wideOnly: true }),
      figures('misses'),
      figures('joined a walk', { wideOnly: true }),
      figures('of all misses', { wideOnly: true }),
      words('page sizes', { wideOnly: true }),
    ],
    rows: latency.devices.map((device) => [
      device.device,
      formatCount(device.reads),
      formatCount(device.writes),
      formatBytes(device.dma_bytes),
      formatDuration(device.dma_latency_ns.p99),
      formatCount(device.hits),
      formatCount(device.misses),
      formatCount(device.merged_misses),
      formatShare(device.miss_share),
      device.page_sizes.map((size) => `${pageName(size.page_bytes)}: ${formatCount(size.requests)}`).join(', ') ||
        NOT_AVAILABLE,
    ]),
  };
  return {
    id: 'latency',
    title: 'Latency',
    blocks: [
      { kind: 'charts', names: ['latency-cdf', 'latency-tail', 'latency-devices', 'latency-bands'] },
      {
        kind: 'table',
        caption: 'Latency percentiles (upper bounds of histogram buckets)',
        columns: [words('latency'), ...LATENCY_COLUMNS],
        rows: [
          ['DMA', ...latencyCells(latency.dma_latency_ns)],
          ['translation', ...latencyCells(latency.translation_latency_ns)],
        ],
      },
      devices,
    ],
  };
}

/** Every limited resource, busiest first. */
function resourceTable({ resources }: BottleneckSection): Table {
  return {
    kind: 'table',
    caption: 'What limits the rate: resources by use',
    columns: [words('resource'), figures('in use'), figures('bound'), words('of what')],
    rows: resources.map((resource) => {
      const { share, boundBytesPerS } = shownUse(resource);
      return [resource.resource, formatShare(share), formatByteRate(boundBytesPerS), resource.detail];
    }),
  };
}

/** Where time goes, and Little's law beside it. */
export function timeChapter({ time, concurrency, bottleneck }: ReportCase): Section {
  const parts = (caption: string, per: string, rows: ReportCase['time']['dma']): Table => ({
    kind: 'table',
    caption,
    columns: [words('part'), figures(`per ${per}`), figures('total'), figures('share')],
    rows: rows.map((row) => [
      row.part,
      formatDuration(row.mean_ns),
      formatDuration(row.total_ns),
      formatShare(row.share),
    ]),
  });
  const bound = concurrency.walker_bound_bytes_per_s;
  const facts: Fact[] = [
    { label: 'requests in flight', value: `${formatQuotient(concurrency.in_flight_requests)} on average` },
    { label: 'bytes in flight', value: formatBytes(concurrency.in_flight_bytes) },
    {
      label: 'walks in flight',
      value:
        concurrency.walkers === null
          ? `${formatQuotient(concurrency.walks_in_flight)} on average`
          : `${formatQuotient(concurrency.walks_in_flight)} of ${concurrency.walkers} walkers busy (${formatShare(concurrency.walker_utilisation_share)})`,
    },
    {
      label: 'bound by walkers',
      value: bound === null ? NOT_AVAILABLE : `${formatByteRate(bound)} at this miss rate and walk time`,
    },
  ];
  return {
    id: 'time',
    title: 'Where time goes',
    blocks: [
      { kind: 'charts', names: ['time-dma', 'time-control'] },
      {
        kind: 'columns',
        blocks: [
          parts('DMA, from device to memory and back', 'DMA', time.dma),
          parts('Control plane, by kind of work', 'call', time.control),
        ],
      },
      { kind: 'paragraph', text: "Little's law: what must be in flight for this rate at this latency." },
      { kind: 'facts', facts },
      ...(bottleneck === null ? [] : [resourceTable(bottleneck)]),
    ],
  };
}

function unitTable({ unit, caches }: ReportCase['units'][number]): Table {
  return {
    kind: 'table',
    caption: `Caches of ${unit}`,
    columns: [words('cache'), figures('lookups'), figures('hits'), figures('misses'), figures('hit')],
    rows: caches.map((cache) => [
      cache.cache,
      formatCount(cache.lookups),
      formatCount(cache.hits),
      formatCount(cache.misses),
      formatShare(cache.hit_share),
    ]),
  };
}

function counterTable({ unit, counters }: ReportCase['units'][number]): Table {
  return {
    kind: 'table',
    caption: `All counters of ${unit}, in VT-d perfmon names`,
    columns: [words('counter', { code: true }), figures('value')],
    rows: Object.entries(counters).map(([name, value]) => [name, formatCount(value)]),
    folded: true,
  };
}

/** Caches and every hardware counter. */
export function cacheChapter({ units }: ReportCase): Section {
  return {
    id: 'caches',
    title: 'Caches',
    blocks: [
      { kind: 'columns', blocks: [{ kind: 'charts', names: ['cache-hits'] }, ...units.map(unitTable)] },
      ...units.map(counterTable),
      {
        kind: 'paragraph',
        text: `A walk takes ${formatDuration(units[0]?.mean_walk_ns ?? null)} on average, without waiting to begin. Context and PASID caches are looked up on an IOTLB miss only.`,
      },
    ],
  };
}

/** Invalidation queue. */
export function invalidationChapter({ invalidation }: ReportCase): Section {
  return {
    id: 'invalidation',
    title: 'Invalidation queue',
    blocks: [
      {
        kind: 'facts',
        facts: [
          { label: 'submissions', value: formatCount(invalidation.submissions) },
          { label: 'descriptors per submission', value: formatQuotient(invalidation.descriptors_per_submission) },
          { label: 'most descriptors pending', value: formatCount(invalidation.peak_occupancy) },
        ],
      },
      {
        kind: 'columns',
        blocks: [
          { kind: 'charts', names: ['invalidation-wait'] },
          {
            kind: 'table',
            caption: 'Descriptors by kind',
            columns: [words('descriptor', { code: true }), figures('count'), figures('share')],
            rows: invalidation.descriptors.map((row) => [row.kind, formatCount(row.count), formatShare(row.share)]),
          },
        ],
      },
      {
        kind: 'table',
        caption: 'Wait from tail write to status write',
        columns: [words('wait'), ...LATENCY_COLUMNS],
        rows: [['submission', ...latencyCells(invalidation.wait_ns)]],
      },
      {
        kind: 'table',
        caption: 'Wait in the buckets of the kernel’s dmar_perf_latency',
        columns: [words('bucket'), figures('submissions')],
        rows: invalidation.dmar_latency_buckets.map((row) => [row.bucket, formatCount(row.count)]),
        folded: true,
      },
    ],
  };
}
