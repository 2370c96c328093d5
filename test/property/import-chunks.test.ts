/** Any cutting of an input into chunks gives the same bundle content. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { controlLogImporter } from '../../src/trace/import/control-log-importer.ts';
import { ftraceImporter } from '../../src/trace/import/ftrace-importer.ts';
import type { StreamImporter } from '../../src/trace/import/importer.ts';
import { qemuImporter } from '../../src/trace/import/qemu-importer.ts';

const CONTEXT = { name: 'chunks', strict: false, seed: 1 };

function recording(path: string): Uint8Array {
  return gunzipSync(readFileSync(fileURLToPath(new URL(`../../workloads/recorded/${path}`, import.meta.url))));
}

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let index = 0; at < bytes.byteLength; index++) {
    const size = sizes[index % sizes.length] as number;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function draftOf(
  importer: StreamImporter,
  bytes: Uint8Array,
  sizes: readonly number[],
): ReturnType<StreamImporter['open']> {
  return importer.open({ name: 'input', prefix: bytes.subarray(0, 4096), chunks: cut(bytes, sizes) }, CONTEXT);
}

/** A character of several bytes must survive a cut, too. */
const MARKER = '   täsk-1  [000] .....     6.000001: tracing_mark_write: größe\r\n';

describe('chunk boundaries', () => {
  it.each([
    [
      'ftrace',
      ftraceImporter,
      Buffer.concat([Buffer.from(MARKER), recording('vfio-edu-live/ftrace.txt.gz').subarray(0, 60_000)]),
    ],
    ['function_graph', ftraceImporter, recording('vfio-edu-fgraph/ftrace.txt.gz').subarray(0, 60_000)],
    ['trace-cmd', ftraceImporter, recording('nvme-randread4k-tracecmd/trace-report.txt.gz').subarray(0, 60_000)],
    ['device-model', qemuImporter, recording('vfio-edu-live/qemu-trace.log.gz').subarray(100_000, 200_000)],
    ['control-log', controlLogImporter, recording('vfio-edu-live/control.jsonl.gz')],
  ])('do not matter to %s text', async (_name, importer, bytes) => {
    const whole = await draftOf(importer, bytes, [bytes.byteLength]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 20 }), async (sizes) => {
        expect(await draftOf(importer, bytes, sizes)).toEqual(whole);
      }),
      { numRuns: 8 },
    );
  });
});
