import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigError } from '../../../src/input-error.ts';
import { Random } from '../../../src/random.ts';
import { BundleReader } from '../../../src/trace/reader.ts';
import { pagePicker } from '../../../src/trace/synth/page-picker.ts';
import { synthesize } from '../../../src/trace/synth/synthesize.ts';
import { validateBundle } from '../../../src/trace/validate.ts';

const recipes = new URL('../../../workloads/recipes/', import.meta.url).pathname;
/** Recipes whose requests all go to one unit; that of `switches` spreads over units and tables. */
const kinds = [
  'ats',
  'churn',
  'legacy-container',
  'mdev-access',
  'migration',
  'nested',
  'ring',
  'scatter',
  'strided',
  'tenants',
];
/** Ops that map for a device or, on an iommufd or container, for the devices attached to it. */
const MAPS: ReadonlySet<string> = new Set(['dma_map', 'dma_alloc', 'IOMMU_IOAS_MAP', 'VFIO_IOMMU_MAP_DMA']);
/** Regions small enough for a test. */
const small: Record<string, readonly string[]> = {
  'legacy-container': ['regionBytes=33554432'],
  'mdev-access': ['regionBytes=1048576'],
  migration: ['regionBytes=1048576'],
  nested: ['regionBytes=1048576'],
  scatter: ['regionBytes=1048576'],
};

async function synthesized(kind: string, set: readonly string[] = []): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), 'synth-')), kind);
  await synthesize(join(recipes, `${kind}.json`), path, { rows: 3000, set: [...(small[kind] ?? []), ...set] });
  return path;
}

test('there is a recipe of every kind', () => {
  expect(readdirSync(recipes).sort()).toEqual(
    [...kinds, 'nested-switches', 'pasid', 'pri', 'switches'].map((kind) => `${kind}.json`).sort(),
  );
});

test.each(kinds)('a %s bundle is sound and marked synthetic', async (kind) => {
  const path = await synthesized(kind);
  expect(validateBundle(path)).toEqual({ valid: true, problems: [] });
  const bundle = BundleReader.open(path);
  expect(bundle.manifest.provenance.dma).toEqual({ measured: 0, inferred: 0, synthetic: 3000 });
  expect(bundle.dma(0)!.rowCount).toBe(3000);
});

test.each(kinds)('the same %s recipe gives the same bytes, another seed gives others', async (kind) => {
  const manifestOf = async (set: readonly string[]) =>
    readFileSync(join(await synthesized(kind, set), 'manifest.json'), 'utf8');
  const first = await manifestOf([]);
  expect(await manifestOf([])).toBe(first);
  expect(await manifestOf(['seed=99'])).not.toBe(first);
});

test.each(['pasid', 'pri'])('a %s bundle is sound, its devices have ATS, and it names its kernel', async (name) => {
  const path = await synthesized(name);
  expect(validateBundle(path)).toEqual({ valid: true, problems: [] });
  const { manifest } = BundleReader.open(path);
  expect(manifest.topology.devices.every(({ ats, pri }) => ats && pri === (name === 'pri'))).toBe(true);
  expect(manifest.origin.kernelProfile).toBe('v7.3');
});

test('a demand bundle maps nothing itself, and takes memory away after what used it', async () => {
  const bundle = BundleReader.open(await synthesized('pri'));
  const control = [...bundle.stream('control').rows()];
  expect(control.filter(({ op }) => op === 'IOMMU_IOAS_MAP')).toEqual([]);
  const queues = control.filter(({ op }) => op === 'IOMMU_FAULT_QUEUE_ALLOC');
  expect(queues.map(({ length }) => length)).toEqual([4096n, 4096n]);
  const unmaps = control.filter(({ op }) => op === 'IOMMU_IOAS_UNMAP');
  expect(unmaps).toHaveLength(32);
  expect(unmaps.every(({ afterDma }) => afterDma > 0)).toBe(true);
});

/** A guest's own tables map what requests ask for: test/property/nested-replay.test.ts. */
const mappedByKernel = kinds.filter((kind) => kind !== 'nested');

