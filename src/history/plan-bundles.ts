/** Bundles of a plan: taken as they are, synthesised from recipes, or imported from recordings. */
import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError, InputError } from '../input-error.ts';
import { isRecording } from '../trace/import/recorded-files.ts';
import { importTrace } from '../trace/import/registry.ts';
import { MANIFEST_FILE } from '../trace/manifest.ts';
import { synthesize } from '../trace/synth/synthesize.ts';
import { type NightlyPlan, type PlannedRun, planPath } from './plan.ts';

/** Where the trace of a run comes from. */
export interface BundleSource {
  readonly kind: 'bundle' | 'recipe' | 'recording';
  /** As the plan says. */
  readonly written: string;
  readonly path: string;
  /** DMA rows of a recipe instead of its own. */
  readonly rows?: number | undefined;
}

/** Sources of a run; throws {@link InputError} for a path that is none, {@link ConfigError} for rows of no recipe. */
export function bundleSources(plan: NightlyPlan, { name, bundles }: PlannedRun): BundleSource[] {
  return bundles.map((bundle) => {
    const { path: written, rows } = typeof bundle === 'string' ? { path: bundle, rows: undefined } : bundle;
    const path = planPath(plan, written);
    const kind = kindOf(path);
    if (rows !== undefined && kind !== 'recipe') {
      throw new ConfigError({
        source: plan.file,
        reason: `run ${name}: ${written} is a ${kind}; rows are for recipes`,
      });
    }
    return { kind, written, path, rows };
  });
}

/** Turns sources into bundle folders; what has to be made is made once, in a folder of its own below `scratch`. */
export class BundleMaker {
  readonly #scratch: string;
  readonly #made = new Map<string, string>();

  constructor(scratch: string) {
    this.#scratch = scratch;
  }

  /** Path of the bundle; throws InputError and ConfigError. */
  async bundle({ kind, path, rows }: BundleSource): Promise<string> {
    if (kind === 'bundle') return path;
    const key = `${path}\0${rows ?? ''}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    // A recording's bundle is named after its folder.
    const output = join(this.#scratch, String(this.#made.size), basename(path).replace(/\.json$/, ''));
    if (kind === 'recipe') await synthesize(path, output, { rows });
    else await importTrace({ from: 'recorded', inputs: [path], output, strict: false });
    this.#made.set(key, output);
    return output;
  }
}

function kindOf(path: string): BundleSource['kind'] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new InputError({ file: path, reason: 'does not exist' });
  if (found.isFile() && path.endsWith('.json')) return 'recipe';
  if (found.isDirectory()) {
    if (statSync(join(path, MANIFEST_FILE), { throwIfNoEntry: false }) !== undefined) return 'bundle';
    if (isRecording(path)) return 'recording';
  }
  throw new InputError({ file: path, reason: 'is no bundle folder, no recipe (.json) and no recorded directory' });
}
