/**
 * A device registered with VFIO and the callbacks of its driver (struct vfio_device, struct vfio_device_ops). Source:
 * Linux drivers/vfio/vfio.h and include/linux/vfio.h.
 */
import type { Pasid } from '../../address.ts';
import type { Tick } from '../../units.ts';
import type { IommuGroup } from '../iommu/group.ts';
import type { IommuDevice } from '../iommu/ops.ts';
import type { Access } from '../iommufd/access.ts';
import type { PageTableChange } from '../iommufd/auto-domain.ts';
import type { IommufdContext } from '../iommufd/context.ts';
import type { IommufdDevice } from '../iommufd/device.ts';
import type { Condition, KernelTask } from '../kernel/task.ts';
import type { DeviceInformation } from './device-info.ts';
import type { DeviceSet } from './device-set.ts';
import type { DmaLogging } from './dma-logging.ts';
import type { MigrationDevice } from './features.ts';
import type { VfioGroup } from './group-state.ts';
import type { AffectedFunction } from './hot-reset.ts';
import type { LowPower } from './low-power.ts';
import type { TokenState } from './vf-token.ts';

/** What a VFIO driver does for its devices. A result number is 0 or positive on success, else a negative errno. */
export interface VfioDriver {
  readonly name: string;
  /** Binds to an iommufd; the object id user space sees, or errno. */
  bindIommufd(device: VfioDevice, context: IommufdContext): KernelTask<number>;
  unbindIommufd(device: VfioDevice): KernelTask<void>;
  /** Attach, or replace when attached. */
  attachIoas(device: VfioDevice, pageTableId: number): KernelTask<PageTableChange>;
  detachIoas(device: VfioDevice): KernelTask<void>;
  /** Present only in plain vfio-pci. */
  readonly pasid?: VfioPasidOps;
  /** The device is being unregistered while open: tell its user. */
  request?(device: VfioDevice): void;
  openDevice?(device: VfioDevice): KernelTask<number>;
  closeDevice?(device: VfioDevice): KernelTask<void>;
  /** Migration support and state. */
  readonly migration?: MigrationDevice;
  /** Dirty logging by the device. */
  readonly logging?: DmaLogging;
  /** Low power on demand. */
  readonly lowPower?: LowPower;
  /** Token of a PF whose VFs may be opened only with it. */
  readonly ownTokens?: TokenState | undefined;
  /** What GET_INFO and its siblings show. */
  readonly information?: DeviceInformation;
  /** Is this device meant by the string of GET_DEVICE_FD: 1, 0 or errno. Absent: the string is the device's name. */
  matchName?(device: VfioDevice, text: string): number;
  /** VF token check; `undefined` = none given. Absent: the driver has no tokens. */
  matchToken?(device: VfioDevice, token: Uint8Array | undefined): number;
  /** Functions that a slot or bus reset of this one takes along, in bus order; undefined or absent = no such reset. */
  resetScope?(): readonly AffectedFunction[] | undefined;
  /** Emulated devices that pin: unpin everything in the range before returning. */
  dmaUnmap?(device: VfioDevice, iova: bigint, lengthBytes: bigint): KernelTask<void>;
}

/** Attaching per PASID. */
export interface VfioPasidOps {
  attach(device: VfioDevice, pasid: Pasid, pageTableId: number): KernelTask<PageTableChange>;
  detach(device: VfioDevice, pasid: Pasid): KernelTask<void>;
}

/** What a device is made of. */
export interface VfioDeviceParts {
  readonly name: string;
  readonly driver: VfioDriver;
  /** The device behind an IOMMU; undefined for emulated devices and for devices without IOMMU. */
  readonly hardware: IommuDevice | undefined;
  readonly iommuGroup: IommuGroup | undefined;
}

/** A registered device. */
export class VfioDevice {
  readonly name: string;
  readonly driver: VfioDriver;
  readonly hardware: IommuDevice | undefined;
  readonly group: VfioGroup;
  readonly set: DeviceSet;
  /** The N of vfioN: lowest number free at registration. */
  readonly index: number;
  /** Cleared when unregistration begins: no new opens. */
  registered = true;
  /** Open files, with access or not: each keeps the device registered. */
  fileCount = 0;
  /** Ready when the last file is gone. */
  readonly filesGone: Condition;
  readonly #waiters: ((atTick: Tick) => void)[] = [];
  /** Successful opens; a bound device node counts one. */
  openCount = 0;
  cdevOpened = false;
  /** VM of the opener, taken at the first open. */
  vm: object | undefined;
  /** Physical device bound to an iommufd. */
  iommufdDevice: IommufdDevice | undefined;
  /** Emulated device bound to an iommufd. */
  iommufdAccess: Access | undefined;
  /** Attached without PASID, as VFIO remembers it. */
  iommufdAttached = false;
  /** PASIDs attached, as VFIO remembers them. */
  readonly pasids = new Set<Pasid>();

  constructor(parts: VfioDeviceParts, group: VfioGroup, set: DeviceSet, index: number) {
    this.name = parts.name;
    this.driver = parts.driver;
    this.hardware = parts.hardware;
    this.group = group;
    this.set = set;
    this.index = index;
    this.filesGone = { ready: false, park: (resume) => void this.#waiters.push(resume) };
  }

  /** An open file is gone. */
  putFile(): void {
    this.fileCount--;
    if (this.fileCount === 0) for (const resume of this.#waiters.splice(0)) resume(this.group.timeline.now);
  }

  /** Registered without an IOMMU: fixed at registration. */
  get isNoIommu(): boolean {
    return this.group.type === 'no-iommu';
  }
}
