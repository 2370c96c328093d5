/**
 * Brings manifests of older format versions up to the current one, one step a version. A step may rewrite the manifest
 * only: columns that appear in a later version are given their default by the reader of that version.
 */
import { InputError } from '../input-error.ts';
import { FORMAT_VERSION } from './schema/manifest.ts';

/** Rewrites a manifest of version `n` as one of version `n + 1`. */
type UpgradeStep = (manifest: Record<string, unknown>) => Record<string, unknown>;

/** Step from version `n` to `n + 1`, keyed by `n`. */
const STEPS: ReadonlyMap<number, UpgradeStep> = new Map([
  // Version 2 adds events and the stream `user-data`, which older bundles do not have.
  [1, (manifest) => manifest],
]);

/** The manifest at the current version; throws {@link InputError} for a version that is no version or too new. */
export function upgradeManifest(json: unknown, file: string): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new InputError({ file, reason: 'the manifest is no JSON object' });
  }
  let manifest = json as Record<string, unknown>;
  const { formatVersion: version } = manifest;
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw new InputError({ file, reason: `formatVersion: ${JSON.stringify(version)} is no format version` });
  }
  if (version > FORMAT_VERSION) {
    const reason = `formatVersion: ${version} is newer than ${FORMAT_VERSION}, the newest this program reads`;
    throw new InputError({ file, reason });
  }
  for (let step = version; step < FORMAT_VERSION; step++) {
    const upgrade = STEPS.get(step);
    if (upgrade === undefined) throw new InputError({ file, reason: `no upgrade from format version ${step}` });
    manifest = { ...upgrade(manifest), formatVersion: step + 1 };
  }
  return manifest;
}
