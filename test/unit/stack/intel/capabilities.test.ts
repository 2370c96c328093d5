/** Paging levels of a unit's tables: what all stages in use can have (__iommu_calculate_sagaw). */
import { expect, test } from 'vitest';
import { readCapabilities } from '../../../../src/stack/drivers/intel/capabilities.ts';
import { FULL_CAP } from '../../../support/device-under-test.ts';

const WIDTH_57 = 1n << 11n;
const FIRST_5_LEVELS = 1n << 60n;
const BOTH_STAGES = '3ef9ea6f050df';
const FIRST_STAGE_ONLY = (BigInt(`0x${BOTH_STAGES}`) & ~(1n << 46n)).toString(16);

function levels(without: bigint, ecap: string, scalable: boolean): number {
  const values = [BigInt(`0x${FULL_CAP}`) & ~without, BigInt(`0x${ecap}`)] as const;
  const registers = {
    mmioRead: (register: number): number => {
      const value = values[(register - 8) >> 3] as bigint;
      return Number((register & 4) === 0 ? value & 0xffff_ffffn : value >> 32n);
    },
    mmioWrite: (): void => {},
  };
  return readCapabilities(registers, scalable).levels;
}

test.each([
  ['five levels where both stages have them', 0n, BOTH_STAGES, true, 5],
  ['four where the first stage has no more', FIRST_5_LEVELS, BOTH_STAGES, true, 4],
  ['four where the second stage has no more', WIDTH_57, BOTH_STAGES, true, 4],
  ['five of the first stage where there is no second', WIDTH_57, FIRST_STAGE_ONLY, true, 5],
  ['five of the second stage in legacy mode', FIRST_5_LEVELS, BOTH_STAGES, false, 5],
])('%s', (_, without, ecap, scalable, expected) => {
  expect(levels(without, ecap, scalable)).toBe(expected);
});
