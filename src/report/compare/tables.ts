/** Tables of a comparison: what was configured differently, and what came out differently. */

import { type Block, figures, type Table, words } from '../document/block.ts';
import { formatChange } from '../document/metric-words.ts';
import { formatByteRate, formatCount, formatDuration, NOT_AVAILABLE, plural } from '../format.ts';
import { formatMetric, formatMetricChange } from '../metrics/direction.ts';
import type { ComparedConfiguration, ComparedDevice, ComparedProfile, MetricChange } from './schema.ts';

/** Devices and rows listed; the others are counted, and all are in `compare.json`. */
const LISTED_DEVICES = 10;
const LISTED_ROWS = 40;
/** Longer lists of numbers start folded on the page. */
const FOLDED_NUMBERS = 15;

/** Configuration: before any result. */
export function configurationBlocks(configuration: ComparedConfiguration): Block[] {
  const { differences, equal, profiles, only_base, only_new } = configuration;
  const same = equal.length === 0 ? '' : `The same in both: ${equal.join(', ')}.`;
  return [
    {
      kind: 'table',
      caption: 'Configuration: what differs',
      columns: [words('what'), words('base'), words('new')],
      rows: differences.map((row) => [row.what, row.base, row.new]),
    },
    ...(same === '' ? [] : [{ kind: 'paragraph', text: same } as const]),
    ...profiles.flatMap(profileBlocks),
    ...aloneTable('Cases that only the base has', only_base),
    ...aloneTable('Cases that only the new run has', only_new),
  ];
}

function aloneTable(caption: string, keys: readonly string[]): Table[] {
  if (keys.length === 0) return [];
  return [{ kind: 'table', caption, columns: [words('case', { code: true })], rows: keys.map((key) => [key]) }];
}

function profileBlocks({ kind, base, new: run, numbers, equal_numbers }: ComparedProfile): Table[] {
  if (numbers.length === 0) return [];
  const which = base === run ? run : `${base} and ${run}`;
  const amount = (value: string | number | boolean | null, unit: string): string =>
    value === null ? NOT_AVAILABLE : `${value} ${unit}`.trim();
  return [
    {
      kind: 'table',
      caption: `Numbers of the ${kind} profile that differ (${which}; ${formatCount(equal_numbers)} are equal)`,
      columns: [
        words('number', { code: true }),
        words('base'),
        words('new'),
        words('rests on'),
        // Two profiles differ in more numbers than a narrow page has room to explain.
        words('source', { wideOnly: base !== run || numbers.length > FOLDED_NUMBERS }),
      ],
      rows: numbers.map((number) => [
        number.path,
        amount(number.base, number.unit),
        amount(number.new, number.unit),
        bases(number.base_basis, number.new_basis),
        sources(number.base_source, number.new_source),
      ]),
      folded: numbers.length > FOLDED_NUMBERS,
    },
  ];
}

/** Basis of both sides; an assumption is spelled out. */
function bases(base: string | null, run: string | null): string {
  const name = (basis: string | null): string =>
    basis === null ? NOT_AVAILABLE : basis === 'A' ? 'ASSUMPTION' : basis;
  return base === run ? name(run) : `${name(base)} → ${name(run)}`;
}

function sources(base: string | null, run: string | null): string {
  if (base === run || base === null) return run ?? NOT_AVAILABLE;
  return run === null ? `base: ${base}` : `base: ${base}; new: ${run}`;
}

/** How a table calls a metric. */
export type Label = (metric: string) => string;

/** Rows of the given metrics, equal ones too. */
export function wholeTable(caption: string, changes: readonly MetricChange[], label: Label): Table {
  return { kind: 'table', caption, columns: CHANGE_COLUMNS, rows: changes.map((change) => changeRow(change, label)) };
}

/** Rows that changed, with the number of those that did not; a sentence when none did, nothing without metrics. */
export function changedBlocks(caption: string, changes: readonly MetricChange[], label: Label): Block[] {
  const moved = changes.filter(({ verdict }) => verdict !== 'no change');
  const equal = changes.length - moved.length;
  if (changes.length === 0) return [];
  if (moved.length === 0) {
    return [
      {
        kind: 'paragraph',
        text: `${caption}: all ${plural(equal, 'number')} are equal.`.replace('all 1 number are', 'the only number is'),
      },
    ];
  }
  return [
    {
      kind: 'table',
      caption: `${caption}: ${formatCount(moved.length)} of ${plural(changes.length, 'number')} changed`,
      columns: CHANGE_COLUMNS,
      rows: moved.slice(0, LISTED_ROWS).map((change) => changeRow(change, label)),
      omitted: Math.max(0, moved.length - LISTED_ROWS),
    },
  ];
}

const CHANGE_COLUMNS = [
  words('metric'),
  figures('base'),
  figures('new'),
  figures('delta'),
  figures('delta %'),
  words('verdict'),
  words('name in conditions', { code: true, wideOnly: true }),
];

function changeRow(change: MetricChange, label: Label): string[] {
  const { metric, base, new: run, delta, verdict } = change;
  return [
    label(metric),
    formatMetric(metric, base),
    formatMetric(metric, run),
    delta === 0 ? '0' : formatMetricChange(metric, delta),
    percent(change),
    verdict,
    metric,
  ];
}

function percent({ change_share: share, delta }: MetricChange): string {
  return share === null && delta !== null ? 'from 0' : formatChange(share);
}

/** Devices that moved most. */
export function deviceBlocks(devices: readonly ComparedDevice[], equal: number): Block[] {
  const all = devices.length + equal;
  if (devices.length === 0) {
    return all === 0
      ? []
      : [
          {
            kind: 'paragraph',
            text: `Devices: ${all === 1 ? 'the only one is' : `all ${formatCount(all)} are`} served as before.`,
          },
        ];
  }
  return [
    {
      kind: 'table',
      caption: `Devices that moved most: ${formatCount(devices.length)} of ${formatCount(all)} changed`,
      columns: [
        words('device', { code: true }),
        figures('mean latency'),
        figures('new'),
        figures('delta %'),
        figures('throughput', { wideOnly: true }),
        figures('new', { wideOnly: true }),
        figures('throughput %'),
        words('latency'),
      ],
      rows: devices
        .slice(0, LISTED_DEVICES)
        .map(({ device, mean_latency: mean, throughput_bytes_per_s: rate }) => [
          device,
          formatDuration(mean.base),
          formatDuration(mean.new),
          percent(mean),
          formatByteRate(rate.base),
          formatByteRate(rate.new),
          percent(rate),
          mean.verdict,
        ]),
      omitted: Math.max(0, devices.length - LISTED_DEVICES),
    },
  ];
}
