// Independent jobs on two workers against one: wall time of the same run, pool and loading included, interleaved rounds.
// Jobs are long enough that starting the second worker is not what is measured. A machine that has less than two cores to
// spare shows less than the pool can do.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runReplay } from '../../dist/replay/run.js';
import { synthesize } from '../../dist/trace/synth/synthesize.js';

const SCATTER = fileURLToPath(new URL('../../workloads/recipes/scatter.json', import.meta.url));
/** Jobs of one run; an even number, so that two workers can share them evenly. */
const JOBS = 4;
/** Rows of a job for each row of the other benches. */
const SCALE = 4;

/** Runs the bench; returns plain data. */
export async function run({ rows, rounds }) {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-replay-bench-'));
  try {
    const jobRows = SCALE * Math.min(rows, 1_000_000);
    const bundle = join(folder, 'scatter');
    await synthesize(SCATTER, bundle, { rows: jobRows });
    await runTime(bundle, 2);
    const pairs = [];
    for (let round = 0; round < Math.min(rounds, 3); round++)
      pairs.push([await runTime(bundle, 1), await runTime(bundle, 2)]);
    return {
      name: 'pool',
      unit: 's of wall time',
      jobs: JOBS,
      rows: jobRows,
      cores: availableParallelism(),
      one: median(pairs.map(([one]) => one)),
      two: median(pairs.map(([, two]) => two)),
      ratio: median(pairs.map(([one, two]) => one / two)),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of the report. */
export function format({ jobs, rows, cores, one, two, ratio }) {
  const times = `one worker ${one.toFixed(2)} s, two ${two.toFixed(2)} s`;
  return [`${jobs} jobs of ${rows} rows on ${cores} cores: ${times}, speed-up ${ratio.toFixed(2)}`];
}

/** [s] */
async function runTime(bundle, workers) {
  const before = performance.now();
  const bundles = Array.from({ length: JOBS }, () => bundle);
  const { exitCode } = await runReplay({ bundles, hardware: ['vtd-emr'], workers, toolVersion: 'bench' });
  if (exitCode !== 0) throw new Error(`the run ended with exit code ${exitCode}`);
  return (performance.now() - before) / 1000;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
