// Runs the benches and prints a table each; figures go to out/bench.json. No bench gates anything by time.
// usage: npm run bench [-- NAME... --rows N --rounds N --bundle-rows N]
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

const BENCHES = {
  translate: () => import('./translate.mjs'),
  ioas: () => import('./ioas.mjs'),
  'control-plane': () => import('./control-plane.mjs'),
  importers: () => import('./importers.mjs'),
  bundle: () => import('./bundle.mjs'),
  pool: () => import('./pool.mjs'),
  'start-up': () => import('./start-up.mjs'),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    'bundle-rows': { type: 'string', default: '10000000' },
    out: { type: 'string', default: 'out/bench.json' },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(BENCHES);
const unknown = names.find((name) => !(name in BENCHES));
if (unknown !== undefined) {
  console.error(`no bench '${unknown}'; known: ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
const results = [];
for (const name of names) {
  const bench = await BENCHES[name]();
  const result = await bench.run({
    rows: Number(values.rows),
    rounds: Number(values.rounds),
    bundleRows: Number(values['bundle-rows']),
  });
  results.push(result);
  for (const line of bench.format(result)) console.log(line);
}
mkdirSync(new URL('.', new URL(values.out, `file://${process.cwd()}/`)), { recursive: true });
writeFileSync(
  values.out,
  `${JSON.stringify({ schemaVersion: 1, node: process.version, cpu: cpus()[0]?.model, results }, undefined, 2)}\n`,
);
