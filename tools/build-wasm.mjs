// Compiles the loop of the data plane from AssemblyScript into a TypeScript module that carries the bytes, so that
// sources and build output load it alike. usage: npm run build:wasm
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';

const ROOT = new URL('..', import.meta.url).pathname;
const SOURCE = 'src/hw/vtd/plain-rows/index.ts';
const TARGET = join(ROOT, 'src/hw/vtd/plain-rows-binary.ts');

/** The module's text. Throws when the source does not compile. */
export async function compilePlainRows() {
  const output = join(tmpdir(), `plain-rows-${process.pid}.wasm`);
  const memory = ['--importMemory', '--sharedMemory', '--initialMemory', '16', '--maximumMemory', '65536'];
  const options = ['-O3', '--runtime', 'stub', '--noAssert', '--noExportMemory', '--enable', 'threads', ...memory];
  const { error, stderr } = await asc.main([SOURCE, '--baseDir', ROOT, ...options, '-o', output]);
  if (error !== null) throw new Error(`${SOURCE} does not compile: ${stderr.toString()}`, { cause: error });
  const bytes = readFileSync(output);
  rmSync(output);
  return [
    '/** Made by `npm run build:wasm` from plain-rows/; not to be edited. */',
    `export const PLAIN_ROWS_WASM =\n  '${bytes.toString('base64')}';`,
    '',
  ].join('\n');
}

if (process.argv[1] === new URL(import.meta.url).pathname) writeFileSync(TARGET, await compilePlainRows());
