/** Writes a bundle from a recipe file. */
import { readFileSync } from 'node:fs';
import { ConfigError, InputError } from '../../input-error.ts';
import { Random } from '../../random.ts';
import { type BundleWriterOptions, type ManifestContent, writeBundle } from '../writer.ts';
import { churn } from './churn.ts';
import { container } from './container-guest.ts';
import { demand } from './demand.ts';
import { migration, tenants } from './iommufd-guest.ts';
import { mdev } from './mediated-guest.ts';
import { nested } from './nested-guest.ts';
import { decodeRecipe, type Recipe } from './recipe.ts';
import { ring } from './ring.ts';
import { scatter, strided } from './static-region.ts';
import { switches } from './switches.ts';
import { SyntheticTrace } from './synthetic-trace.ts';

/** How a recipe is turned into a bundle. */
export interface SynthesizeOptions extends BundleWriterOptions {
  /** DMA rows instead of those of the recipe. */
  readonly rows?: number | undefined;
  /** `path=value` assignments applied to the recipe. */
  readonly set?: readonly string[] | undefined;
}

/** What was written. */
export interface SynthesisSummary {
  readonly name: string;
  readonly dmaRows: number;
  readonly controlRows: number;
  /** [ns] Time of the last row. */
  readonly spanNs: number;
}

/** Reads the recipe `recipePath` and writes the bundle `bundlePath`; throws InputError and ConfigError. */
export async function synthesize(
  recipePath: string,
  bundlePath: string,
  options: SynthesizeOptions = {},
): Promise<SynthesisSummary> {
  return synthesizeRecipe(decodeRecipeFile(recipePath, options.rows, options.set), bundlePath, options);
}

/** Reads a recipe, with `rows` instead of its own and `path=value` assignments; throws InputError and ConfigError. */
export function decodeRecipeFile(recipePath: string, rows?: number, set: readonly string[] = []): Recipe {
  const overrides = [...set, ...(rows === undefined ? [] : [`rows=${rows}`])];
  return decodeRecipe(readRecipe(recipePath), recipePath, overrides);
}

/** Writes the bundle of a decoded recipe. */
export async function synthesizeRecipe(
  recipe: Recipe,
  bundlePath: string,
  options: BundleWriterOptions = {},
): Promise<SynthesisSummary> {
  let controlRows = 0;
  let spanNs = 0;
  await writeBundle(bundlePath, options, (writer) => {
    const trace = new SyntheticTrace(writer, recipe, new Random(recipe.seed));
    generate(recipe, trace);
    controlRows = trace.controlRows;
    spanNs = trace.timeNs;
    return manifestContent(recipe, trace);
  });
  return { name: recipe.name, dmaRows: recipe.rows, controlRows, spanNs };
}

function generate(recipe: Recipe, trace: SyntheticTrace): void {
  switch (recipe.kind) {
    case 'ring':
      ring(recipe, trace);
      break;
    case 'scatter':
      scatter(recipe, trace);
      break;
    case 'strided':
      strided(recipe, trace);
      break;
    case 'tenants':
      tenants(recipe, trace);
      break;
    case 'migration':
      migration(recipe, trace);
      break;
    case 'switches':
      switches(recipe, trace);
      break;
    case 'demand':
      demand(recipe, trace);
      break;
    case 'nested':
      nested(recipe, trace);
      break;
    case 'container':
      container(recipe, trace);
      break;
    case 'mdev':
      mdev(recipe, trace);
      break;
    case 'churn':
      churn(recipe, trace);
      break;
  }
}

function manifestContent(recipe: Recipe, trace: SyntheticTrace): ManifestContent {
  return {
    name: recipe.name,
    description: recipe.description,
    origin: {
      importer: 'synth',
      tool: `synth ${recipe.kind}, seed ${recipe.seed}`,
      kernel: '',
      ...(recipe.kernel === undefined ? {} : { kernelProfile: recipe.kernel }),
      clock: 'synthetic',
    },
    time: { originNs: '0', windowStartNs: 0, windowEndNs: trace.timeNs },
    dmaPolicy: { flushMode: recipe.flushMode },
    pacing: { default: recipe.pacing, reason: 'set by the recipe; all times are synthetic' },
    topology: {
      units: Array.from({ length: recipe.units }, (_, unit) => ({
        name: `dmar${unit}`,
        mode: recipe.mode,
        stage: recipe.stage,
      })),
      devices: trace.devices,
    },
    provenance: { dma: { measured: 0, inferred: 0, synthetic: recipe.rows } },
    lostEvents: 0,
    diagnostics: [],
  };
}

function readRecipe(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError({ file: path, reason: `cannot be read (${(error as NodeJS.ErrnoException).code})` });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigError({ source: path, reason: `not JSON: ${(error as Error).message}` });
  }
}
