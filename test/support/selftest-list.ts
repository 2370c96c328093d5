/** The table of docs/kernel-selftests.md, made from the recorded outputs and the sources of our tests. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SELFTEST_OUTPUTS, type SelftestName, selftestNames } from './kernel-selftest.ts';

const TESTS = join(import.meta.dirname, '../conformance');

/** Behaviours that no test of ours has, and why. */
export const NOT_MODELLED: Readonly<Record<string, string>> = Object.fromEntries(
  [
    'basic',
    'map_domain',
    'map_file_domain',
    'map_two_domains',
    'access_rw',
    'access_pin',
    'access_pin_domain',
    'device',
  ].map((name) => [
    `basic_fail_nth.${name}`,
    'fails every memory allocation of the kernel in turn; the model does not allocate as the kernel does and never runs out',
  ]),
);

/** Test file by `fixture.case`. */
export function testedBehaviours(): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of readdirSync(TESTS).filter((name) => /^selftest-.*\.test\.ts$/.test(name))) {
    const source = readFileSync(join(TESTS, file), 'utf8');
    for (const [, fixture, testCase] of source.matchAll(/^selftest\('(\w+)', '(\w+)'/gm)) {
      found.set(`${fixture}.${testCase}`, file);
    }
  }
  return found;
}

/** Every behaviour that a kernel names, in its order: `fixture.case`, with what each kernel said. */
export function namedBehaviours(): Map<string, Map<string, SelftestName[]>> {
  const behaviours = new Map<string, Map<string, SelftestName[]>>();
  for (const kernel of Object.keys(SELFTEST_OUTPUTS).toReversed()) {
    for (const name of selftestNames(kernel)) {
      const key = `${name.fixture}.${name.testCase}`;
      const kernels = behaviours.get(key) ?? new Map<string, SelftestName[]>();
      kernels.set(kernel, [...(kernels.get(kernel) ?? []), name]);
      behaviours.set(key, kernels);
    }
  }
  return behaviours;
}

/** Rows of the table: behaviour, what the kernels said in how many variants, our test. */
export function selftestTable(): string {
  const tested = testedBehaviours();
  const rows = [...namedBehaviours()].map(([key, kernels]) => {
    const cells = Object.keys(SELFTEST_OUTPUTS).map((kernel) => verdicts(kernels.get(kernel) ?? []));
    const file = tested.get(key);
    return `| ${key} | ${cells.join(' | ')} | ${file === undefined ? 'not modelled' : `\`${file}\``} |`;
  });
  const kernels = Object.keys(SELFTEST_OUTPUTS);
  return [`| behaviour | ${kernels.join(' | ')} | our test |`, `|${'---|'.repeat(kernels.length + 2)}`, ...rows].join(
    '\n',
  );
}

function verdicts(names: readonly SelftestName[]): string {
  const counts = new Map<string, number>();
  for (const { result } of names) counts.set(result, (counts.get(result) ?? 0) + 1);
  return [...counts].map(([result, count]) => `${count} ${result}`).join(', ') || '–';
}
