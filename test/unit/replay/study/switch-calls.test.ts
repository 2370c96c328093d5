import { expect, test } from 'vitest';
import { type ControlEvent, writeTestBundle } from '../../../support/replay-bundle.ts';
import { study } from '../../../support/switch-study.ts';

/** VFIO_TYPE1v2_IOMMU. */
const TYPE1_V2 = 3;
/** [ns] When groups begin to move, and by how much the second is later than the first. */
const MOVE_NS = 1_000_000;
const LATER_NS = 8000;

/** A group with one device on a CPU of its own, from its first container to a second with 16 mappings. */
function movedGroup(device: number): ControlEvent[] {
  const [from, to] = [2 * device, 2 * device + 1];
  const moveNs = MOVE_NS + device * LATER_NS;
  const call = (op: ControlEvent['op'], fields: Partial<ControlEvent>): ControlEvent => ({
    kind: 'control',
    op,
    cpu: device,
    ...fields,
  });
  const enter = (context: number, timeNs: number): ControlEvent[] => [
    call('VFIO_GROUP_SET_CONTAINER', { device, context, timeNs }),
    call('VFIO_SET_IOMMU', { context, flags: TYPE1_V2, timeNs }),
    ...Array.from({ length: 16 }, (_, page) => {
      const range = { iova: 0x10_0000 + 0x1000 * page, length: 0x1000, userAddress: 0x7f00_0000 + 0x1000 * page };
      const frames = [[0x100 + page, 0x5000 + 0x100 * context + page, 1]] as const;
      return call('VFIO_IOMMU_MAP_DMA', { context, ...range, flags: 3, frames, timeNs });
    }),
    call('VFIO_GROUP_GET_DEVICE_FD', { device, timeNs }),
  ];
  return [
    call('open_container', { context: from }),
    call('open_container', { context: to }),
    call('open_group', { device }),
    ...enter(from, 0),
    call('close', { device, timeNs: moveNs }),
    call('VFIO_GROUP_UNSET_CONTAINER', { device, timeNs: moveNs }),
    ...enter(to, moveNs),
  ];
}

test('the calls of a container move belong to it, whichever other moves end meanwhile', async () => {
  const path = await writeTestBundle({
    mode: 'scalable',
    pacing: 'recorded',
    devices: [{ driver: 'vfio-pci' }, { driver: 'vfio-pci' }],
    rows: [0, 1].flatMap(movedGroup).sort((a, b) => (a.timeNs ?? 0) - (b.timeNs ?? 0)),
  });
  const { switches } = (await study(path, { policies: ['detach-attach'], kernels: ['v6.12'] })).get('detach-attach')!;
  const [first, second] = switches as [(typeof switches)[0], (typeof switches)[0]];
  expect(switches.map(({ result }) => result >= 0)).toEqual([true, true]);
  expect(second.startTick).toBeLessThan(first.endTick);
  expect(first.endTick).toBeLessThan(second.endTick);
  expect(second.cpuPs).toBe(first.cpuPs);
});
