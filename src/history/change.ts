/**
 * How a case differs from its last result. Replays are exact, so with the same profiles, workload and tool any change of
 * a number is a change of the model, and is called unexplained.
 */
import type { EntryCase, EntryChange, EntryProfile } from './entry.ts';
import type { PastCase } from './past.ts';

/** A case before it is compared. */
export interface NewCase extends Pick<EntryCase, 'config' | 'config_sha256' | 'metrics' | 'error'> {
  readonly hardware: EntryProfile;
  readonly kernel: EntryProfile;
}

/** Characters of a digest that tell two apart for a reader. */
const SHORT_DIGEST = 8;

/** Compares a case with its last result. */
export function changeOf(now: NewCase, toolVersion: string, before: PastCase | undefined): EntryChange {
  if (before === undefined || now.error !== null) {
    return { against: before?.entry ?? null, kind: 'first', configuration: [], metrics: [], differing: 0 };
  }
  const metrics = metricChanges(before.case.metrics, now.metrics);
  const configuration = configurationChanges(before, now);
  const shared = { against: before.entry, configuration, differing: metrics.length };
  // Two configurations are two machines: what differs between them is no list to read.
  if (configuration.length > 0) return { ...shared, kind: 'configuration', metrics: [] };
  if (metrics.length === 0) return { ...shared, kind: 'none', metrics };
  return { ...shared, kind: before.toolVersion === toolVersion ? 'unexplained' : 'tool', metrics };
}

/** Metrics that differ, in the order of the new ones, those that are gone behind them. */
function metricChanges(before: EntryCase['metrics'], after: EntryCase['metrics']): EntryChange['metrics'] {
  const names = new Set([...Object.keys(after), ...Object.keys(before)]);
  return [...names].flatMap((metric) => {
    const [was, is] = [before[metric] ?? null, after[metric] ?? null];
    return was === is ? [] : [{ metric, before: was, after: is }];
  });
}

/** What differs of profiles and workload; empty when nothing does. */
function configurationChanges(before: PastCase, now: NewCase): string[] {
  if (before.case.config_sha256 === now.config_sha256) return [];
  const { config } = before.case;
  const changes: string[] = [];
  if (config.hardware_sha256 !== now.config.hardware_sha256) {
    changes.push(...profileChanges(before.hardware, now.hardware, config.hardware_sha256, now.config.hardware_sha256));
  }
  if (config.kernel_sha256 !== now.config.kernel_sha256) {
    changes.push(...profileChanges(before.kernel, now.kernel, config.kernel_sha256, now.config.kernel_sha256));
  }
  if (config.manifest_sha256 !== now.config.manifest_sha256) {
    changes.push(`workload ${digests(config.manifest_sha256, now.config.manifest_sha256)}`);
  }
  return changes;
}

function profileChanges(
  before: EntryProfile | undefined,
  after: EntryProfile,
  beforeSha256: string,
  afterSha256: string,
): string[] {
  const was = before?.numbers ?? {};
  const paths = [...new Set([...Object.keys(was), ...Object.keys(after.numbers)])];
  const changed = paths.filter((path) => String(was[path]) !== String(after.numbers[path]));
  if (before === undefined || changed.length === 0) {
    return [`${after.kind} profile ${after.name} ${digests(beforeSha256, afterSha256)}`];
  }
  return changed.map((path) => `${path} ${was[path] ?? 'none'} → ${after.numbers[path] ?? 'none'}`);
}

function digests(before: string, after: string): string {
  return `${before.slice(0, SHORT_DIGEST)} → ${after.slice(0, SHORT_DIGEST)}`;
}
