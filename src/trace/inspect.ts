/** What a bundle holds, where it comes from, and which questions it can answer; from the manifest and the control rows. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { BundleReader } from './reader.ts';
import { RESULT_UNKNOWN } from './schema/control-stream.ts';
import type { InferredColumns, Manifest, ProvenanceSplit } from './schema/manifest.ts';

/** Version of {@link Inspection}. */
const SCHEMA_VERSION = 1;

/** Calls that change what a device is attached to. */
const SWITCH_OPS = new Set([
  'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
  'VFIO_DEVICE_DETACH_IOMMUFD_PT',
  'VFIO_GROUP_SET_CONTAINER',
]);

/** One question and whether the bundle can answer it. */
export interface Answerability {
  readonly question: string;
  readonly answerable: boolean;
  readonly because: string;
}

/** Summary of a bundle; plain data, printed as JSON by `inspect --format json`. */
export interface Inspection {
  readonly schemaVersion: number;
  readonly name: string;
  readonly description: string;
  readonly manifest_sha256: string;
  readonly formatVersion: number;
  readonly origin: Manifest['origin'];
  readonly window_ns: { readonly start: number; readonly end: number; readonly span: number };
  readonly pacing: Manifest['pacing'];
  readonly flushMode: string;
  readonly units: Manifest['topology']['units'];
  readonly devices: Manifest['topology']['devices'];
  readonly streams: readonly { readonly name: string; readonly rows: number; readonly size_bytes: number }[];
  readonly dmaRows: number;
  readonly provenance: ProvenanceSplit;
  /** Measured rows of which a column was inferred; null when the bundle does not say. */
  readonly inferredColumns: InferredColumns | null;
  /** Control rows by op, in the order of the ops' names. */
  readonly controlOps: Readonly<Record<string, number>>;
  readonly lostEvents: number;
  readonly diagnostics: Manifest['diagnostics'];
  readonly answers: readonly Answerability[];
}

/** Summarises the bundle in folder `path`; throws InputError. */
export function inspectBundle(path: string): Inspection {
  const bundle = BundleReader.open(path);
  try {
    const { manifest } = bundle;
    const { windowStartNs: start, windowEndNs: end } = manifest.time;
    const streams = Object.entries(manifest.streams).map(([name, { file, rows }]) => ({
      name,
      rows,
      size_bytes: statSync(join(path, file), { throwIfNoEntry: false })?.size ?? 0,
    }));
    const dmaRows = streams.filter(({ name }) => name.startsWith('dma-')).reduce((sum, { rows }) => sum + rows, 0);
    const { ops, knownResults } = scanControl(bundle);
    return {
      schemaVersion: SCHEMA_VERSION,
      name: manifest.name,
      description: manifest.description,
      manifest_sha256: bundle.manifestSha256,
      formatVersion: manifest.formatVersion,
      origin: manifest.origin,
      window_ns: { start, end, span: end - start },
      pacing: manifest.pacing,
      flushMode: manifest.dmaPolicy.flushMode,
      units: manifest.topology.units,
      devices: manifest.topology.devices,
      streams,
      dmaRows,
      provenance: manifest.provenance.dma,
      inferredColumns: manifest.provenance.inferredColumns ?? null,
      controlOps: ops,
      lostEvents: manifest.lostEvents,
      diagnostics: manifest.diagnostics,
      answers: answers(manifest, dmaRows, ops, knownResults),
    };
  } finally {
    bundle.close();
  }
}

function scanControl(bundle: BundleReader): { readonly ops: Record<string, number>; readonly knownResults: number } {
  const stream = bundle.stream('control');
  const names = stream.dictionary('op');
  const counts = new Float64Array(names.length);
  let knownResults = 0;
  for (const { rowCount, columns } of stream.batches()) {
    for (let i = 0; i < rowCount; i++) {
      counts[columns.op[i]!]!++;
      if (columns.recordedResult[i] !== RESULT_UNKNOWN) knownResults++;
    }
  }
  const ops = Object.fromEntries(names.map((name, code) => [name, counts[code]!] as const).sort(byName));
  return { ops, knownResults };
}

