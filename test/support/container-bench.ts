/** Containers, groups and type1 over {@link TableDriver}: devices by traits, calls with plain arguments. */
import { setupDefaultDomain } from '../../src/stack/iommu/default-domain.ts';
import { IommuGroup, iommuGroupRules } from '../../src/stack/iommu/group.ts';
import { IommufdContext } from '../../src/stack/iommufd/context.ts';
import { IommufdFile } from '../../src/stack/iommufd/iommufd-file.ts';
import { iommufdProfile } from '../../src/stack/iommufd/profile.ts';
import { encodeStruct, type StructLayout, u32, u64 } from '../../src/stack/iommufd/user-struct.ts';
import { AddressSpace } from '../../src/stack/kernel/address-space.ts';
import type { CallObserver } from '../../src/stack/kernel/call-observer.ts';
import type { Kernel } from '../../src/stack/kernel/kernel.ts';
import { PageFrames } from '../../src/stack/kernel/page-frames.ts';
import { Process, UserAccount } from '../../src/stack/kernel/process.ts';
import type { KernelVersion } from '../../src/stack/kernel/profile.ts';
import type { KernelTask } from '../../src/stack/kernel/task.ts';
import { Container } from '../../src/stack/vfio/container.ts';
import type { BackendKind } from '../../src/stack/vfio/container-backend.ts';
import type { VfioDevice, VfioDriver } from '../../src/stack/vfio/device.ts';
import { attachEmulated, bindEmulated, detachEmulated, unbindEmulated } from '../../src/stack/vfio/emulated.ts';
import { openGroup, type VfioGroupFile } from '../../src/stack/vfio/group-file.ts';
import { noIommuBackend } from '../../src/stack/vfio/noiommu-backend.ts';
import { STANDARD_VFIO_BUILD, type VfioProfile, vfioProfile } from '../../src/stack/vfio/profile.ts';
import { VfioRegistry } from '../../src/stack/vfio/registration.ts';
import { Type1Backend, type1Backend } from '../../src/stack/vfio/type1/backend.ts';
import { TYPE1_DEFAULTS, type Type1, type Type1Parameters } from '../../src/stack/vfio/type1/type1.ts';
import { VfioPciDriver } from '../../src/stack/vfio/vfio-pci.ts';
import { bootKernel } from './mock-machine.ts';
import { type TableDeviceTraits, TableDriver } from './table-driver.ts';

/** User memory of every process: 4 MiB here. */
export const BUFFER = 0x7f00_0000_0000n;
const BUFFER_BYTES = 0x40_0000n;
const SCRATCH = 0x7ffc_0000_0000n;

const MAP: StructLayout = { argsz: u32(0), flags: u32(4), vaddr: u64(8), iova: u64(16), length: u64(24) };
const UNMAP: StructLayout = { argsz: u32(0), flags: u32(4), iova: u64(8), length: u64(16) };
const DIRTY: StructLayout = {
  argsz: u32(0),
  flags: u32(4),
  iova: u64(8),
  length: u64(16),
  pageSize: u64(24),
  bytes: u64(32),
  data: u64(40),
};
const READ_WRITE = 3;
const INTX = { count: 1, flags: 7 };
const FUNCTION = { resettable: true, isPcie: true, hasVga: false, regions: [], irqs: [INTX] };

/** What is special about a bench. */
export interface BenchOptions {
  readonly version?: KernelVersion;
  readonly profile?: VfioProfile;
  readonly type1?: Partial<Type1Parameters>;
  readonly enableUnsafeNoIommu?: boolean;
  /** Told of the calls between rooms of the stack. */
  readonly observer?: CallObserver;
}

/** A driver of an emulated device that remembers what it pinned and gives it back when asked. */
export class PinningDriver implements VfioDriver {
  readonly name = 'pinning';
  readonly unmaps: string[] = [];
  onUnmap: ((iova: bigint, lengthBytes: bigint) => KernelTask<void>) | undefined;
  readonly bindIommufd = bindEmulated;
  readonly unbindIommufd = unbindEmulated;
  readonly attachIoas = attachEmulated;
  readonly detachIoas = detachEmulated;

