/**
 * The names of the kernel's iommufd self-test, as its recorded output has them, and how one of our tests takes such a name:
 * a behaviour is tested on every kernel and variant in which the kernel tests it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { SelftestScene } from './selftest-scene.ts';

const FOLDER = join(import.meta.dirname, '../../workloads/conformance');

/** One line of the output: `fixture.variant.case`, or `fixture.case`. */
export interface SelftestName {
  readonly fixture: string;
  /** '' when the fixture has none. */
  readonly variant: string;
  readonly testCase: string;
  readonly result: 'pass' | 'fail' | 'skip';
}

/** Kernels whose output ships, and their output files. */
export const SELFTEST_OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  'v6.12': ['kernel-selftest-iommufd'],
  'v7.3': ['kernel-selftest-iommufd', 'kernel-selftest-fail-nth'],
};

/** Every named test of a kernel's output. */
export function selftestNames(kernel: string): SelftestName[] {
  return (SELFTEST_OUTPUTS[kernel] ?? []).flatMap((file) => {
    const text = gunzipSync(readFileSync(join(FOLDER, kernel, `${file}.tap.gz`))).toString();
    return [...text.matchAll(/^(not )?ok \d+ (\S+)(.*)$/gm)].map(([, failed, name, rest]) => {
      const parts = (name as string).split('.');
      return {
        fixture: parts[0] as string,
        variant: parts.length === 3 ? (parts[1] as string) : '',
        testCase: parts.at(-1) as string,
        result: rest?.includes('# SKIP') ? 'skip' : failed === undefined ? 'pass' : 'fail',
      } as const;
    });
  });
}

/** Registers a behaviour under the kernel's name for it, once a kernel and variant. */
export function selftest(
  fixture: string,
  testCase: string,
  body: (scene: SelftestScene, variant: string) => void,
): void {
  describe(`${fixture}.${testCase}`, () => {
    const runs = Object.keys(SELFTEST_OUTPUTS).flatMap((kernel) =>
      selftestNames(kernel)
        .filter((name) => name.fixture === fixture && name.testCase === testCase && name.result !== 'skip')
        .map(({ variant }) => ({ kernel, variant })),
    );
    it.each(runs)('$kernel $variant', ({ kernel, variant }) => body(new SelftestScene(kernel), variant));
    it('is a name of the kernel', () => expect(runs.length).toBeGreaterThan(0));
  });
}
