import { describe, expect, test } from 'vitest';
import { type ControlRow, emptyRow } from '../../../../src/replay/control-row.ts';
import { ContainersAsSpaces } from '../../../../src/replay/study/containers-as-spaces.ts';
import type { SwitchRole } from '../../../../src/replay/study/switch-plan.ts';
import { NONE_U32 } from '../../../../src/trace/schema/column-type.ts';

type Event = Partial<ControlRow> & Pick<ControlRow, 'op'>;

const GROUP_OF = [0, 0, 1];
const LEAVES: SwitchRole = { part: 'detach', gapNs: 0, container: true };

/** Calls that events become; device 0 and 1 share a group. `moves`: rows that begin a switch. */
function rewritten(events: readonly Event[], moves: readonly number[] = []): string[] {
  const made: string[] = [];
  const inner = {
    *perform({ op, device, object, target, flags, iova, length }: ControlRow) {
      const words = [op.replace('IOMMU_', '').replace('VFIO_', '')];
      if (device !== NONE_U32) words.push(`device ${device}`);
      if (object !== NONE_U32) words.push(`in ${object - 0x4000_0000}`);
      if (target !== NONE_U32) words.push(`to ${target - 0x4000_0000}`);
      if (length !== 0n) words.push(`${iova}+${length}`);
      if (flags !== 0) words.push(`flags ${flags}`);
      yield 0;
      made.push(words.join(' '));
      return { result: 0 };
    },
  };
  const roles = new Map(moves.map((row) => [row, LEAVES]));
  const calls = new ContainersAsSpaces(inner, roles, (device) => GROUP_OF[device] ?? -1);
  for (const [row, event] of events.entries()) {
    const task = calls.perform({ ...emptyRow(), row, ...event });
    while (task.next().done !== true);
  }
  return made;
}

const open: Event[] = [
  { op: 'open_container', context: 4 },
  { op: 'open_container', context: 5 },
  { op: 'open_group', device: 0 },
  { op: 'VFIO_GROUP_SET_CONTAINER', device: 0, context: 4 },
  { op: 'VFIO_SET_IOMMU', context: 4 },
];
const opened = ['open_iommufd', 'IOAS_ALLOC', 'IOAS_ALLOC', 'IOAS_UNMAP in 0 0+18446744073709551615'];
const device: Event = { op: 'VFIO_GROUP_GET_DEVICE_FD', device: 0 };
const bound = ['open_cdev device 0', 'DEVICE_BIND_IOMMUFD device 0', 'DEVICE_ATTACH_IOMMUFD_PT device 0 to 0'];

describe('containers as IOASes of one iommufd', () => {
  test('opening a device binds it and attaches it to its container', () => {
    expect(rewritten([...open, device])).toEqual([...opened, ...bound]);
  });

  test('maps and unmaps go to the IOAS, with the access that was asked for', () => {
    const range = { context: 4, iova: 4096n, length: 8192n };
    const events: Event[] = [
      { op: 'VFIO_IOMMU_MAP_DMA', ...range, flags: 3 },
      { op: 'VFIO_IOMMU_MAP_DMA', ...range, flags: 1 },
      { op: 'VFIO_IOMMU_UNMAP_DMA', ...range },
      { op: 'VFIO_IOMMU_UNMAP_DMA', context: 4, flags: 2 },
    ];
    expect(rewritten([...open, ...events]).slice(opened.length)).toEqual([
      'IOAS_MAP in 0 4096+8192 flags 7',
      'IOAS_MAP in 0 4096+8192 flags 5',
      'IOAS_UNMAP in 0 4096+8192',
      'IOAS_UNMAP in 0 0+18446744073709551615',
    ]);
  });

  test('a move is one attach over the old one, and the new container starts empty', () => {
    const move: Event[] = [
      { op: 'close', device: 0 },
      { op: 'VFIO_GROUP_UNSET_CONTAINER', device: 0 },
      { op: 'VFIO_GROUP_SET_CONTAINER', device: 0, context: 5 },
      { op: 'VFIO_SET_IOMMU', context: 5 },
      device,
    ];
    const leaves = open.length + 2;
    expect(rewritten([...open, device, ...move], [leaves]).slice(opened.length + bound.length)).toEqual([
      'IOAS_UNMAP in 1 0+18446744073709551615',
      'DEVICE_ATTACH_IOMMUFD_PT device 0 to 1',
    ]);
  });

  test('a group that leaves for good closes the nodes of all its devices', () => {
    const second: Event = { op: 'VFIO_GROUP_GET_DEVICE_FD', device: 1 };
    const leave: Event = { op: 'VFIO_GROUP_UNSET_CONTAINER', device: 0 };
    const closed = ['close device 0', 'close device 1'];
    expect(rewritten([...open, device, second, leave]).slice(-2)).toEqual(closed);
    const byClosing: Event[] = [1, 0, 0].map((index) => ({ op: 'close', device: index }));
    expect(rewritten([...open, device, second, ...byClosing]).slice(-2)).toEqual(closed);
    expect(rewritten([...open, device, second, ...byClosing.slice(0, 2)])).not.toContain('close device 0');
  });

  test('a group in an iommufd, and what is no container, stay as they are', () => {
    const events: Event[] = [
      { op: 'open_group', device: 2 },
      { op: 'VFIO_GROUP_SET_CONTAINER', device: 2, context: 9 },
      { op: 'VFIO_GROUP_GET_DEVICE_FD', device: 2 },
      { op: 'VFIO_IOMMU_MAP_DMA', context: 9 },
      { op: 'close', device: 2 },
    ];
    expect(rewritten(events)).toEqual([
      'open_group device 2',
      'GROUP_SET_CONTAINER device 2',
      'GROUP_GET_DEVICE_FD device 2',
      'MAP_DMA',
      'close device 2',
    ]);
  });
});
