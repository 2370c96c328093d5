/** Entries of an imitated history: values follow from the number of the night, so that a test can say what to expect. */
import { canonicalSha256 } from '../../src/canonical-json.ts';
import { changeOf } from '../../src/history/change.ts';
import { ENTRY_SCHEMA_VERSION, type EntryProfile, gateFails, type NightlyEntry } from '../../src/history/entry.ts';
import { entryGates } from '../../src/history/entry-gates.ts';
import { readPast } from '../../src/history/past.ts';
import type { NightlyPlan } from '../../src/history/plan.ts';
import { appendEntry } from '../../src/history/store.ts';
import { parseCondition } from '../../src/report/metrics/condition.ts';
import type { Threshold } from '../../src/report/metrics/thresholds.ts';

/** What one night found; everything has a default. */
export interface Night {
  readonly toolVersion?: string;
  readonly iotlbEntries?: number;
  /** Factor on every latency. */
  readonly slower?: number;
  readonly faults?: number;
  /** Key of the case that has no result. */
  readonly failed?: string;
  readonly label?: string | null;
  readonly commit?: string | null;
  readonly hardware?: readonly string[];
}

/** A plan about the imitated cases. */
export function nightlyPlan(overrides: Partial<NightlyPlan> = {}): NightlyPlan {
  return {
    file: 'nightly.json',
    name: 'imitated nights',
    sha256: 'ab'.repeat(32),
    runs: [],
    track: [
      'headline.throughput_bytes_per_s',
      'dma_latency_ns.p99',
      'headline.iotlb_hit_share',
      'headline.faulted_dma',
    ],
    thresholds: [
      threshold('headline.faulted_dma == 0', true),
      threshold('dma_latency_ns.p99 > +2%', false, 'a slower tail is a change of the model'),
    ],
    ...overrides,
  };
}

/** A threshold as a file would have it. */
export function threshold(text: string, required: boolean, because?: string): Threshold {
  const source = 'nightly.json: thresholds';
  return { condition: parseCondition(text, source), required, source, ...(because === undefined ? {} : { because }) };
}

/** Appends a night; dates run on from 2026-01-01, 28 to a month. */
export function appendNight(history: string, plan: NightlyPlan, night: Night = {}): Promise<NightlyEntry> {
  return appendEntry(history, (id) => nightlyEntry(id, history, plan, night));
}

/** An entry as the nightly command makes it, of imitated results. */
export function nightlyEntry(id: string, history: string, plan: NightlyPlan, night: Night = {}): NightlyEntry {
  const { toolVersion = '0.1.0', label = null, commit = null, failed, hardware = ['vtd-bdw', 'vtd-emr'] } = night;
  const past = readPast(history);
  const profiles: Record<string, EntryProfile> = {};
  const digest = (profile: EntryProfile): string => {
    const sha256 = canonicalSha256(profile);
    profiles[sha256] = profile;
    return sha256;
  };
  const kernel: EntryProfile = { kind: 'kernel', name: 'v6.12', overrides: [], numbers: { 'costsNs.mapPage': 55 } };
  const cases = ['nvme', 'ring'].flatMap((run) =>
    hardware.map((name) => {
      const numbers = { 'iotlb.entries': night.iotlbEntries ?? 128, 'iotlb.hitNs': 2 };
      const card: EntryProfile = { kind: 'hardware', name, overrides: [], numbers };
      const key = `${run}/${run}/${name}/v6.12/closed`;
      const error = key === failed ? 'worker exited' : null;
      const scale = (night.slower ?? 1) * (128 / (night.iotlbEntries ?? 128)) ** 0.25 * (name === 'vtd-emr' ? 2 : 1);
      const config = {
        hardware_sha256: digest(card),
        kernel_sha256: digest(kernel),
        manifest_sha256: canonicalSha256(run),
      };
      const metrics: Record<string, number | null> = {
        'headline.throughput_bytes_per_s': 2.5e9 / scale,
        'headline.iotlb_hit_share': 0.94,
        'headline.faulted_dma': night.faults ?? 0,
        'latency.dma_latency_ns.p50': 420 * scale,
        'latency.dma_latency_ns.p99': 1150 * scale,
      };
      const one = {
        key,
        run,
        workload: run,
        hardware_profile: name,
        kernel_profile: 'v6.12',
        scenario: 'closed',
        error,
        config_sha256: canonicalSha256({ ...config, scenario: 'closed' }),
        config,
        metrics: error === null ? metrics : {},
      };
      const now = { ...one, hardware: card, kernel };
      return { ...one, change: changeOf(now, toolVersion, past.latest.get(key)) };
    }),
  );
  const gates = entryGates(plan.thresholds, cases, past);
  const complete = cases.every(({ error }) => error === null);
  const { last } = past;
  return {
    schemaVersion: ENTRY_SCHEMA_VERSION,
    kind: 'nightly-entry',
    id,
    date: dateOf(Number(id)),
    label,
    commit,
    tool_version: toolVersion,
    plan: { name: plan.name, sha256: plan.sha256 },
    complete,
    verdict: !complete ? 'incomplete' : gates.some(gateFails) ? 'fail' : 'pass',
    tool_changed_from: last === undefined || last.toolVersion === toolVersion ? null : last.toolVersion,
    failures: failed === undefined ? [] : [{ run: failed.split('/')[0]!, job: failed, error: 'worker exited' }],
    cases,
    gates,
    profiles,
  };
}

function dateOf(night: number): string {
  const day = 1 + ((night - 1) % 28);
  const months = Math.floor((night - 1) / 28);
  const twoDigits = (number: number): string => String(number).padStart(2, '0');
  return `${2026 + Math.floor(months / 12)}-${twoDigits(1 + (months % 12))}-${twoDigits(day)}`;
}
