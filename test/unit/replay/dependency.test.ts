import { describe, expect, test } from 'vitest';
import type { ReusableRow } from '../../../src/replay/control-row.ts';
import { ControlNode, Scoreboard } from '../../../src/replay/dependency.ts';

const NONE = 0xffff_ffff;

/** Adds a row; CPU and thread differ between rows unless given, so that only what is named ties them. */
function adder() {
  const board = new Scoreboard();
  let next = 0;
  const add = (fields: Partial<ReusableRow>): ControlNode => {
    const node = new ControlNode();
    Object.assign(node.row, { row: next, sequence: next, cpu: next, thread: 100 + next, device: NONE, ...fields });
    next++;
    board.add(node);
    return node;
  };
  const complete = (node: ControlNode): ControlNode[] => {
    const ready: ControlNode[] = [];
    board.complete(node, (waiter) => ready.push(waiter));
    return ready;
  };
  return { add, complete };
}

describe('rows wait for each other', () => {
  test('on one CPU and in one thread, in sequence', () => {
    const { add, complete } = adder();
    const first = add({ cpu: 1 });
    const second = add({ cpu: 1, thread: 9 });
    const third = add({ thread: 9 });
    expect([first, second, third].map((node) => node.pending)).toEqual([0, 1, 1]);
    expect(complete(first)).toEqual([second]);
    expect(complete(second)).toEqual([third]);
  });

  test('when they map and unmap at one IOVA of one device', () => {
    const { add, complete } = adder();
    const map = add({ op: 'dma_map', device: 0, iova: 0x5000n });
    const elsewhere = add({ op: 'dma_map', device: 0, iova: 0x6000n });
    const otherDevice = add({ op: 'dma_map', device: 1, iova: 0x5000n });
    const unmap = add({ op: 'dma_unmap', device: 0, iova: 0x5000n });
    const again = add({ op: 'dma_map', device: 0, iova: 0x5000n });
    expect([map, elsewhere, otherDevice, unmap, again].map((node) => node.pending)).toEqual([0, 0, 0, 1, 1]);
    expect(complete(map)).toEqual([unmap]);
    expect(complete(unmap)).toEqual([again]);
  });

  test('when one creates what the other uses, and when one destroys what others use', () => {
    const { add, complete } = adder();
    const create = add({ op: 'IOMMU_IOAS_ALLOC', context: 0, recordedObject: 4 });
    const mapA = add({ op: 'IOMMU_IOAS_MAP', context: 0, object: 4, iova: 0x1000n });
    const mapB = add({ op: 'IOMMU_IOAS_MAP', context: 0, object: 4, iova: 0x2000n });
    const otherContext = add({ op: 'IOMMU_IOAS_MAP', context: 1, object: 4, iova: 0x1000n });
    const destroy = add({ op: 'IOMMU_DESTROY', context: 0, object: 4 });
    expect([create, mapA, mapB, otherContext, destroy].map((node) => node.pending)).toEqual([0, 1, 1, 0, 2]);
    expect(complete(create)).toEqual([mapA, mapB]);
    expect(complete(mapB)).toEqual([]);
    expect(complete(mapA)).toEqual([destroy]);
  });

  test('when a device changes hands: attach waits for DMA-API calls under way and holds back later ones', () => {
    const { add, complete } = adder();
    const map = add({ op: 'dma_map', device: 2, iova: 0x1000n });
    const attach = add({ op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', device: 2, context: 0 });
    const later = add({ op: 'dma_map', device: 2, iova: 0x9000n });
    expect([attach.pending, later.pending]).toEqual([1, 1]);
    expect(complete(map)).toEqual([attach]);
    expect(complete(attach)).toEqual([later]);
  });

  test('not at all when they only use the same things', () => {
    const { add } = adder();
    add({ op: 'open_iommufd', context: 0 });
    const { add: addLater } = adder();
    const a = addLater({ op: 'IOMMU_IOAS_MAP', context: 0, object: 4, iova: 0x1000n });
    const b = addLater({ op: 'IOMMU_IOAS_MAP', context: 0, object: 4, iova: 0x2000n });
    expect([a.pending, b.pending]).toEqual([0, 0]);
  });

  test('a node that was complete can be used again', () => {
    const { add, complete } = adder();
    const first = add({ cpu: 1 });
    complete(first);
    const second = add({ cpu: 1 });
    expect(second.pending).toBe(0);
    expect(first.waiters).toEqual([]);
  });
});
