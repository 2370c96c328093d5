import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { anonymizeBundle } from '../../../src/trace/anonymize.ts';
import { remapDescriptor } from '../../../src/trace/descriptor-address.ts';
import { BundleReader } from '../../../src/trace/reader.ts';
import { validateBundle } from '../../../src/trace/validate.ts';
import { writeTestBundle } from '../../support/replay-bundle.ts';

const GIB = 2 ** 30;

async function example(): Promise<string> {
  return writeTestBundle({
    devices: [
      { name: '0000:3b:00.0', driver: 'secret_nic' },
      { name: '0000:3b:00.1', driver: 'secret_nic' },
    ],
    rows: [
      { kind: 'control', op: 'marker', text: 'customer job 17', thread: 4711 },
      // Two runs, contiguous in IOVA across a gigabyte.
      {
        kind: 'control',
        op: 'dma_map',
        device: 0,
        thread: 4712,
        iova: 8 * GIB - 8192,
        length: 16384,
        frames: [
          [(8 * GIB) / 4096 - 2, 0x200, 2],
          [(8 * GIB) / 4096, 0x40000, 2],
        ],
      },
      { kind: 'dma', device: 0, iova: 8 * GIB - 100, bytes: 200, afterControl: 2 },
      { kind: 'dma', device: 1, iova: 20 * GIB + 12345, bytes: 64 },
      { kind: 'dma', device: 1, iova: 0xfee0_0000, bytes: 4 },
      { kind: 'control', op: 'dma_unmap', device: 0, thread: 4711, iova: 8 * GIB - 8192, length: 16384, afterDma: 1 },
    ],
  });
}

test('an anonymized bundle is sound and names nothing', async () => {
  const path = await example();
  const copy = join(dirname(path), 'copy');
  await anonymizeBundle(path, copy, { seed: 3 });
  expect(validateBundle(copy)).toEqual({ valid: true, problems: [] });
  const everything = readdirSync(copy)
    .map((file) => readFileSync(join(copy, file), 'latin1'))
    .join('');
  for (const name of ['secret', '3b:00', 'customer', 'written by a test']) expect(everything).not.toContain(name);
});

test('addresses move by whole gigabytes, alike in every stream', async () => {
  const path = await example();
  const copy = join(dirname(path), 'copy');
  await anonymizeBundle(path, copy, { seed: 3 });
  const before = BundleReader.open(path);
  const after = BundleReader.open(copy);
  const dmaBefore = [...before.stream('dma-0').rows()].map(({ iova }) => iova);
  const dmaAfter = [...after.stream('dma-0').rows()].map(({ iova }) => iova);
  expect(dmaAfter.map((iova) => iova % BigInt(GIB))).toEqual(dmaBefore.map((iova) => iova % BigInt(GIB)));
  expect(dmaAfter.slice(0, 2)).not.toEqual(dmaBefore.slice(0, 2));
  expect(dmaAfter[2]).toBe(0xfee0_0000n);
  const [, map] = [...after.stream('control').rows()];
  expect(dmaAfter[0]! - map!.iova).toBe(8192n - 100n);
  const runs = [...after.stream('frames').rows()];
  expect(runs.map(({ iovaPfn }) => iovaPfn)).toEqual([map!.iova >> 12n, (map!.iova >> 12n) + 2n]);
  expect(runs.map(({ pfn }) => pfn % 2n ** 18n)).toEqual([0x200n, 0n]);
  expect(runs[1]!.pfn / 2n ** 18n - runs[0]!.pfn / 2n ** 18n).toBe(1n);
});

test('threads are numbered in the order of their first row', async () => {
  const path = await example();
  const copy = join(dirname(path), 'copy');
  await anonymizeBundle(path, copy, { seed: 3 });
  const rows = [...BundleReader.open(copy).stream('control').rows()];
  expect(rows.map(({ thread }) => thread)).toEqual([1, 2, 1]);
  expect(rows[0]!.text).toBe('text-0');
});

test('the same seed gives the same bytes', async () => {
  const path = await example();
  const copies = ['one', 'two'].map((name) => join(dirname(path), name));
  for (const copy of copies) await anonymizeBundle(path, copy, { seed: 3 });
  const manifests = copies.map((copy) => readFileSync(join(copy, 'manifest.json'), 'utf8'));
  expect(manifests[0]).toBe(manifests[1]);
});

test.each([
  ['page-selective IOTLB', 0xb_0032n, 0xfffb_8042n, 0x1_fffb_8042n],
  ['domain-selective IOTLB', 0xb_0022n, 0n, 0n],
  ['global IOTLB', 0x12n, 0n, 0n],
  ['context cache', 0x31n, 0x5000n, 0x5000n],
  ['wait', 0x25n, 0x1234_5000n, 0x1234_5000n],
  ['device TLB, one page', 0x3n, 0x5000n, 0x1_0000_5000n],
  ['device TLB, 8 KiB', 0x3n, 0x4001n, 0x1_0000_4001n],
  ['device TLB, everything', 0x3n, 0x7fff_ffff_ffff_f001n, 0x7fff_ffff_ffff_f001n],
  ['PASID IOTLB, pages', 0x36n, 0x5043n, 0x1_0000_5043n],
  ['PASID IOTLB, whole PASID', 0x26n, 0n, 0n],
])('a descriptor changes only where it names a page: %s', (_name, word0, word1, expected) => {
  expect(remapDescriptor(word0, word1, (address) => address + 2n ** 32n)).toBe(expected);
});
