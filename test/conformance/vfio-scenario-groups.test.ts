// Scenarios on group files and containers (Linux drivers/vfio/{group,container}.c), numbered as in docs/spec-map-vfio.md.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/errno.ts';
import { FileReferences } from '../../src/stack/kernel/file-references.ts';
import { BUFFER } from '../support/container-bench.ts';
import { VfioSystem } from '../support/vfio-system.ts';

const VIABLE = 1;

function setup(options?: ConstructorParameters<typeof VfioSystem>[0]) {
  const system = new VfioSystem(options);
  return { system, bench: system.bench };
}

describe('group files', () => {
  it('1: opening a group twice gives EBUSY', () => {
    const { system, bench } = setup();
    const device = bench.device();
    expect(system.openGroup(device)).toBeGreaterThanOrEqual(0);
    expect(system.openGroup(device)).toBe(-Errno.EBUSY);
  });

  it('2: GET_STATUS on a free group says viable', () => {
    const { system, bench } = setup();
    expect(bench.status(system.openGroup(bench.device()))).toBe(VIABLE);
  });

  it('3: GET_STATUS with a kernel driver in the group succeeds without flags', () => {
    const { system, bench } = setup();
    const device = bench.device();
    system.bindKernelDriver(device);
    expect(bench.status(system.openGroup(device))).toBe(0);
  });

  it('4: SET_CONTAINER with a file of another kind is EBADFD', () => {
    const { system, bench } = setup();
    function* nothing() {}
    const other = bench.process.files.install({ file: new FileReferences(nothing) });
    expect(bench.setContainer(system.openGroup(bench.device()), other)).toBe(-Errno.EBADFD);
  });

  it('5: SET_CONTAINER twice is EINVAL', () => {
    const { system, bench } = setup();
    const group = system.openGroup(bench.device());
    expect(bench.setContainer(group, bench.openContainer())).toBe(0);
    expect(bench.setContainer(group, bench.openContainer())).toBe(-Errno.EINVAL);
    expect(bench.setContainer(group, bench.openIommufd())).toBe(-Errno.EINVAL);
  });

  it('8: GET_DEVICE_FD before SET_IOMMU is EINVAL', () => {
    const { system, bench } = setup();
    const device = bench.device();
    const group = system.openGroup(device);
    bench.setContainer(group, bench.openContainer());
    expect(bench.deviceFd(group, device.name)).toBe(-Errno.EINVAL);
    expect(device.openCount).toBe(0);
  });

  it('9: GET_DEVICE_FD with an unknown name is ENODEV', () => {
    const { system, bench } = setup();
    expect(bench.deviceFd(bench.enter(bench.device()).group, 'no-such-device')).toBe(-Errno.ENODEV);
    expect(bench.deviceFd(system.openGroup(bench.device()), 'no-such-device')).toBe(-Errno.ENODEV);
  });

  it('10: UNSET_CONTAINER with an open device is EBUSY in a container and 0 with an iommufd', () => {
    const { system, bench } = setup();
    const contained = system.opened(bench.device());
    expect(bench.unsetContainer(contained.group)).toBe(-Errno.EBUSY);
    const device = bench.device();
    const iommufd = system.opened(device, 'iommufd');
    expect(bench.unsetContainer(iommufd.group)).toBe(0);
    expect(device.openCount).toBe(1);
    expect(bench.deviceFd(iommufd.group, device.name)).toBe(-Errno.EINVAL);
  });
});

describe('containers', () => {
  it('6: SET_IOMMU on an empty container is EINVAL', () => {
    const { bench } = setup();
    expect(bench.setIommu(bench.openContainer())).toBe(-Errno.EINVAL);
  });

  it('7: SET_IOMMU of an unknown type with a group is ENODEV', () => {
    const { system, bench } = setup();
    const container = bench.openContainer();
    bench.setContainer(system.openGroup(bench.device()), container);
    expect(bench.setIommu(container, 99)).toBe(-Errno.ENODEV);
    expect(bench.setIommu(container, 3)).toBe(0);
  });

  it('25: two groups of one kind share a domain, and the second attach goes alloc, attach, detach, attach, free', () => {
    const { system, bench } = setup();
    const { container } = bench.enter(bench.device());
    const second = bench.device();
    const group = system.openGroup(second);
    bench.driver.take();
    expect(bench.setContainer(group, container)).toBe(0);
    const { name } = second;
    expect(bench.driver.take()).toEqual([
      `attach ${name} blocked`,
      'alloc B',
      `attach ${name} B`,
      `attach ${name} blocked`,
      `attach ${name} A`,
      'free B',
    ]);
    expect(bench.type1(container).domains).toHaveLength(1);
  });

  it('26: a second group of other coherency gets a domain of its own with every mapping', () => {
    const { system, bench } = setup();
    const { container } = bench.enter(bench.device({ coherent: true }));
    bench.map(container, 0x10_0000n, BUFFER, 0x3000n);
    bench.map(container, 0x20_0000n, BUFFER + 0x8000n, 0x1000n);
    expect(bench.setContainer(system.openGroup(bench.device({ coherent: false })), container)).toBe(0);
    expect(bench.type1(container).domains).toHaveLength(2);
    const [first, second] = bench.driver.domains;
    expect(second?.pages.size).toBe(4);
    expect([...(second?.pages ?? [])].sort()).toEqual([...(first?.pages ?? [])].sort());
  });

  it('27: a second group whose reserved region meets a mapping is EINVAL, and the first is untouched', () => {
    const { system, bench } = setup();
    const { container } = bench.enter(bench.device());
    bench.map(container, 0x10_0000n, BUFFER, 0x1000n);
    const ranges = bench.type1(container).iovaList.nodes.length;
    const region = { start: 0x10_0000n, last: 0x10_0fffn, type: 'reserved' } as const;
    const other = bench.device({ regions: [region] });
    expect(bench.setContainer(system.openGroup(other), container)).toBe(-Errno.EINVAL);
    expect(other.group.iommuGroup?.ownerCount).toBe(0);
    expect(bench.driver.domains[0]?.pages.size).toBe(1);
    expect(bench.type1(container).iovaList.nodes).toHaveLength(ranges);
  });
});

describe('without an IOMMU', () => {
  it('47: the device has no node, and its group has a marked one', async () => {
    const { deviceNode, groupNode } = await import('../../src/stack/vfio/node-names.ts');
    const { system, bench } = setup({ enableUnsafeNoIommu: true });
    const device = bench.noIommuDevice();
    expect(system.openNode(device)).toBe(-Errno.ENOENT);
    expect(deviceNode(device, bench.profile)).toBeUndefined();
    expect(groupNode(device.group)).toBe(`/dev/vfio/noiommu-${device.group.id}`);
  });
});