test.each(mappedByKernel)('every request of a %s bundle lies in a live mapping with the right to it', async (kind) => {
  const bundle = BundleReader.open(await synthesized(kind));
  // An untimed replay by sequence: mapped pages per device; what maps a context maps its devices.
  const mapped = new Map<string, number>();
  const deviceOfContext = new Map<number, number>();
  for (const { device, iovaPfn, pageCount } of bundle.optionalStream('initial')?.rows() ?? []) {
    for (let i = 0; i < pageCount; i++) mapped.set(`${device}:${Number(iovaPfn) + i}`, 0);
  }
  const control = [...bundle.stream('control').rows()];
  const frames = [...bundle.stream('frames').rows()];
  const dma = [...bundle.stream('dma-0').rows()];
  let next = 0;
  const apply = (row: number) => {
    const { op, device, context, iova, length } = control[row]!;
    // Mediated devices have no requests of their own.
    const attaches = op === 'VFIO_DEVICE_ATTACH_IOMMUFD_PT' || op === 'VFIO_GROUP_SET_CONTAINER';
    if (attaches && bundle.manifest.topology.devices[device]!.unit >= 0) deviceOfContext.set(context, device);
    const owner = context === 0xffff_ffff ? device : deviceOfContext.get(context);
    const first = Number(iova >> 12n);
    const pages = Number(length >> 12n);
    for (let page = first; page < first + pages; page++) {
      if (MAPS.has(op)) mapped.set(`${owner}:${page}`, row + 1);
      if (op === 'dma_unmap' || op === 'VFIO_IOMMU_UNMAP_DMA') mapped.delete(`${owner}:${page}`);
    }
    if (MAPS.has(op)) {
      const backed = frames.filter(({ controlRow }) => controlRow === row).reduce((sum, run) => sum + run.pageCount, 0);
      expect(backed).toBe(pages);
    }
  };
  for (const { sequence, device, iova, bytes, afterControl } of dma) {
    while (next < control.length && control[next]!.sequence < sequence) apply(next++);
    expect(mapped.get(`${device}:${iova >> 12n}`)).toBe(afterControl);
    expect(mapped.get(`${device}:${(iova + BigInt(bytes) - 1n) >> 12n}`)).toBe(afterControl);
  }
  expect(dma).toHaveLength(3000);
});

test('under churn an unmap waits for the last request of its mapping', async () => {
  const bundle = BundleReader.open(await synthesized('churn'));
  const dma = [...bundle.stream('dma-0').rows()];
  const control = [...bundle.stream('control').rows()];
  const mapRowOf = new Map<bigint, number>();
  for (const [row, { op, iova, afterDma }] of control.entries()) {
    if (op === 'dma_map') mapRowOf.set(iova, row);
    if (op !== 'dma_unmap') continue;
    const last = dma.findLastIndex(({ afterControl }) => afterControl === mapRowOf.get(iova)! + 1);
    expect(afterDma).toBe(last + 1);
  }
  expect(control.filter(({ op }) => op === 'dma_unmap')).toHaveLength(
    control.filter(({ op }) => op === 'dma_map').length,
  );
});

test('physical blocks have the size and alignment that was asked for, and no more', async () => {
  const bundle = BundleReader.open(await synthesized('tenants'));
  let end = -1n;
  for (const { pfn, pageCount } of bundle.stream('frames').rows()) {
    expect([pfn % 512n, pageCount]).toEqual([0n, 512]);
    expect(pfn).not.toBe(end);
    end = pfn + 512n;
  }
});

test('hot pages get their share and Zipf favours the first rank by its weight', () => {
  const random = new Random(1);
  const draws = 20_000;
  const countOf = (locality: Parameters<typeof pagePicker>[0]) => {
    const picker = pagePicker(locality, 100);
    const counts = new Array<number>(100).fill(0);
    for (let i = 0; i < draws; i++) counts[picker.next(random)]!++;
    return counts.sort((a, b) => b - a);
  };
  const hot = countOf({ kind: 'hot', fraction: 0.1, share: 0.9 });
  expect(hot.slice(0, 10).reduce((sum, count) => sum + count, 0) / draws).toBeCloseTo(0.9, 1);
  const zipf = countOf({ kind: 'zipf' });
  const harmonic = Array.from({ length: 100 }, (_, i) => 1 / (i + 1)).reduce((sum, weight) => sum + weight, 0);
  expect(zipf[0]! / draws).toBeCloseTo(1 / harmonic, 1);
});

test.each([
  ['scatter', 'regionBytes=5000', 'regionBytes'],
  ['strided', 'strideBytes=100', 'strideBytes'],
  ['churn', 'ioBytes=1000', 'ioBytes'],
  ['ring', 'packetBytes=4096', 'packetBytes'],
  ['scatter', 'localty=1', 'localty'],
])('a %s recipe with a bad value is a configuration error: %s', async (kind, override, path) => {
  const error = await synthesized(kind, [override]).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).path).toBe(path);
});
