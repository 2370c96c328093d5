/**
 * All of VFIO's files as system calls: containers and groups of {@link ContainerBench}, device nodes, iommufd and KVM with
 * descriptors and structures in user memory. Results are 0 or positive, or a negative errno.
 */
import { useDefaultDomain } from '../../src/stack/iommu/dma-owner.ts';
import { allocHwpt } from '../../src/stack/iommufd/hwpt-alloc.ts';
import { allocIoas, ioasMap } from '../../src/stack/iommufd/ioas-commands.ts';
import { IommufdFile } from '../../src/stack/iommufd/iommufd-file.ts';
import { MapFlag } from '../../src/stack/iommufd/uapi.ts';
import type { OpenFile } from '../../src/stack/kernel/file-table.ts';
import type { Process } from '../../src/stack/kernel/process.ts';
import { openCdev } from '../../src/stack/vfio/cdev.ts';
import type { Container } from '../../src/stack/vfio/container.ts';
import type { VfioDevice } from '../../src/stack/vfio/device.ts';
import { VfioDeviceFile } from '../../src/stack/vfio/device-file.ts';
import { DeviceRequest, deviceIoctl } from '../../src/stack/vfio/device-ioctl.ts';
import type { VfioGroupFile } from '../../src/stack/vfio/group-file.ts';
import { deviceNode } from '../../src/stack/vfio/node-names.ts';
import { type BenchOptions, ContainerBench } from './container-bench.ts';

/** Where structures lie; what the bench writes itself is elsewhere. */
export const STRUCT = 0x7ffc_0000_8000n;
/** No memory there. */
export const NOWHERE = 0x1000n;

/** One machine and its user. */
export class VfioSystem {
  readonly bench: ContainerBench;
  process: Process;

  constructor(options: BenchOptions = {}) {
    this.bench = new ContainerBench(options);
    this.process = this.bench.process;
  }

  /** ioctl(2) on any descriptor. */
  ioctl(fd: number, request: number, argument: bigint = STRUCT): number {
    const { bench, process } = this;
    const file = process.files.get(fd) as OpenFile;
    if (file instanceof VfioDeviceFile) {
      return bench.run(deviceIoctl(bench.kernel, bench.profile, file, process, request, argument));
    }
    return bench.run((file as Container | VfioGroupFile | IommufdFile).ioctl(process, request, argument));
  }

  /** ioctl with a structure of 32-bit words. */
  call(fd: number, request: number, ...words: number[]): number {
    this.process.memory.write(STRUCT, new Uint8Array(Uint32Array.from(words).buffer));
    return this.ioctl(fd, request);
  }

  /** A word of the structure as the call left it. */
  word(index: number): number {
    const bytes = this.process.memory.read(STRUCT + BigInt(4 * index), 4) as Uint8Array;
    return new DataView(bytes.buffer).getInt32(0, true);
  }

  file<T extends OpenFile>(fd: number, kind: abstract new (...parameters: never[]) => T): T {
    return this.process.files.getAs(fd, kind) as T;
  }

  /** Descriptor of the device's node; -ENOENT (2) when it has none. */
  openNode(device: VfioDevice): number {
    if (deviceNode(device, this.bench.profile) === undefined) return -2;
    const file = openCdev(device);
    return typeof file === 'number' ? file : this.process.files.install(file);
  }

  openGroup(device: VfioDevice): number {
    return this.bench.openGroup(device, this.process);
  }

  openIommufd(): number {
    return this.bench.openIommufd(this.process);
  }

  /** Device id, or errno. */
  bind(fd: number, iommufd: number): number {
    const rc = this.call(fd, DeviceRequest.bindIommufd, 24, 0, iommufd, 0, 0, 0);
    return rc < 0 ? rc : this.word(3);
  }

  /** Page table in use, or errno. */
  attach(fd: number, ptId: number, pasid?: number): number {
    const rc = this.call(fd, DeviceRequest.attachIommufdPt, 16, pasid === undefined ? 0 : 1, ptId, pasid ?? 0);
    return rc < 0 ? rc : this.word(2);
  }

  detach(fd: number, pasid?: number): number {
    return this.call(fd, DeviceRequest.detachIommufdPt, 12, pasid === undefined ? 0 : 1, pasid ?? 0);
  }

  /** A device bound through its node. */
  bound(device: VfioDevice, iommufd = this.openIommufd()) {
    const fd = this.openNode(device);
    const id = this.bind(fd, iommufd);
    if (id < 0) throw new Error(`bind failed with ${id}`);
    return { fd, iommufd, id };
  }

  ioas(iommufd: number): number {
    const command = { flags: 0, outIoasId: 0 };
    const rc = this.bench.run(allocIoas(this.file(iommufd, IommufdFile).context, command));
    return rc < 0 ? rc : command.outIoasId;
  }

  hwpt(iommufd: number, devId: number, ptId: number, flags = 0): number {
    const data = { type: 0, lengthBytes: 0, bytes: undefined };
    const command = { flags, reserved: 0, devId, ptId, data, faultId: 0, outHwptId: 0 };
    const rc = this.bench.run(allocHwpt(this.file(iommufd, IommufdFile).context, command));
    return rc < 0 ? rc : command.outHwptId;
  }

  ioasMap(iommufd: number, ioasId: number, iova: bigint, userVa: bigint, lengthBytes: bigint): number {
    const flags = MapFlag.fixedIova | MapFlag.readable | MapFlag.writeable;
    const command = { flags, reserved: 0, ioasId, userVa, lengthBytes, iova };
    return this.bench.run(ioasMap(this.file(iommufd, IommufdFile).context, this.process, command));
  }

  /** An ordinary kernel driver is bound to a further device of the group. */
  bindKernelDriver(device: VfioDevice): void {
    const rc = this.bench.run(useDefaultDomain(device.group.iommuGroup));
    if (rc !== 0) throw new Error(`driver did not bind: ${rc}`);
  }

  close(fd: number): number {
    return this.bench.close(fd, this.process);
  }

  /** A device opened by its group in a container or, `path` 'iommufd', in one of iommufd's making. */
  opened(device: VfioDevice, path: 'container' | 'iommufd' = 'container') {
    const container = path === 'container' ? this.bench.openContainer() : this.openIommufd();
    const group = this.openGroup(device);
    expectZero(this.bench.setContainer(group, container, this.process), 'SET_CONTAINER');
    if (path === 'container') expectZero(this.bench.setIommu(container, 3, this.process), 'SET_IOMMU');
    const fd = this.bench.deviceFd(group, device.name, this.process);
    if (fd < 0) throw new Error(`GET_DEVICE_FD failed with ${fd}`);
    return { group, container, fd };
  }
}

function expectZero(rc: number, what: string): void {
  if (rc !== 0) throw new Error(`${what} failed with ${rc}`);
}
