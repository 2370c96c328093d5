/** V9: the base configuration of HyperSIO, model against model. */
import { hardwareProfile } from '../../../hw/profiles/registry.ts';
import { makePoint } from '../point.ts';
import { measureTenantPackets } from '../tenant-packets.ts';
import type { TableRun } from './table.ts';

/** [Gb/s] By depth of the translation queue: their simulator on the trace described in the table's notes. */
const RERUN = [
  [1, 12.629],
  [2, 12.629],
  [4, 25.258],
  [8, 37.887],
  [16, 75.768],
  [32, 138.867],
] as const;
const TENANTS = 16;

/** V9. */
export const V9_HYPERSIO: TableRun = {
  id: 'V9',
  run: ({ samples }) => {
    const { config } = hardwareProfile('hypertrio-base');
    const packets = Math.max(4000, Math.floor(samples / 3));
    return {
      id: 'V9',
      title: 'HyperSIO base configuration, all translations miss',
      role: 'gate',
      source: 'PrincetonUniversity/hypersio, commit 77edd0b, run on a synthetic trace',
      basis: 'Nothing is fitted: latencies and sizes are those of its source code.',
      axis: 'translation queue',
      points: RERUN.map(([queue, gbps]) =>
        makePoint({
          series: '16 tenants in turn, packets of 1542 B at 200 Gb/s',
          x: queue,
          label: `queue of ${queue}`,
          unit: 'Gb/s',
          published: gbps,
          modelled: measureTenantPackets(config, { tenants: TENANTS, packets, queue }),
          tolerance: { kind: 'relative', share: 0.05 },
          use: 'predicted',
        }),
      ),
      notes: [
        'Trace: 20,000 packets of 16 tenants in turn; each translates one of 16 pages in turn of ' +
          'each of three kinds (ring, data, mailbox), all in a 2 MiB region of its own. Simulator: IOTLB 64 x 8, page caches 512 x 16 and 1024 x 16, ' +
          'context cache 1536, replacement LRU, no prefetch.',
        'With 64 tenants their page caches conflict (one read in six), by a set index of their own: 130.6 Gb/s instead of ' +
          '138.9 at a queue of 32. That is a property of their index, not compared here.',
        'Its IOTLB sits in the device: hits are cheaper there than behind a link, so only misses are compared.',
      ],
    };
  },
};
