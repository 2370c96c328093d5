/** Registers one test for each transcript file: every step must match what the kernel answered. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { conformFiles } from '../../src/replay/conform/conform.ts';

const TRANSCRIPTS = join(import.meta.dirname, '../../workloads/conformance');

/** Steps of each file, by kernel. The counts keep a file from passing by being cut short. */
export type TranscriptFiles = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** One suite a kernel; `setupOf` says which machine a file must have been recorded on. */
export function transcriptSuite(subject: string, files: TranscriptFiles, setupOf: (file: string) => string): void {
  for (const [kernel, stepsByFile] of Object.entries(files)) {
    describe(`transcripts of ${kernel} ${subject}`, () => {
      for (const [name, steps] of Object.entries(stepsByFile)) {
        it(`answers as the recorded kernel in every step of ${name}`, () => {
          const result = conformFiles([join(TRANSCRIPTS, kernel, `${name}.jsonl.gz`)]);
          expect(result.files[0]?.mismatches).toEqual([]);
          expect(result.totals).toMatchObject({ steps, matched: steps });
          expect(result.files[0]).toMatchObject({ kernel, setup: setupOf(name) });
        });
      }
    });
  }
}
