/** Identity and provenance: where the trace came from, what of it was measured, what was lost, how it was paced. */
import { z } from 'zod';
import { formatPacing } from '../../replay/pacing.ts';
import type { HardwareTiming, Pacing, WorkloadIdentity } from '../../replay/protocol.ts';
import type { CaseData } from '../case-data.ts';
import { ratio } from '../quantities.ts';
import type { IdentitySection, PacingSection } from '../schema/identity.ts';

const count = z.number().int().nonnegative();
const PS_PER_SECOND = 1e12;

/** What the report reads of a bundle manifest; everything else in it is left alone. */
const manifestFacts = z.object({
  description: z.string(),
  origin: z.object({
    importer: z.string(),
    tool: z.string(),
    kernel: z.string(),
    recorderProfile: z.string().optional(),
    clock: z.string(),
    commandLine: z.string().optional(),
  }),
  time: z.object({ windowStartNs: z.number(), windowEndNs: z.number() }),
  dmaPolicy: z.object({ flushMode: z.string() }),
  pacing: z.object({ default: z.string(), reason: z.string() }),
  topology: z.object({
    units: z.array(z.object({ name: z.string(), mode: z.string(), stage: z.string() })),
    devices: z.array(
      z.object({
        name: z.string(),
        kind: z.string(),
        driver: z.string(),
        unit: z.number().int(),
        defaultDomain: z.string(),
        ats: z.boolean(),
      }),
    ),
  }),
  provenance: z.object({
    dma: z.object({ measured: count, inferred: count, synthetic: count }),
    inferredColumns: z.object({ size: count, direction: count, time: count }).optional(),
  }),
  lostEvents: count,
  streams: z.record(z.string(), z.object({ file: z.string(), rows: count, sha256: z.string() })),
  diagnostics: z.array(z.object({ code: z.string(), severity: z.string(), count, first: z.string() })),
});

type ManifestFacts = z.infer<typeof manifestFacts>;

function readManifest(identity: WorkloadIdentity | undefined): ManifestFacts | undefined {
  return manifestFacts.safeParse(identity?.manifest).data;
}

/**
 * The section, or `null` when the run carries no readable manifest for the workload. `timing`: of the case's hardware.
 */
export function identitySection(
  data: Pick<CaseData, 'identity' | 'diagnostics'>,
  timing?: HardwareTiming,
): IdentitySection | null {
  const manifest = readManifest(data.identity);
  if (manifest === undefined || data.identity === undefined) return null;
  const { measured, inferred, synthetic } = manifest.provenance.dma;
  const rows = measured + inferred + synthetic;
  const columns = manifest.provenance.inferredColumns;
  const units = manifest.topology.units;
  return {
    manifest_sha256: data.identity.manifestSha256,
    description: manifest.description,
    importer: manifest.origin.importer,
    tool: manifest.origin.tool,
    kernel: manifest.origin.kernel,
    recorder_profile: manifest.origin.recorderProfile ?? null,
    clock: manifest.origin.clock,
    command_line: manifest.origin.commandLine ?? null,
    flush_mode: manifest.dmaPolicy.flushMode,
    ...linkFacts(timing),
    recorded_window_ns: manifest.time.windowEndNs - manifest.time.windowStartNs,
    units: units.map(({ name, mode, stage }) => ({ name, mode, stage })),
    devices: manifest.topology.devices.map((device) => ({
      name: device.name,
      kind: device.kind,
      driver: device.driver,
      unit: units[device.unit]?.name ?? null,
      default_domain: device.defaultDomain,
      ats: device.ats,
    })),
    streams: Object.keys(manifest.streams)
      .sort()
      .map((name) => manifest.streams[name]!)
      .map(({ file, rows: streamRows, sha256 }) => ({ file, rows: streamRows, sha256 })),
    provenance: {
      measured,
      inferred,
      synthetic,
      measured_share: ratio(measured, rows),
      inferred_share: ratio(inferred, rows),
      synthetic_share: ratio(synthetic, rows),
      inferred_columns: columns === undefined ? null : { ...columns },
    },
    lost_events: manifest.lostEvents,
    import_diagnostics: manifest.diagnostics.map(({ code, severity, count: times, first }) => ({
      code,
      severity,
      count: times,
      first,
    })),
    replay_diagnostics: Object.entries(data.diagnostics).map(([code, times]) => ({ code, count: times })),
  };
}

/** Link and window of the devices. */
function linkFacts(timing: HardwareTiming | undefined): Pick<IdentitySection, 'link' | 'window'> {
  if (timing === undefined) return { link: null, window: null };
  const { link } = timing;
  return {
    link: {
      bytes_per_s: PS_PER_SECOND / link.psPerByte,
      max_payload_bytes: link.maxPayloadBytes,
      max_read_request_bytes: link.maxReadRequestBytes,
    },
    window: link.requestBytes.map((bytes, row) => ({
      request_bytes: bytes,
      reads: link.readWindow[row]!,
      writes: link.writeWindow[row]!,
    })),
  };
}

const PACING_MEANING: Readonly<Record<Pacing['mode'], string>> = {
  recorded: 'requests are issued at their recorded times',
  closed: 'requests are issued as the device window and their dependencies allow; time comes from the model',
  scale: 'requests are issued at their recorded times multiplied by the factor',
};

/** Which pacing was used and why: the bundle's own reason, or that it was chosen for this run. */
export function pacingSection(data: CaseData): PacingSection {
  const manifest = readManifest(data.identity);
  const { pacing } = data;
  const meaning = `${formatPacing(pacing)}: ${PACING_MEANING[pacing.mode]}.`;
  const factor = pacing.mode === 'scale' ? pacing.factor : null;
  if (manifest === undefined) return { mode: pacing.mode, factor, is_bundle_default: null, reason: meaning };
  const isDefault = manifest.pacing.default === pacing.mode;
  const why = isDefault
    ? `The bundle's default: ${manifest.pacing.reason}`
    : `Chosen for this run; the bundle's default is ${manifest.pacing.default}: ${manifest.pacing.reason}`;
  return {
    mode: pacing.mode,
    factor,
    is_bundle_default: isDefault,
    reason: `${meaning} ${why.replace(/\.?$/, '.')}`,
  };
}
