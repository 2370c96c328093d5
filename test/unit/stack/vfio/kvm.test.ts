// KVM's list of VFIO files: Linux virt/kvm/vfio.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { openCdev } from '../../../../src/stack/vfio/cdev.ts';
import type { VfioDevice } from '../../../../src/stack/vfio/device.ts';
import type { VfioDeviceFile } from '../../../../src/stack/vfio/device-file.ts';
import type { VfioGroupFile } from '../../../../src/stack/vfio/group-file.ts';
import {
  enforcesCoherency,
  fileHasDevice,
  isVfioFile,
  KvmVfio,
  VirtualMachine,
} from '../../../../src/stack/vfio/kvm.ts';
import { ContainerBench } from '../../../support/container-bench.ts';

const FILE = 1;
const [ADD, DEL] = [1, 2];
const SCRATCH = 0x7ffc_0000_0000n;

let bench: ContainerBench;
let vm: VirtualMachine;
let kvm: KvmVfio;

const set = (attribute: number, fd: number, group = FILE): number => {
  bench.process.memory.write(SCRATCH, new Uint8Array(Int32Array.of(fd).buffer));
  return bench.run(kvm.setAttribute(bench.process, group, attribute, SCRATCH));
};
const openNode = (device: VfioDevice): number => bench.process.files.install(openCdev(device) as VfioDeviceFile);

beforeEach(() => {
  bench = new ContainerBench();
  vm = new VirtualMachine();
  kvm = vm.createVfioDevice() as KvmVfio;
});

describe('the VFIO device of a VM', () => {
  it('exists once', () => {
    expect(vm.createVfioDevice()).toBe(-Errno.EBUSY);
    bench.run(kvm.release());
    expect(vm.createVfioDevice()).toBeInstanceOf(KvmVfio);
  });

  it('takes group and device files, each once, by open file', () => {
    const fd = bench.openGroup(bench.device());
    expect(set(3, fd)).toBe(-Errno.ENXIO);
    expect(set(ADD, fd, 2)).toBe(-Errno.ENXIO);
    expect(bench.run(kvm.setAttribute(bench.process, FILE, ADD, 1n))).toBe(-Errno.EFAULT);
    expect(set(ADD, 99)).toBe(-Errno.EBADF);
    expect(set(ADD, bench.openContainer())).toBe(-Errno.EINVAL);
    expect(set(DEL, fd)).toBe(-Errno.ENOENT);
    expect(set(ADD, fd)).toBe(0);
    expect(set(ADD, fd)).toBe(-Errno.EEXIST);
    expect(set(ADD, bench.process.files.duplicate(fd))).toBe(-Errno.EEXIST);
    expect(vm.assignedDeviceCount).toBe(1);
    expect(set(DEL, fd)).toBe(0);
    expect(vm.assignedDeviceCount).toBe(0);
  });

  it('holds the files it lists', () => {
    const device = bench.device();
    const fd = bench.openGroup(device);
    set(ADD, fd);
    bench.close(fd);
    expect(device.group.openedFile).toBeDefined();
    bench.run(kvm.release());
    expect(device.group.openedFile).toBeUndefined();
  });

  it('hands the VM to a device at its first open only', () => {
    const device = bench.device();
    const { group } = bench.enter(device);
    const early = bench.deviceFd(group, device.name);
    set(ADD, group);
    expect(device.vm).toBeUndefined();
    bench.close(early);
    const late = bench.deviceFd(group, device.name);
    expect(device.vm).toBe(vm);
    bench.close(late);
    expect(device.vm).toBeUndefined();
    set(DEL, group);
    expect(device.group.vm).toBeUndefined();
  });

  it('counts one non-coherent source while some device could not enforce coherency', () => {
    const coherent = openNode(bench.device());
    const snooping = openNode(bench.device({ coherent: false }));
    const emulated = bench.openGroup(bench.emulated().device);
    set(ADD, coherent);
    expect(vm.noncoherentDmaCount).toBe(0);
    set(ADD, emulated);
    set(ADD, snooping);
    expect(vm.noncoherentDmaCount).toBe(1);
    set(DEL, emulated);
    expect(vm.noncoherentDmaCount).toBe(1);
    set(DEL, snooping);
    expect(vm.noncoherentDmaCount).toBe(0);
  });
});

describe('what KVM asks about files', () => {
  it('is answered for groups by all of their devices', () => {
    const [one, two] = bench.devices({}, { coherent: false }) as [VfioDevice, VfioDevice];
    const group = bench.process.files.get(bench.openGroup(one)) as VfioGroupFile;
    const container = bench.process.files.get(bench.openContainer()) as never;
    expect(enforcesCoherency(group)).toBe(false);
    expect(enforcesCoherency(openCdev(one) as VfioDeviceFile)).toBe(true);
    expect(enforcesCoherency(container)).toBe(true);
    expect(isVfioFile(container)).toBe(false);
    expect(fileHasDevice(group, two)).toBe(true);
    expect(fileHasDevice(group, bench.device())).toBe(false);
    expect(fileHasDevice(openCdev(one) as VfioDeviceFile, one)).toBe(false);
  });
});