  *dmaUnmap(_device: VfioDevice, iova: bigint, lengthBytes: bigint): KernelTask<void> {
    yield 0;
    this.unmaps.push(`${iova.toString(16)} ${lengthBytes.toString(16)}`);
    if (this.onUnmap !== undefined) yield* this.onUnmap(iova, lengthBytes);
  }
}

/** The bench. Results of calls are 0 or positive, or a negative errno. */
export class ContainerBench {
  readonly kernel: Kernel;
  readonly driver = new TableDriver();
  readonly profile: VfioProfile;
  readonly registry: VfioRegistry;
  readonly frames = new PageFrames();
  readonly user = new UserAccount();
  readonly process: Process;
  /** Slot or bus that devices registered from now on share; undefined = each is alone in its set. */
  resetKey: string | undefined;
  readonly #kinds: BackendKind[];
  readonly #version: KernelVersion;
  #groupId = 0;

  constructor(options: BenchOptions = {}) {
    this.#version = options.version ?? 'L612';
    this.kernel = bootKernel(this.#version, options.observer);
    this.profile = options.profile ?? vfioProfile(this.#version);
    const unsafe = options.enableUnsafeNoIommu ?? false;
    const build = { ...STANDARD_VFIO_BUILD, enableUnsafeNoIommu: unsafe };
    this.registry = new VfioRegistry(this.kernel, this.profile, build, () => 100 + this.#groupId++);
    const parameters = { ...TYPE1_DEFAULTS, ...options.type1 };
    this.#kinds = [type1Backend(this.kernel, this.profile, parameters), noIommuBackend(unsafe)];
    this.process = this.newProcess();
  }

  run<T>(task: KernelTask<T>): T {
    return this.kernel.run(task);
  }

  newProcess(): Process {
    const process = new Process('user', new AddressSpace(this.frames), this.user);
    this.run(process.memory.map(BUFFER, BUFFER_BYTES));
    this.run(process.memory.map(SCRATCH, 0x1_0000n));
    return process;
  }

  /** Registered devices of one new group on its default domain. */
  devices(...traits: TableDeviceTraits[]): VfioDevice[] {
    const group = new IommuGroup(
      this.#groupId++,
      iommuGroupRules(this.#version),
      this.kernel.timeline,
      this.kernel.observer,
    );
    const hardware = traits.map((each, index) => this.driver.device(`d${group.id}.${index}`, each));
    for (const device of hardware) group.add(device);
    this.run(setupDefaultDomain(group, 'identity'));
    this.driver.take();
    return hardware.map((device) => {
      const driver = new VfioPciDriver(FUNCTION, this.profile, this.registry.build);
      const parts = { name: device.name, driver, hardware: device, iommuGroup: group };
      return expectObject(this.registry.registerPhysical(parts, this.resetKey));
    });
  }

  device(traits: TableDeviceTraits = {}): VfioDevice {
    return this.devices(traits)[0] as VfioDevice;
  }

  /** A device without IOMMU. */
  noIommuDevice(): VfioDevice {
    const driver = new VfioPciDriver(FUNCTION, this.profile, this.registry.build);
    const parts = { name: 'bare', driver, hardware: undefined, iommuGroup: undefined };
    return expectObject(this.registry.registerPhysical(parts));
  }

  /** An emulated device and its driver. */
  emulated(): { readonly device: VfioDevice; readonly driver: PinningDriver } {
    const driver = new PinningDriver();
    const parts = { name: 'emulated', driver, hardware: undefined, iommuGroup: undefined };
    return { device: this.registry.registerEmulated(parts), driver };
  }

  /** Descriptor of a new container. */
  openContainer(process = this.process): number {
    return process.files.install(new Container(this.kernel, this.#kinds));
  }

  openIommufd(process = this.process): number {
    const context = new IommufdContext(this.kernel, iommufdProfile(this.#version));
    return process.files.install(new IommufdFile(context));
  }

  openGroup(device: VfioDevice, process = this.process): number {
    const file = this.run(openGroup(this.kernel, device.group, process));
    return typeof file === 'number' ? file : process.files.install(file);
  }

  /** ioctl on a container or group. */
  ioctl(fd: number, request: number, argument: bigint = SCRATCH, process = this.process): number {
    const file = process.files.get(fd) as Container | VfioGroupFile | IommufdFile;
    return this.run(file.ioctl(process, request, argument));
  }

  setContainer(group: number, container: number, process = this.process): number {
    this.#write(Int32Array.of(container), process);
    return this.ioctl(group, 0x3b68, SCRATCH, process);
  }

  unsetContainer(group: number, process = this.process): number {
    return this.ioctl(group, 0x3b69, 0n, process);
  }

  setIommu(container: number, type = 3, process = this.process): number {
    return this.ioctl(container, 0x3b66, BigInt(type), process);
  }

  checkExtension(container: number, extension: number): number {
    return this.ioctl(container, 0x3b65, BigInt(extension));
  }

  /** Flags, or errno. */
  status(group: number): number {
    this.#write(Uint32Array.of(8, 0));
    const rc = this.ioctl(group, 0x3b67);
    return rc < 0 ? rc : this.#view(8).getUint32(4, true);
  }

  deviceFd(group: number, name: string, process = this.process): number {
    process.memory.write(SCRATCH, new TextEncoder().encode(`${name}\0`));
    return this.ioctl(group, 0x3b6a, SCRATCH, process);
  }

  /** Group and container of one device, with the backend chosen. */
  enter(device: VfioDevice, type = 3): { readonly group: number; readonly container: number } {
    const container = this.openContainer();
    const group = this.openGroup(device);
    expectZero(this.setContainer(group, container));
    expectZero(this.setIommu(container, type));
    return { group, container };
  }

  map(fd: number, iova: bigint, vaddr: bigint, length: bigint, flags = READ_WRITE, process = this.process): number {
    this.#encode(MAP, { argsz: 32, flags, vaddr, iova, length }, 32, process);
    return this.ioctl(fd, 0x3b71, SCRATCH, process);
  }

  /** Bytes unmapped, or errno. */
  unmap(fd: number, iova: bigint, length: bigint, flags = 0): bigint | number {
    this.#encode(UNMAP, { argsz: 24, flags, iova, length }, 24);
    const rc = this.ioctl(fd, 0x3b72);
    return rc < 0 ? rc : this.#view(24).getBigUint64(16, true);
  }

  /** UNMAP_DMA that reads the dirty bits into user memory at `data`. */
  unmapDirty(fd: number, iova: bigint, length: bigint, pageSize: bigint, bytes: bigint, data: bigint): number {
    const layout = { ...UNMAP, pageSize: u64(24), bytes: u64(32), data: u64(40) };
    this.#encode(layout, { argsz: 48, flags: 1, iova, length, pageSize, bytes, data }, 48);
    return this.ioctl(fd, 0x3b72);
  }

  dirty(fd: number, flags: number, range: Readonly<Record<string, bigint>> = {}, argsz = 48): number {
    this.#encode(DIRTY, { argsz, flags, ...range }, 48);
    return this.ioctl(fd, 0x3b75);
  }

  close(fd: number, process = this.process): number {
    return this.run(process.files.close(fd));
  }

  /** The type1 instance behind a container. */
  type1(container: number): Type1 {
    const { backend } = this.process.files.get(container) as Container;
    if (!(backend instanceof Type1Backend)) throw new Error('no type1 backend');
    return backend.type1;
  }

  /** Pins of the frame behind a user address. */
  pins(vaddr: bigint, process = this.process): number {
    return this.frames.pinCount(process.memory.frameAt(vaddr, false) ?? 0);
  }

  #encode(
    layout: StructLayout,
    values: Readonly<Record<string, number | bigint>>,
    lengthBytes: number,
    process = this.process,
  ): void {
    const bytes = new Uint8Array(lengthBytes);
    encodeStruct(layout, values, bytes);
    process.memory.write(SCRATCH, bytes);
  }

  #write(words: Int32Array | Uint32Array, process = this.process): void {
    process.memory.write(SCRATCH, new Uint8Array(words.buffer as ArrayBuffer));
  }

  #view(lengthBytes: number): DataView {
    return new DataView((this.process.memory.read(SCRATCH, lengthBytes) as Uint8Array).buffer);
  }
}

function expectObject<T extends object>(made: T | number): T {
  if (typeof made === 'number') throw new Error(`registration failed with ${made}`);
  return made;
}

function expectZero(rc: number): void {
  if (rc !== 0) throw new Error(`call failed with ${rc}`);
}
