/** What the driver keeps for one device (struct device_domain_info). */
import type { Pfn } from '../../../address.ts';
import { NO_ANSWER, type PciConfig, PciRegister } from '../../../hw/pci-function.ts';
import type { IommuGroup } from '../../iommu/group.ts';
import type { IopfDevice } from '../../iommu/iopf.ts';
import type { IommuDevice, IommuDomain, ReservedRegion } from '../../iommu/ops.ts';
import type { IntelUnit } from './intel-unit.ts';

/** What probing learns about a device beyond {@link IommuDevice}. */
export interface DeviceProbe {
  /** The device has the ATS capability and firmware allows it on its path. */
  readonly ats?: boolean;
  /** Invalidate queue depth of its ATS capability, 1 .. 32. */
  readonly invalidateQueueDepth?: number;
  /** [bits] Width of the PCI PASID capability; 0 = none. */
  readonly pasidBits?: number;
  /** Memory the firmware keeps mapped (RMRR). */
  readonly reserved?: readonly ReservedRegion[];
  /** The group it is in: where its page requests are delivered. Absent = nowhere. */
  readonly group?: IommuGroup | undefined;
  /** Configuration registers; absent = what firmware and capabilities say here is all there is. */
  readonly config?: PciConfig | undefined;
  /** Requester id of the physical function, for a virtual one. */
  readonly physicalFunction?: number;
}

/** A PASID in use on a device. */
export interface PasidUse {
  readonly domain: IommuDomain;
}

/** Driver state of one device. */
export interface DeviceInfo {
  readonly device: IommuDevice;
  readonly unit: IntelUnit;
  readonly atsSupported: boolean;
  readonly invalidateQueueDepth: number;
  readonly physicalFunctionId: number;
  readonly pasidBits: number;
  readonly reserved: readonly ReservedRegion[];
  readonly config: PciConfig | undefined;
  atsEnabled: boolean;
  /** Domain that the RID translates through; undefined while blocked. */
  domain: IommuDomain | undefined;
  /** Fault-capable attachments: while above 0, tearing an entry down drains page requests. */
  iopfUsers: number;
  /** Where its page requests go while {@link iopfUsers} is above 0. */
  iopf: IopfDevice | undefined;
  readonly group: IommuGroup | undefined;
  /** PASID directory, in scalable mode; its entry count as a power of two. */
  pasidDirectory: Pfn | undefined;
  pasidDirectoryBits: number;
  readonly pasids: Map<number, PasidUse>;
}

/** True unless a read of the device's configuration registers says that it is gone (pci_device_is_present). */
export function isPresent(info: DeviceInfo): boolean {
  return info.config === undefined || info.config.read(PciRegister.vendorId) !== NO_ANSWER;
}
