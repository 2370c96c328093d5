/** Device TLBs and page requests in words and tables. */
import { formatCount, formatDuration, formatShare } from '../format.ts';
import type { DeviceTlbSection } from '../schema/hardware.ts';
import { type Block, figures, type Section, type Table, words } from './block.ts';
import { LATENCY_COLUMNS, latencyCells } from './latency-columns.ts';

/** The section of a case with such devices. */
export function deviceTlbChapter(section: DeviceTlbSection): Section {
  const asked = section.devices.some(({ page_request_groups }) => page_request_groups > 0);
  const blocks: Block[] = [deviceTable(section), timesTable(section, asked)];
  if (asked) blocks.push(pageTable(section), stageTable(section));
  blocks.push({
    kind: 'paragraph',
    text:
      'A device with ATS looks up its own TLB first. A miss is a translation request to the IOMMU, which answers from its IOTLB or by a walk; the request itself then goes out translated. An invalidation is complete when the device has dropped the entries and every request that used them is done.' +
      (asked
        ? ' A page that is absent is asked for: time in software runs from the entry in the page request queue to the execution of the response descriptor. Published I/O page faults of real devices take 220 to 700 µs, most of it in the device and its driver, which are not modelled.'
        : ''),
  });
  return { id: 'device-tlbs', title: 'Device TLBs', blocks };
}

function deviceTable({ devices }: DeviceTlbSection): Table {
  return {
    kind: 'table',
    caption: 'Device TLBs',
    columns: [
      words('device', { code: true }),
      figures('lookups'),
      figures('hits'),
      figures('hit'),
      figures('joined a request', { wideOnly: true }),
      figures('translation requests'),
      figures('denied', { wideOnly: true }),
      figures('replaced', { wideOnly: true }),
      figures('invalidations'),
      figures('entries dropped', { wideOnly: true }),
      figures('not answered', { wideOnly: true }),
    ],
    rows: devices.map((device) => [
      device.device,
      formatCount(device.lookups),
      formatCount(device.hits),
      formatShare(device.hit_share),
      formatCount(device.merged),
      formatCount(device.translation_requests),
      formatCount(device.denied),
      formatCount(device.evicted),
      formatCount(device.invalidations),
      formatCount(device.invalidated),
      formatCount(device.invalidation_timeouts),
    ]),
  };
}

function timesTable(section: DeviceTlbSection, asked: boolean): Table {
  const rows = [
    ['translation request', ...latencyCells(section.translation_request_ns)],
    ['invalidation', ...latencyCells(section.invalidation_ns)],
  ];
  if (asked) rows.push(['page request', ...latencyCells(section.page_request_ns)]);
  return {
    kind: 'table',
    caption: 'Round trips between device and IOMMU (upper bounds of histogram buckets)',
    columns: [words('round trip'), ...LATENCY_COLUMNS],
    rows,
  };
}

function pageTable({ devices }: DeviceTlbSection): Table {
  return {
    kind: 'table',
    caption: 'Page requests',
    columns: [words('device', { code: true }), figures('groups'), figures('pages'), figures('failed')],
    rows: devices.map((device) => [
      device.device,
      formatCount(device.page_request_groups),
      formatCount(device.page_requests),
      formatCount(device.page_request_failures),
    ]),
  };
}

function stageTable({ page_request_stages: stages }: DeviceTlbSection): Table {
  return {
    kind: 'table',
    caption: 'Where a page request spends its time',
    columns: [words('part'), figures('per group'), figures('share')],
    rows: stages.map(({ stage, mean_ns, share }) => [stage, formatDuration(mean_ns), formatShare(share)]),
  };
}
