// Transcripts of the self-test mock devices, recorded on Linux 6.12 and 7.3: every step of every file must match.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { conformFiles } from '../../src/replay/conform/conform.ts';

const TRANSCRIPTS = join(import.meta.dirname, '../../workloads/conformance');

/** Files by kernel with the number of steps each holds. */
const FILES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'v6.12': {
    'iommufd-access': 53,
    'iommufd-core': 87,
    'iommufd-hwpt': 88,
    'iommufd-map': 191,
    'iommufd-objects': 97,
    'random-ioas': 1908,
  },
  'v7.3': {
    'access-replace': 22,
    'change-process': 22,
    'hwpt-mock': 20,
    'iommufd-access': 53,
    'iommufd-core': 87,
    'iommufd-hwpt': 88,
    'iommufd-map': 191,
    'iommufd-objects': 97,
    'map-file': 74,
    pasid: 238,
    'pasid-close': 14,
    'random-ioas': 1908,
    'random-pasid': 2268,
    'random-viommu': 459,
    viommu: 132,
  },
};

for (const [kernel, files] of Object.entries(FILES)) {
  describe(`transcripts of ${kernel} on mock devices`, () => {
    for (const [name, steps] of Object.entries(files)) {
      it(`answers as the recorded kernel in every step of ${name}`, () => {
        const result = conformFiles([join(TRANSCRIPTS, kernel, `${name}.jsonl.gz`)]);
        expect(result.files[0]?.mismatches).toEqual([]);
        expect(result.totals).toMatchObject({ steps, matched: steps });
        expect(result.files[0]).toMatchObject({ kernel, setup: 'mock' });
      });
    }
  });
}
