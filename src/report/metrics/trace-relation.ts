/** Whether two cases replayed the same trace. */
import { canonicalJson } from '../../canonical-json.ts';
import type { IdentitySection } from '../schema/identity.ts';
import type { ReportCase } from '../schema/report.ts';

/**
 * `same`: equal manifests. `renamed`: only name and description differ. `other manifest`: equal streams under another
 * manifest. `different`: other streams. `unknown`: a manifest cannot be read.
 */
export const TRACE_RELATIONS = ['same', 'renamed', 'other manifest', 'different', 'unknown'] as const;

/** A name in {@link TRACE_RELATIONS}. */
export type TraceRelation = (typeof TRACE_RELATIONS)[number];

/** What the schemas of comparisons and gates say of {@link TRACE_RELATIONS}. */
export const TRACE_RELATION_WORDS =
  'same = equal manifests; renamed = only name and description differ; other manifest = equal streams under another manifest; unknown = a manifest cannot be read.';

/** Facts of a trace besides its name, its description and its streams; keys of the identity section. */
const TRACE_FACTS = [
  'importer',
  'tool',
  'kernel',
  'recorder_profile',
  'clock',
  'command_line',
  'flush_mode',
  'recorded_window_ns',
  'units',
  'devices',
  'provenance',
  'lost_events',
  'import_diagnostics',
] as const satisfies readonly (keyof IdentitySection)[];

/** Digest-like text of what a case replays, the same for the same trace under another name; null when not known. */
export function streamsOf(identity: IdentitySection | null): string | null {
  return identity === null ? null : canonicalJson(identity.streams);
}

/** Keys of the identity section in which the traces differ; none when a manifest cannot be read. */
export function traceDifferences({ identity: before }: ReportCase, { identity: after }: ReportCase): string[] {
  const facts =
    before === null || after === null
      ? []
      : TRACE_FACTS.filter((key) => canonicalJson(before[key]) !== canonicalJson(after[key]));
  return [...(streamsOf(before) === streamsOf(after) ? [] : ['streams']), ...facts];
}

/** How the trace of `run` relates to that of `base`. */
export function traceRelation(base: ReportCase, run: ReportCase): TraceRelation {
  if (base.identity === null || run.identity === null) return 'unknown';
  if (base.identity.manifest_sha256 === run.identity.manifest_sha256) return 'same';
  const differs = traceDifferences(base, run);
  if (differs.includes('streams')) return 'different';
  return differs.length === 0 && base.workload !== run.workload ? 'renamed' : 'other manifest';
}
