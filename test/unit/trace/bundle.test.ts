import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { expect, test } from 'vitest';
import { InputError } from '../../../src/input-error.ts';
import { BundleReader } from '../../../src/trace/reader.ts';
import type { StreamName } from '../../../src/trace/schema/streams.ts';
import { writeBundle } from '../../../src/trace/writer.ts';
import { type DmaRow, openTestBundle, writeTestBundle } from '../../support/replay-bundle.ts';

const devices = [{}];
const ten: DmaRow[] = Array.from({ length: 10 }, (_, i) => ({
  kind: 'dma',
  device: 0,
  iova: 4096 * (i + 1),
  timeNs: i,
}));

/** The error of opening a stream and reading all of it. */
function readError(path: string, name: StreamName = 'dma-0'): InputError {
  const bundle = BundleReader.open(path);
  try {
    for (const _batch of bundle.stream(name).batches());
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  } finally {
    bundle.close();
  }
  throw new Error('read without an error');
}

function editManifest(path: string, change: object): void {
  const file = join(path, 'manifest.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...change }));
}

test('rows come back as they were written', async () => {
  const bundle = await openTestBundle({
    devices,
    rows: [
      { kind: 'control', op: 'marker', text: 'häuschen', userAddress: 2 ** 52 },
      { kind: 'dma', device: 0, iova: 2 ** 40 + 5, timeNs: 2 ** 33 },
    ],
  });
  const [marker] = [...bundle.stream('control').rows()];
  expect(marker).toMatchObject({ op: 'marker', text: 'häuschen', userAddress: 2n ** 52n, sequence: 0 });
  const [dma] = [...bundle.stream('dma-0').rows()];
  expect(dma).toMatchObject({ iova: 2n ** 40n + 5n, timeNs: 2n ** 33n, sequence: 1 });
});

test('Apache Arrow reads the same values, dictionaries included', async () => {
  const path = await writeTestBundle({
    devices,
    rows: [{ kind: 'control', op: 'marker', text: 'a' }, { kind: 'control', op: 'close', text: '' }, ...ten],
    batchRows: 4,
  });
  const control = tableFromIPC(readFileSync(join(path, 'control.arrow')));
  expect(control.toArray().map((row) => [row.op, row.text])).toEqual([
    ['marker', 'a'],
    ['close', ''],
  ]);
  const dma = tableFromIPC(readFileSync(join(path, 'dma-0.arrow')));
  expect(dma.batches.map(({ numRows }) => numRows)).toEqual([4, 4, 2]);
  expect(dma.toArray().map((row) => row.iova)).toEqual(ten.map(({ iova }) => BigInt(iova)));
  expect(tableFromIPC(readFileSync(join(path, 'frames.arrow'))).numRows).toBe(0);
});

test('a random batch is read without the ones before', async () => {
  const bundle = await openTestBundle({ devices, rows: ten, batchRows: 4 });
  const stream = bundle.stream('dma-0');
  expect(stream.batchCount).toBe(3);
  const last = stream.readBatch(2);
  expect([last.firstRow, last.rowCount, last.columns.iova[0]]).toEqual([8, 2, 9 * 4096]);
});

test('a bundle that exists is not overwritten unless asked, and never when it is no bundle', async () => {
  const path = await writeTestBundle({ devices, rows: ten });
  const fill = () => {
    throw new Error('must not be called');
  };
  await expect(writeBundle(path, {}, fill)).rejects.toThrow(/exists already/);
  const folder = mkdtempSync(join(tmpdir(), 'no-bundle-'));
  await expect(writeBundle(folder, { overwrite: true }, fill)).rejects.toThrow(/is no bundle/);
});

test('after an error nothing is left of a bundle, and the one before is untouched', async () => {
  const path = await writeTestBundle({ devices, rows: ten });
  const before = readFileSync(join(path, 'manifest.json'), 'utf8');
  const failing = writeBundle(path, { overwrite: true }, (writer) => {
    writer.dma(0);
    throw new Error('out of tape');
  });
  await expect(failing).rejects.toThrow('out of tape');
  expect(readFileSync(join(path, 'manifest.json'), 'utf8')).toBe(before);
  expect(readdirSync(dirname(path))).toEqual(['bundle']);
});

test('overwriting replaces the whole bundle', async () => {
  const path = await writeTestBundle({ devices, rows: ten, initial: [[0, 1, 1, 1]] });
  const { manifest } = BundleReader.open(path);
  const { formatVersion: _version, streams: _streams, ...content } = manifest;
  await writeBundle(path, { overwrite: true }, () => ({ ...content, name: 'second' }));
  expect(BundleReader.open(path).manifest.name).toBe('second');
  expect(existsSync(join(path, 'initial.arrow'))).toBe(false);
  expect(readdirSync(dirname(path))).toEqual(['bundle']);
});

test.each([[-1], [-11], [-600], [4], [0]])('a file cut at %d bytes is an error that names it', async (at) => {
  const path = await writeTestBundle({ devices, rows: ten, batchRows: 4 });
  const file = join(path, 'dma-0.arrow');
  const size = readFileSync(file).length;
  truncateSync(file, at < 0 ? size + at : at);
  expect(readError(path)).toMatchObject({ file, exitCode: 3 });
});

test('a damaged batch header is an error with the first row of the batch', async () => {
  const path = await writeTestBundle({ devices, rows: ten, batchRows: 4 });
  const file = join(path, 'dma-0.arrow');
  const bytes = readFileSync(file);
  // The header of the second batch: the third message after the magic; find it by the iova values of the first.
  const schemaBytes = 8 + bytes.readInt32LE(12) + 8;
  const first = schemaBytes + 8 + bytes.readInt32LE(schemaBytes + 4);
  const bodyBytes = [4, 8, 2, 4, 8, 4, 1, 1, 4].reduce((sum, width) => sum + Math.ceil((width * 4) / 8) * 8, 0);
  const second = first + bodyBytes;
  expect(bytes.readInt32LE(second)).toBe(-1);
  bytes.fill(0xff, second + 8, second + 40);
  writeFileSync(file, bytes);
  expect(readError(path)).toMatchObject({ file, row: 4 });
});

test('a manifest that lies about the number of rows is an error with the row', async () => {
  const path = await writeTestBundle({ devices, rows: ten });
  const { streams } = BundleReader.open(path).manifest;
  editManifest(path, { streams: { ...streams, 'dma-0': { ...streams['dma-0'], rows: 12 } } });
  expect(readError(path)).toMatchObject({ row: 10, reason: 'has 10 rows, the manifest says 12' });
});

test('a missing file and a missing stream are errors', async () => {
  const path = await writeTestBundle({ devices, rows: ten });
  expect(readError(path, 'dma-1').reason).toBe("the bundle has no stream 'dma-1'");
  const copy = join(dirname(path), 'copy');
  cpSync(path, copy, { recursive: true, filter: (source) => !source.endsWith('dma-0.arrow') });
  expect(readError(copy)).toMatchObject({ file: join(copy, 'dma-0.arrow'), reason: 'cannot be opened (ENOENT)' });
});

test('a file of another stream is refused by its columns', async () => {
  const path = await writeTestBundle({ devices, rows: ten });
  cpSync(join(path, 'control.arrow'), join(path, 'dma-0.arrow'));
  expect(readError(path).reason).toBe("column 2 is 'op', expected 'device'");
});

test.each([
  ['formatVersion: 3 is newer than 2, the newest this program reads', { formatVersion: 3 }],
  ['formatVersion: "x" is no format version', { formatVersion: 'x' }],
  ["lostEvent: unknown key, did you mean 'lostEvents'?", { lostEvent: 2 }],
  [
    "streams: 'frames' is missing",
    { streams: { control: { file: 'control.arrow', rows: 0, sha256: '0'.repeat(64) } } },
  ],
])('a bad manifest is an error: %s', async (reason, change) => {
  const path = await writeTestBundle({ devices, rows: ten });
  editManifest(path, change);
  expect(() => BundleReader.open(path)).toThrow(expect.objectContaining({ reason, file: join(path, 'manifest.json') }));
});

test('a folder without a manifest is no bundle', () => {
  expect(() => BundleReader.open(join(tmpdir(), 'nowhere'))).toThrow(/not a bundle/);
});
