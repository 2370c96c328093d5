import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { draftTrace, importers, importTrace } from '../../../../src/trace/import/registry.ts';
import { formatImportSummary } from '../../../../src/trace/import/summary.ts';
import { readManifest } from '../../../../src/trace/manifest.ts';
import { validateBundle } from '../../../../src/trace/validate.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'registry-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const recording = (path: string): string =>
  fileURLToPath(new URL(`../../../../workloads/recorded/${path}`, import.meta.url));
const request = (input: string, from?: string): Parameters<typeof draftTrace>[0] => ({
  from,
  inputs: [input],
  output: join(folder, 'out'),
  strict: false,
});

describe('the importers', () => {
  it('have names of their own', () => {
    expect(new Set(importers.map(({ name }) => name)).size).toBe(importers.length);
  });

  it.each([
    ['vfio-edu-live', 'recorded'],
    ['vfio-edu-live/ftrace.txt.gz', 'ftrace'],
    ['vfio-edu-fgraph/ftrace.txt.gz', 'ftrace'],
    ['nvme-randread4k-tracecmd/trace-report.txt.gz', 'ftrace'],
    ['vfio-edu-live/qemu-trace.log.gz', 'qemu'],
    ['vfio-edu-live/control.jsonl.gz', 'control-log'],
  ])('recognise %s as %s', async (path, importer) => {
    const draft = await draftTrace(request(recording(path)));
    expect(draft.summary.importer).toBe(importer);
  });

  it('refuse what none recognises, what does not exist and a name nobody has', async () => {
    const path = join(folder, 'poem.txt');
    writeFileSync(path, 'no trace at all\n');
    await expect(draftTrace(request(path))).rejects.toMatchObject({ name: 'InputError', exitCode: 3 });
    await expect(draftTrace(request(join(folder, 'none')))).rejects.toMatchObject({ name: 'InputError' });
    await expect(draftTrace(request(folder))).rejects.toMatchObject({ name: 'InputError' });
    await expect(draftTrace(request(path, 'nobody'))).rejects.toMatchObject({ name: 'ConfigError', exitCode: 2 });
    await expect(draftTrace(request(folder, 'ftrace'))).rejects.toMatchObject({ name: 'ConfigError' });
  });

  it('write bundles that validate, and say what they did', async () => {
    const output = join(folder, 'bundle');
    const summary = await importTrace({ ...request(recording('vfio-edu-live')), output });
    expect(validateBundle(output)).toMatchObject({ valid: true });
    expect(formatImportSummary(summary)).toContain('dma rows       304, learned 0');
    const { provenance } = readManifest(output).manifest;
    expect(provenance).toEqual({
      dma: { measured: 304, inferred: 0, synthetic: 0 },
      inferredColumns: { size: 304, direction: expect.any(Number), time: 0 },
    });
    writeFileSync(
      join(output, 'manifest.json'),
      readFileSync(join(output, 'manifest.json'), 'utf8').replace('"size": 304', '"size": 303'),
    );
    expect(validateBundle(output).problems.map(({ reason }) => reason)).toEqual([
      '304 measured DMA rows have an inferred size, not 303',
    ]);
  });

  it('mark all DMA of plain ftrace as inferred, and none of a device-model log', async () => {
    const ftrace = await draftTrace(request(recording('nvme-randread4k-tracecmd/trace-report.txt.gz')));
    const log = await draftTrace(request(recording('vfio-edu-live/qemu-trace.log.gz')));
    expect(ftrace.manifest.provenance.dma).toEqual({ measured: 0, inferred: ftrace.summary.dmaRows, synthetic: 0 });
    expect(log.manifest.provenance.dma).toEqual({ measured: log.summary.dmaRows, inferred: 0, synthetic: 0 });
    expect(log.units[0]?.dma).toHaveLength(log.summary.dmaRows);
    expect([ftrace, log].map(({ units }) => units[0]?.observed)).toEqual([false, true]);
  });
});
