// Scenarios on mediated devices, KVM and auxiliary domains (Linux drivers/vfio/vfio_main.c, virt/kvm/vfio.c; 5.2 .. 5.15
// drivers/vfio/vfio_iommu_type1.c), numbered as in docs/spec-map-vfio.md.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/errno.ts';
import { type AuxDevice, AuxDomains } from '../../src/stack/iommu/aux-domain.ts';
import { KvmVfio, KvmVfioAttribute, KvmVfioGroup, VirtualMachine } from '../../src/stack/vfio/kvm.ts';
import { dmaReadWrite, pinPages, unpinPages } from '../../src/stack/vfio/pin-pages.ts';
import { LEGACY_5_10_PROFILE } from '../../src/stack/vfio/profile.ts';
import type { MediatedRule } from '../../src/stack/vfio/type1/mediated-target.ts';
import { BUFFER } from '../support/container-bench.ts';
import { STRUCT, VfioSystem } from '../support/vfio-system.ts';

const PAGE = 0x1000n;
const IOVA = 0x10_0000n;
const [READ, WRITE] = [1, 2];
const EVERYTHING = '0 ffffffffffffffff';

describe('mediated devices through their nodes', () => {
  it('36: a replace with pins held asks for all of them, then pins go through the new IOAS', () => {
    const system = new VfioSystem();
    const { bench } = system;
    const { device, driver } = bench.emulated();
    const { fd, iommufd } = system.bound(device);
    const [first, second] = [system.ioas(iommufd), system.ioas(iommufd)];
    system.ioasMap(iommufd, first, IOVA, BUFFER, PAGE);
    system.ioasMap(iommufd, second, IOVA, BUFFER + 8n * PAGE, PAGE);
    system.attach(fd, first);
    const pfns: number[] = [];
    expect(bench.run(pinPages(device, IOVA, 1, READ, pfns))).toBe(1);
    driver.onUnmap = () => unpinPages(device, IOVA, 1);
    expect(system.attach(fd, second)).toBe(second);
    expect(driver.unmaps).toEqual([EVERYTHING]);
    expect(bench.pins(BUFFER)).toBe(0);
    const moved: number[] = [];
    expect(bench.run(pinPages(device, IOVA, 1, READ, moved))).toBe(1);
    expect(moved).toEqual([bench.process.memory.frameAt(BUFFER + 8n * PAGE, false)]);
  });

  it('43: dma_rw to a write-only mapping is EPERM in type1 and 0 with an iommufd', () => {
    const system = new VfioSystem();
    const { bench } = system;
    const { device } = bench.emulated();
    const { container } = system.opened(device);
    bench.map(container, IOVA, BUFFER, PAGE, WRITE);
    const write = () => bench.run(dmaReadWrite(device, bench.process, IOVA, Uint8Array.of(7), true));
    expect(write()).toBe(-Errno.EPERM);
    const other = new VfioSystem();
    const emulated = other.bench.emulated().device;
    const compat = other.opened(emulated, 'iommufd');
    other.bench.map(compat.container, IOVA, BUFFER, PAGE, WRITE);
    const { bench: second } = other;
    expect(second.run(dmaReadWrite(emulated, second.process, IOVA, Uint8Array.of(7), true))).toBe(0);
    expect(second.process.memory.read(BUFFER, 1)).toEqual(Uint8Array.of(7));
  });
});

describe('KVM', () => {
  function kvm(system: VfioSystem) {
    const vm = new VirtualMachine();
    const made = vm.createVfioDevice();
    if (!(made instanceof KvmVfio)) throw new Error('no device');
    const add = (fd: number): number => {
      system.process.memory.write(STRUCT, new Uint8Array(Int32Array.of(fd).buffer));
      return system.bench.run(made.setAttribute(system.process, KvmVfioGroup.file, KvmVfioAttribute.fileAdd, STRUCT));
    };
    return { vm, add };
  }

  it('40: FILE_ADD of a file twice is EEXIST, also by another descriptor', () => {
    const system = new VfioSystem();
    const { add, vm } = kvm(system);
    const fd = system.openNode(system.bench.device());
    expect(add(fd)).toBe(0);
    expect(add(fd)).toBe(-Errno.EEXIST);
    expect(add(system.process.files.duplicate(fd))).toBe(-Errno.EEXIST);
    expect(vm.assignedDeviceCount).toBe(1);
  });

  it('41: FILE_ADD of the group of a mediated device counts non-coherent DMA', () => {
    const system = new VfioSystem();
    const { add, vm } = kvm(system);
    expect(add(system.openGroup(system.bench.device()))).toBe(0);
    expect(vm.noncoherentDmaCount).toBe(0);
    expect(add(system.openGroup(system.bench.emulated().device))).toBe(0);
    expect(vm.noncoherentDmaCount).toBe(1);
  });
});

describe('auxiliary domains', () => {
  function setup(rule: MediatedRule) {
    const aux = new AuxDomains(16);
    const system = new VfioSystem({ profile: LEGACY_5_10_PROFILE, type1: { mediated: { rule, aux, leftovers: [] } } });
    const { bench } = system;
    const parent = (): AuxDevice => {
      const { hardware, group } = bench.device();
      const capability = { scalableWithPasid: false, pasidUsable: false, siov: false };
      return {
        device: hardware as AuxDevice['device'],
        group: group.iommuGroup as AuxDevice['group'],
        capability,
      };
    };
    const enter = (...parents: AuxDevice[]) => {
      const { device } = bench.emulated();
      device.group.mediated = parents.map((iommuDevice, index) => ({ name: `mdev${index}`, iommuDevice }));
      const container = bench.openContainer();
      bench.setContainer(system.openGroup(device), container);
      bench.driver.take();
      return { container, error: bench.setIommu(container) };
    };
    return { bench, parent, enter };
  }

  it('44: a device backed by a virtual function is attached whole; attaching only auxiliary domains is ENODEV', () => {
    const merged = setup('per-device');
    const vf = merged.parent();
    expect(merged.enter(vf).error).toBe(0);
    expect(merged.bench.driver.take()).toContain(`attach ${vf.device.name} A`);
    const rejected = setup('aux-group');
    expect(rejected.enter(rejected.parent()).error).toBe(-Errno.ENODEV);
  });

  it('45: a group of two on two parents counts as one that pins', () => {
    const { bench, parent, enter } = setup('per-device');
    const { container, error } = enter(parent(), parent());
    expect(error).toBe(0);
    expect(bench.type1(container).emulatedGroups).toHaveLength(1);
    expect(bench.type1(container).domains).toHaveLength(0);
  });
});
