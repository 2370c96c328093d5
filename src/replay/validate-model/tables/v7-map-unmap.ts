/** V7: what mapping and unmapping cost the kernel: inputs of the kernel profiles, held as a regression check. */
import { KERNEL_PROFILES } from '../../../stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../../stack/profiles/schema.ts';
import { nsFromTicks } from '../../../units.ts';
import { makePoint } from '../point.ts';
import type { ModelPoint } from '../result.ts';
import type { TableRun } from './table.ts';

/** Kernel profile, leaves, map [ns], unmap [ns]; 256 leaves of 4 KiB and of 2 MiB cost nearly the same. */
const PUBLISHED = [
  ['v7.3', 1, '4 KiB', 55, 69],
  ['v7.3', 256, '4 KiB', 391, 210],
  ['v6.12', 1, '4 KiB', 65, 87],
  ['v6.12', 256, '4 KiB', 518, 321],
] as const;

/** V7. */
export const V7_MAP_UNMAP: TableRun = {
  id: 'V7',
  run: () => ({
    id: 'V7',
    title: 'Page-table work of map and unmap',
    role: 'regression',
    source: 'generic page table series, cover letter (v6, v7): VT-d second stage, i7-12700, table work only',
    basis: 'The costs are inputs of the kernel profiles, so this checks that they still add up; it validates nothing.',
    axis: null,
    points: PUBLISHED.flatMap(([name, leaves, size, mapNs, unmapNs]): ModelPoint[] => {
      const { costs } = resolveKernelProfile(KERNEL_PROFILES[name]).profile;
      const point = (call: string, published: number, modelled: number): ModelPoint =>
        makePoint({
          series: name,
          label: `${call} of ${leaves} x ${size}`,
          unit: 'ns',
          published,
          modelled,
          tolerance: { kind: 'absolute', amount: 1 },
          use: 'input',
        });
      return [
        point('map', mapNs, nsFromTicks(costs.mapCall + leaves * costs.mapLeaf)),
        point('unmap', unmapNs, nsFromTicks(costs.unmapCall + leaves * costs.unmapLeaf)),
      ];
    }),
    notes: [],
  }),
};