function byName(a: readonly [string, number], b: readonly [string, number]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

function answers(
  manifest: Manifest,
  dmaRows: number,
  ops: Readonly<Record<string, number>>,
  knownResults: number,
): Answerability[] {
  const has = (stream: string): boolean => (manifest.streams[stream]?.rows ?? 0) > 0;
  const hasDma = dmaRows > 0;
  const noDma = 'the bundle has no DMA rows';
  const { measured, inferred, synthetic } = manifest.provenance.dma;
  const split = `${measured} measured, ${inferred} inferred, ${synthetic} synthetic rows`;
  const recorded = manifest.pacing.default === 'recorded';
  const switches = Object.entries(ops).reduce((sum, [op, count]) => sum + (SWITCH_OPS.has(op) ? count : 0), 0);
  const observedDma = Object.keys(manifest.streams).some((name) => name.startsWith('observed-dma-') && has(name));
  const descriptors = has('observed-submissions') || has('observed-hardware');
  return [
    {
      question: 'How do caches, page sizes and table walks behave under this load?',
      answerable: hasDma,
      because: hasDma ? split : noDma,
    },
    {
      question: 'What latency would the recorded arrivals see?',
      answerable: hasDma && recorded,
      because: hasDma ? manifest.pacing.reason : noDma,
    },
    {
      question: 'What throughput can the devices reach (closed pacing)?',
      answerable: hasDma,
      because: hasDma ? 'order, addresses and dependencies are known' : noDma,
    },
    {
      question: 'What does switching address spaces cost?',
      answerable: hasDma,
      because: !hasDma
        ? noDma
        : switches > 0
          ? `${switches} recorded attach or detach calls`
          : 'only with injected switches',
    },
    {
      question: 'Does the modelled stack return what was recorded?',
      answerable: knownResults > 0,
      because: knownResults > 0 ? `${knownResults} recorded results` : 'no recorded results',
    },
    {
      question: 'Does the model hit and miss where the recorder did?',
      answerable: observedDma,
      because: observedDma ? 'outcomes were observed' : 'no observed outcomes',
    },
    {
      question: 'Does the modelled driver submit the recorded descriptors?',
      answerable: descriptors,
      because: descriptors ? 'descriptors were observed' : 'no observed descriptors',
    },
    {
      question: 'Do the modelled page tables equal the recorded ones?',
      answerable: has('observed-tables'),
      because: has('observed-tables') ? 'tables were dumped' : 'no table dump',
    },
  ];
}

function inferredColumnsText({ provenance, inferredColumns }: Inspection): string[] {
  if (inferredColumns === null || provenance.measured === 0) return [];
  const { size, direction, time } = inferredColumns;
  return [`    of the measured, inferred are: size of ${size}, direction of ${direction}, time of ${time}`];
}

/** The summary as text. */
export function formatInspection(inspection: Inspection): string {
  const { origin, window_ns, provenance } = inspection;
  const lines = [
    `${inspection.name}: ${inspection.description}`,
    `  format ${inspection.formatVersion}, manifest sha256 ${inspection.manifest_sha256}`,
    `  origin: ${[origin.importer, origin.tool, origin.kernel].filter((part) => part !== '').join(', ')}; clock ${origin.clock}`,
    `  window: ${window_ns.span} ns (${window_ns.start} .. ${window_ns.end}); pacing ${inspection.pacing.default}: ${inspection.pacing.reason}`,
    `  DMA rows: ${inspection.dmaRows} (${provenance.measured} measured, ${provenance.inferred} inferred, ${provenance.synthetic} synthetic)`,
    ...inferredColumnsText(inspection),
    `  lost events: ${inspection.lostEvents}`,
    'units:',
    ...inspection.units.map((unit, index) => `  ${index}: ${unit.name} ${unit.mode}, ${unit.stage} stage`),
    'devices:',
    ...inspection.devices.map(
      (device, index) =>
        `  ${index}: ${device.name} ${device.driver} group ${device.group} unit ${device.unit} ${device.kind}`,
    ),
    'streams:',
    ...inspection.streams.map(({ name, rows, size_bytes }) => `  ${name}: ${rows} rows, ${size_bytes} bytes`),
    'control events:',
    ...Object.entries(inspection.controlOps).map(([op, count]) => `  ${op}: ${count}`),
    ...(inspection.diagnostics.length === 0 ? [] : ['import diagnostics:']),
    ...inspection.diagnostics.map(
      ({ severity, code, count, first }) => `  ${severity} ${code}: ${count}, first ${first}`,
    ),
    'can answer:',
    ...inspection.answers.map(
      ({ question, answerable, because }) => `  ${answerable ? 'yes' : 'no '} ${question} (${because})`,
    ),
  ];
  return lines.join('\n');
}
