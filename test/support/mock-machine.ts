/** A kernel with self-test devices and one iommufd context: the smallest machine that attaches page tables. */
import { MockDevice } from '../../src/stack/drivers/mock/mock-device.ts';
import { MockDriver } from '../../src/stack/drivers/mock/mock-driver.ts';
import { mockFeatures } from '../../src/stack/drivers/mock/mock-features.ts';
import { setupDefaultDomain } from '../../src/stack/iommu/default-domain.ts';
import { IommuGroup, iommuGroupRules } from '../../src/stack/iommu/group.ts';
import { IommufdContext } from '../../src/stack/iommufd/context.ts';
import { bindDevice, type IommufdDevice } from '../../src/stack/iommufd/device.ts';
import { allocHwpt } from '../../src/stack/iommufd/hwpt-alloc.ts';
import { allocIoas } from '../../src/stack/iommufd/ioas-commands.ts';
import { iommufdProfile } from '../../src/stack/iommufd/profile.ts';
import type { CallObserver } from '../../src/stack/kernel/call-observer.ts';
import { Kernel } from '../../src/stack/kernel/kernel.ts';
import type { KernelVersion } from '../../src/stack/kernel/profile.ts';
import { KERNEL_PROFILES } from '../../src/stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../src/stack/profiles/schema.ts';

const PROFILE_OF: Readonly<Record<string, string>> = { L612: 'v6.12', L615: 'v6.15', L73: 'v7.3' };

/** A booted kernel of that version. */
export function bootKernel(version: KernelVersion, observer?: CallObserver): Kernel {
  const source = KERNEL_PROFILES[PROFILE_OF[version] ?? 'v7.3'];
  if (source === undefined) throw new Error(`no profile for ${version}`);
  return new Kernel(resolveKernelProfile(source).profile, undefined, observer);
}

/** A machine whose devices are the kernel's self-test mocks. */
export class MockMachine {
  readonly version: KernelVersion;
  readonly kernel: Kernel;
  readonly driver: MockDriver;
  readonly context: IommufdContext;
  readonly #groups = new Map<MockDevice, IommuGroup>();
  #groupId = 0;

  constructor(version: KernelVersion = 'L73') {
    this.version = version;
    this.kernel = bootKernel(version);
    this.driver = new MockDriver(mockFeatures(version));
    this.context = this.newContext();
  }

  newContext(): IommufdContext {
    return new IommufdContext(this.kernel, iommufdProfile(this.version, true));
  }

  /** A group with one device for each flags word, on its default domain. */
  group(...flags: number[]): { readonly group: IommuGroup; readonly devices: MockDevice[] } {
    const group = new IommuGroup(this.#groupId++, iommuGroupRules(this.version), this.kernel.timeline);
    const devices = flags.map((each, index) => new MockDevice(`mock${group.id}.${index}`, this.driver, each));
    for (const device of devices) {
      group.add(device);
      this.#groups.set(device, group);
    }
    this.kernel.run(setupDefaultDomain(group, 'blocked'));
    return { group, devices };
  }

  /** Binds a device to a context; throws on errno. */
  bind(device: MockDevice, context: IommufdContext = this.context): IommufdDevice {
    const bound = this.tryBind(device, context);
    if (typeof bound === 'number') throw new Error(`bind failed with ${bound}`);
    return bound;
  }

  tryBind(device: MockDevice, context: IommufdContext = this.context): IommufdDevice | number {
    const group = this.#groups.get(device);
    return this.kernel.run(bindDevice(context, device, group, { allowUnsafeInterrupts: false, holdsFile: false }));
  }

  /** One bound device alone in its group. */
  device(flags = 0): IommufdDevice {
    const device = this.group(flags).devices[0] as MockDevice;
    return this.bind(device);
  }

  /** Id of a new IOAS. */
  ioas(context: IommufdContext = this.context): number {
    const command = { flags: 0, outIoasId: 0 };
    const error = this.kernel.run(allocIoas(context, command));
    if (error !== 0) throw new Error(`IOAS_ALLOC failed with ${error}`);
    return command.outIoasId;
  }

  /** Id of a new HWPT, or errno. */
  hwpt(device: IommufdDevice, ptId: number, flags = 0, options: { dataWord?: number; faultId?: number } = {}): number {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, options.dataWord ?? 0, true);
    const hasData = options.dataWord !== undefined;
    const command = {
      flags,
      reserved: 0,
      devId: device.id,
      ptId,
      data: { type: hasData ? 0xdead : 0, lengthBytes: hasData ? 4 : 0, bytes: hasData ? bytes : undefined },
      faultId: options.faultId ?? 0,
      outHwptId: 0,
    };
    const error = this.kernel.run(allocHwpt(device.context, command));
    return error === 0 ? command.outHwptId : error;
  }

  /** IOMMU_DESTROY. */
  destroy(id: number, context: IommufdContext = this.context): number {
    return this.kernel.run(context.objects.destroyId(id));
  }
}
