import { describe, expect, test } from 'vitest';
import { atLeast } from '../../../../src/stack/kernel/profile.ts';
import { KERNEL_PROFILES } from '../../../../src/stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../../../src/stack/profiles/schema.ts';

describe('kernel profiles', () => {
  test.each(Object.keys(KERNEL_PROFILES))('%s decodes and every number has a source', (name) => {
    const { profile, numbers } = resolveKernelProfile(KERNEL_PROFILES[name]);
    expect(profile.name).toBe(name);
    expect(numbers.every(({ source, basis }) => source.length > 0 && basis.length === 1)).toBe(true);
    expect(numbers.filter(({ basis }) => basis === 'A').every(({ source }) => source.startsWith('ASSUMPTION:'))).toBe(
      true,
    );
  });

  test('costs are integers of picoseconds', () => {
    const { profile } = resolveKernelProfile(KERNEL_PROFILES['v6.12']);
    expect(profile.costs.mapCall).toBe(63224);
    expect(Object.values(profile.costs).every(Number.isInteger)).toBe(true);
  });

  test('one page and 256 pages cost what the publication says', () => {
    for (const [name, one, many] of [
      ['v6.12', 65, 518],
      ['v7.3', 55, 391],
    ] as const) {
      const { mapCall, mapLeaf } = resolveKernelProfile(KERNEL_PROFILES[name]).profile.costs;
      expect((mapCall + mapLeaf) / 1000).toBeCloseTo(one, 0);
      expect((mapCall + 256 * mapLeaf) / 1000).toBeCloseTo(many, 0);
    }
  });

  test('overrides change the value and the digest', () => {
    const base = resolveKernelProfile(KERNEL_PROFILES['v7.3']);
    const changed = resolveKernelProfile(KERNEL_PROFILES['v7.3'], ['costsNs.qiSubmit.value=90.5']);
    expect(changed.profile.costs.qiSubmit).toBe(90_500);
    expect(changed.sha256).not.toBe(base.sha256);
    expect(base.sha256).toBe(resolveKernelProfile(KERNEL_PROFILES['v7.3']).sha256);
  });

  test('an unknown key is refused with its path and the nearest known one', () => {
    expect(() => resolveKernelProfile(KERNEL_PROFILES['v7.3'], ['behaviours.ssIhIgnord=true'])).toThrow(
      /behaviours\.ssIhIgnord.*ssIhIgnored/,
    );
  });

  test('versions are ordered', () => {
    const { profile } = resolveKernelProfile(KERNEL_PROFILES['v6.15']);
    expect([atLeast(profile, 'L612'), atLeast(profile, 'L615'), atLeast(profile, 'L70')]).toEqual([true, true, false]);
  });
});
