/** The handle iommufd gives the IOMMU core with each attachment (struct iommufd_attach_handle): routes its faults. */
import type { AttachHandle, IommuDomain, PageRequestGroup } from '../iommu/ops.ts';
import type { IommufdDevice } from './device.ts';
import type { Hwpt } from './hwpt.ts';

/** A fresh one is made by every attach and replace. */
export class DeviceAttachHandle implements AttachHandle {
  readonly device: IommufdDevice;
  readonly hwpt: Hwpt;
  readonly domain: IommuDomain;
  readonly deliverFaults: (group: PageRequestGroup) => void;

  constructor(device: IommufdDevice, hwpt: Hwpt) {
    this.device = device;
    this.hwpt = hwpt;
    this.domain = hwpt.domain;
    this.deliverFaults = (group) => hwpt.fault?.deliver(group);
  }
}
