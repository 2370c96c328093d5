/** Identity and provenance in words and tables. */
import { formatByteRate, formatBytes, formatCount, formatDuration, formatShare, plural } from '../format.ts';
import { inferredColumnsText } from '../inferred-columns.ts';
import type { IdentitySection } from '../schema/identity.ts';
import type { ReportCase, ReportModel } from '../schema/report.ts';
import { type Block, type Fact, figures, type Section, type Table, words } from './block.ts';

/** What was replayed, where it came from, and under which profiles. */
export function identityChapter(model: ReportModel, facts: ReportCase): Section {
  const { identity } = facts;
  const blocks: Block[] = [{ kind: 'facts', facts: [...runFacts(model, facts), ...traceFacts(identity)] }];
  if (identity === null) {
    blocks.push({
      kind: 'paragraph',
      text: 'The manifest of the bundle is not readable, so its provenance is unknown.',
    });
  } else {
    blocks.push(...tables(identity));
  }
  return { id: 'identity', title: 'Identity and provenance', blocks };
}

function runFacts(model: ReportModel, facts: ReportCase): Fact[] {
  const digest = (kind: 'hardware' | 'kernel', name: string) => {
    const profile = model.model_card.profiles.find((card) => card.kind === kind && card.name === name);
    const changed = profile?.overrides.length ? `, changed: ${profile.overrides.join(' ')}` : '';
    return `${name}${profile === undefined ? '' : ` (sha256 ${profile.sha256.slice(0, 12)}…${changed})`}`;
  };
  return [
    { label: 'tool', value: `iommu-replay ${model.tool_version}` },
    { label: 'hardware profile', value: digest('hardware', facts.hardware_profile) },
    { label: 'kernel profile', value: digest('kernel', facts.kernel_profile) },
    { label: 'pacing', value: facts.pacing.reason },
    { label: 'sharding', value: `${plural(facts.shards, 'closed world')}, each replayed whole` },
  ];
}

function traceFacts(identity: IdentitySection | null): Fact[] {
  if (identity === null) return [];
  const { provenance } = identity;
  const columns = inferredColumnsText(provenance);
  return [
    { label: 'trace', value: identity.description },
    { label: 'recorded with', value: recorder(identity) },
    ...(identity.command_line === null
      ? []
      : [{ label: 'kernel command line', value: identity.command_line, code: true }]),
    { label: 'recorded window', value: formatDuration(identity.recorded_window_ns) },
    { label: 'unmap policy', value: identity.flush_mode },
    ...deviceFacts(identity),
    {
      label: 'DMA rows',
      value: `${formatShare(provenance.measured_share)} measured, ${formatShare(provenance.inferred_share)} inferred, ${formatShare(provenance.synthetic_share)} synthetic${columns === null ? '' : `; ${columns}`}`,
    },
    { label: 'lost events', value: formatCount(identity.lost_events) },
    { label: 'manifest sha256', value: identity.manifest_sha256, code: true },
  ];
}

/** Link and window of the modelled devices. */
function deviceFacts({ link, window }: IdentitySection): Fact[] {
  if (link === null || window === null) return [];
  const row = ({ request_bytes: bytes, reads, writes }: (typeof window)[number]): string =>
    `${reads === writes ? reads : `${reads} reads, ${writes} writes`} of ${bytes} B`;
  return [
    {
      label: 'device link',
      value: `${formatByteRate(link.bytes_per_s)} each way; payload ${formatBytes(link.max_payload_bytes)}, read requests ${formatBytes(link.max_read_request_bytes)}`,
    },
    { label: 'device window', value: `at most ${window.map(row).join('; ')}` },
  ];
}

function recorder({ tool, kernel, clock }: IdentitySection): string {
  return [tool, ...(kernel === '' ? [] : [`kernel ${kernel}`]), `clock ${clock}`].join('; ');
}

function tables(identity: IdentitySection): Table[] {
  const list: Table[] = [
    {
      kind: 'table',
      caption: 'Devices of the trace',
      columns: [
        words('device', { code: true }),
        words('driver'),
        words('kind', { wideOnly: true }),
        words('IOMMU'),
        words('default domain'),
        words('ATS', { wideOnly: true }),
      ],
      rows: identity.devices.map((device) => [
        device.name,
        device.driver,
        device.kind,
        device.unit ?? 'none',
        device.default_domain,
        device.ats ? 'yes' : 'no',
      ]),
    },
    {
      kind: 'table',
      caption: 'Streams of the bundle',
      columns: [words('file', { code: true }), figures('rows'), words('sha256', { code: true })],
      rows: identity.streams.map((stream) => [stream.file, formatCount(stream.rows), `${stream.sha256.slice(0, 16)}…`]),
      folded: true,
    },
  ];
  const diagnostics = [
    ...identity.import_diagnostics.map((row) => [
      row.code,
      `import, ${row.severity}`,
      formatCount(row.count),
      row.first,
    ]),
    ...identity.replay_diagnostics.map((row) => [row.code, 'replay', formatCount(row.count), '']),
  ];
  if (diagnostics.length > 0) {
    list.push({
      kind: 'table',
      caption: 'Diagnostics',
      columns: [words('code', { code: true }), words('from'), figures('count'), words('first', { wideOnly: true })],
      rows: diagnostics,
    });
  }
  return list;
}
