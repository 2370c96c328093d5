// Every behaviour that the kernel's iommufd self-test names is tested here or listed as not modelled, and
// docs/kernel-selftests.md says which.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { NOT_MODELLED, namedBehaviours, selftestTable, testedBehaviours } from '../support/selftest-list.ts';

const DOCUMENT = readFileSync(join(import.meta.dirname, '../../docs/kernel-selftests.md'), 'utf8');

it('has a test of ours or a reason for every name of the kernel', () => {
  const tested = testedBehaviours();
  const named = [...namedBehaviours().keys()];
  expect(named.length).toBeGreaterThan(60);
  expect(named.filter((key) => !tested.has(key) && NOT_MODELLED[key] === undefined)).toEqual([]);
  expect(named.filter((key) => tested.has(key) && NOT_MODELLED[key] !== undefined)).toEqual([]);
});

it('takes no name that no kernel has', () => {
  const named = namedBehaviours();
  expect([...testedBehaviours().keys(), ...Object.keys(NOT_MODELLED)].filter((key) => !named.has(key))).toEqual([]);
});

it('is what the document says', () => {
  expect(DOCUMENT).toContain(selftestTable());
  for (const [key, reason] of Object.entries(NOT_MODELLED)) expect(DOCUMENT).toContain(`- \`${key}\`: ${reason}`);
});
