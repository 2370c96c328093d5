/**
 * Every shipped recording is imported, and its rows are held against the untimed oracle: each translation the recorder
 * made must follow from the latest recorded mapping of its page, in the order that the importer gave the rows.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { importRecorded } from '../../src/trace/import/recorded-importer.ts';
import { checkPlainTranslation } from '../support/plain-translation.ts';

const RECORDINGS = fileURLToPath(new URL('../../workloads/recorded', import.meta.url));
const directories = readdirSync(RECORDINGS).filter((name) => statSync(join(RECORDINGS, name)).isDirectory());

describe.each(directories)('recording %s', (directory) => {
  it('has a recorded mapping for every translation, and places no row against its cause', async () => {
    const draft = await importRecorded(join(RECORDINGS, directory), { strict: false });
    const report = checkPlainTranslation(draft);
    expect(report.translations).toBeGreaterThan(0);
    expect(report.firstProblem).toBe('');
    expect(report.explained).toBe(report.translations);
    expect(report.fillsOfUnmapped).toBe(0);
    expect(report.faultsOnMapped).toBe(0);
    expect(report.sequenceGaps).toBe(0);
    expect(report.submissionsMisplaced).toBe(0);
    expect(report.backwardDependencies).toBe(0);
    expect(draft.summary.measures['orderContradictions']).toBe(0);
  });

  it('pairs every descriptor that the device model logs with its submission', async () => {
    const draft = await importRecorded(join(RECORDINGS, directory), { strict: false });
    const executed = new Set(draft.hardware.map(({ submissionRow }) => submissionRow));
    // The older emulator's log has no line for PASID-cache descriptors (VT-d spec 6.5.2.2).
    const logged = draft.submissions.filter(({ type }, row) => type !== 'pc_inv' || executed.has(row + 1));
    expect(logged.length).toBeGreaterThan(0);
    draft.submissions.forEach(({ type }, row) => {
      if (type !== 'pc_inv') expect(executed.has(row + 1)).toBe(true);
    });
    if (draft.manifest.dmaPolicy.flushMode === 'strict') {
      expect(draft.submissions.every(({ controlRow }) => controlRow > 0)).toBe(true);
    }
  });
});

describe('the oracle', () => {
  it('notices a wrong page, a missing map and a descriptor that runs too early', async () => {
    const draft = await importRecorded(join(RECORDINGS, 'vfio-edu-fgraph'), { strict: false });
    const wrongPage = { ...draft, frames: draft.frames.map((frame) => ({ ...frame, pfn: Number(frame.pfn) + 1 })) };
    expect(checkPlainTranslation(wrongPage).explained).toBe(0);
    const mapless = { ...draft, frames: draft.frames.slice(0, draft.frames.length / 2) };
    expect(checkPlainTranslation(mapless).explained).toBeLessThan(checkPlainTranslation(draft).explained);
    const early = { ...draft, hardware: draft.hardware.map((row) => ({ ...row, sequence: 0 })) };
    expect(checkPlainTranslation(early).submissionsMisplaced).toBe(draft.submissions.length);
  });
});

describe('the shares that a recording does not say', () => {
  it('learns only what no dump covers: the rings of a device without one', async () => {
    const learned: Record<string, number> = {};
    for (const directory of directories) {
      const draft = await importRecorded(join(RECORDINGS, directory), { strict: false });
      if (draft.summary.learnedRows > 0) learned[directory] = draft.summary.learnedRows;
    }
    expect(Object.keys(learned)).toEqual(['virtio-blk-platform-lazy']);
  });
});
