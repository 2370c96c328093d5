/** What a night would do, without doing it. */
import { plural } from '../report/format.ts';
import { needsBase } from '../report/metrics/condition.ts';
import { BundleReader } from '../trace/reader.ts';
import { decodeRecipeFile } from '../trace/synth/synthesize.ts';
import { entryIdOf } from './entry.ts';
import { readPast } from './past.ts';
import type { NightlyPlan } from './plan.ts';
import { type BundleSource, bundleSources } from './plan-bundles.ts';

/** The runs of the plan, the thresholds, and what they are held against. Throws as the night would before it replays. */
export function dryRunText(plan: NightlyPlan, history: string, base?: string): string {
  const past = readPast(history, base);
  const lines = [`plan ${plan.name} (${plan.file})`, `next entry ${entryIdOf(Number(past.last?.id ?? 0) + 1)}`];
  for (const run of plan.runs) {
    const kernels = run.kernels?.join(', ') ?? "each recording's own kernel";
    const set = run.set === undefined ? '' : `, set ${run.set.join(' ')}`;
    lines.push(`run ${run.name}: ${run.hardware.join(', ')}; ${kernels}; pace ${run.pace ?? 'of the bundle'}${set}`);
    for (const source of bundleSources(plan, run)) lines.push(`  ${sourceText(source)}`);
  }
  lines.push(`track ${plan.track.join(', ')}`);
  for (const { condition, required, workload, hardware, kernel } of plan.thresholds) {
    const filters = [workload, hardware, kernel].filter((filter) => filter !== undefined);
    const about = filters.length === 0 ? '' : ` (${filters.join(', ')})`;
    lines.push(`${required ? 'require' : 'fail on'} ${condition.text}${about}`);
  }
  const bases = [...new Set([...past.base.values()].map(({ entry }) => entry))].sort();
  if (plan.thresholds.some(({ condition }) => needsBase(condition))) {
    lines.push(
      bases.length === 0
        ? 'changes: no earlier entry passed; they are not judged'
        : `changes: against entry ${bases.join(', ')} (${plural(past.base.size, 'case')})`,
    );
  }
  return lines.join('\n');
}

/** One source in words; opens it, so that what is no bundle and no recipe is said. */
function sourceText({ kind, written, path, rows }: BundleSource): string {
  switch (kind) {
    case 'bundle':
      BundleReader.open(path).close();
      return `bundle ${written}`;
    case 'recipe': {
      const recipe = decodeRecipeFile(path, rows);
      return `recipe ${written}: ${plural(recipe.rows, 'DMA row')} would be synthesised`;
    }
    case 'recording':
      return `recording ${written}: would be imported`;
  }
}
