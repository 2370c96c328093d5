// Start-up: wall time of the program as a user starts it, from the start of the process to its end.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { synthesize } from '../../dist/trace/synth/synthesize.js';

const PROGRAM = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const RING = fileURLToPath(new URL('../../workloads/recipes/ring.json', import.meta.url));
const ROWS = 1000;

/** Runs the bench; returns plain data. */
export async function run({ rounds }) {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-replay-bench-'));
  try {
    const bundle = join(folder, 'bundle');
    await synthesize(RING, bundle, { rows: ROWS });
    const replay = ['run', bundle, '-o', join(folder, 'run'), '--format', 'json', '--workers', '0', '--force'];
    const empty = [];
    const version = [];
    const smallRun = [];
    for (let round = 0; round < rounds; round++) {
      empty.push(time(['-e', '']));
      version.push(time([PROGRAM, 'version']));
      smallRun.push(time([PROGRAM, ...replay]));
    }
    return {
      name: 'start-up',
      unit: 's of wall time',
      rows: ROWS,
      node: median(empty),
      version: median(version),
      run: median(smallRun),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of the report. */
export function format({ rows, node, version, run: smallRun }) {
  return [
    `version ${version.toFixed(3)} s, run of ${rows} rows with JSON output ${smallRun.toFixed(3)} s (Node alone ${node.toFixed(3)} s)`,
  ];
}

/** [s] */
function time(args) {
  const before = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`'${args.join(' ')}' ended with ${status}: ${stderr}`);
  return (performance.now() - before) / 1000;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
