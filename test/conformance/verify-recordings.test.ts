/**
 * The model against the shipped recordings (docs/verification.md): every check at 100 %, and checks that can fail: a
 * wrong page, a wrong kernel or the wrong recorder rules must show.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { verifyBundle } from '../../src/replay/verify/verify.ts';
import { writeDraft } from '../../src/trace/import/bundle-draft.ts';
import { importRecorded } from '../../src/trace/import/recorded-importer.ts';

const RECORDINGS = fileURLToPath(new URL('../../workloads/recorded', import.meta.url));
const directories = readdirSync(RECORDINGS).filter((name) => statSync(join(RECORDINGS, name)).isDirectory());
const scratch = mkdtempSync(join(tmpdir(), 'verify-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function bundleOf(directory: string): Promise<string> {
  const path = join(scratch, directory);
  const draft = await importRecorded(join(RECORDINGS, directory), { strict: false });
  await writeDraft(path, { overwrite: true }, draft);
  return path;
}

describe.each(directories)('recording %s', (directory) => {
  it('is reproduced: translations, IOTLB, faults, descriptors, page tables', async () => {
    const result = verifyBundle(await bundleOf(directory));
    const failing = Object.entries(result.checks).filter(([, { pass }]) => !pass);
    expect(failing).toEqual([]);
    expect(result.coverage.share).toBe(1);
    expect(result.checks['iotlb']?.total).toBeGreaterThan(0);
    expect(result.checks['translations']?.matched).toBe(result.checks['translations']?.total);
    expect(result.checks['descriptors']?.total).toBeGreaterThan(0);
    expect(result.checks['pageTables']?.total).toBeGreaterThan(0);
    expect(result.pass).toBe(true);
  });
});

describe.each(directories.filter((name) => name.startsWith('vfio-edu-live')))('outstanding DMA of %s', (directory) => {
  it('ends as recorded in each of the 64 rounds, all 16 accesses, whatever call landed meanwhile', async () => {
    const { rounds = [] } = verifyBundle(await bundleOf(directory));
    expect(rounds).toHaveLength(64);
    const landed = new Map<string, number>();
    for (const { action, lengthBytes, bytes, requests, matched, faulted } of rounds) {
      // A transfer of 64 bytes in 16 accesses: one row when translated, a row an access when blocked.
      expect([lengthBytes, bytes, matched]).toEqual([64, 64, requests]);
      expect([requests, faulted]).toEqual(action === 'unmap_target' || action === 'detach' ? [16, 16] : [1, 0]);
      landed.set(action, (landed.get(action) ?? 0) + 1);
    }
    expect([...landed.values()]).toEqual([8, 8, 8, 8, 8, 8, 8, 8]);
  });
});

describe('verification notices', () => {
  it('IOTLB rules that are not the recorder’s', async () => {
    const path = await bundleOf('nvme-seqread128k-cachingmode');
    const result = verifyBundle(path, { hardware: 'qemu-11.1' });
    expect(result.checks['iotlb']?.pass).toBe(false);
    expect(result.pass).toBe(false);
  });

  it('one leaf of a table with other permissions', async () => {
    const draft = await importRecorded(join(RECORDINGS, 'nvme-mixed16k-scalable-v7.3'), { strict: false });
    const at = draft.tables.findIndex(({ when, kind }) => when === 'after' && kind === 'leaf');
    const tables = draft.tables.map((row, index) => (index === at ? { ...row, prot: Number(row.prot) ^ 2 } : row));
    const path = join(scratch, 'permissions');
    await writeDraft(path, { overwrite: true }, { ...draft, tables });
    const { matched, total, pass } = verifyBundle(path).checks['pageTables'] ?? {};
    expect([matched, pass]).toEqual([(total ?? 0) - 1, false]);
  });

  it('frames that are not where the recorder had them', async () => {
    const draft = await importRecorded(join(RECORDINGS, 'vfio-edu-live'), {
      name: 'x',
      strict: false,
      seed: 1,
    } as never);
    const frames = draft.frames.map((frame) => ({ ...frame, pfn: Number(frame.pfn) + 1 }));
    const path = join(scratch, 'moved');
    await writeDraft(path, { overwrite: true }, { ...draft, frames });
    const result = verifyBundle(path);
    expect(result.checks['translations']?.matched).toBe(0);
    expect(result.checks['translations']?.firstDivergence).toMatch(/dma-0 row \d+: device \d+ (read|write) iova 0x/);
  });

  it('an invalidation that never was submitted', async () => {
    const draft = await importRecorded(join(RECORDINGS, 'vfio-edu-live'), {
      name: 'x',
      strict: false,
      seed: 1,
    } as never);
    const control = draft.control.filter(({ op }) => op !== 'IOMMU_IOAS_UNMAP');
    const path = join(scratch, 'mute');
    await writeDraft(path, { overwrite: true }, { ...draft, control, frames: [] });
    expect(verifyBundle(path).checks['descriptors']?.pass).toBe(false);
  });
});
