/**
 * I/O page faults on their way from a driver to whoever attached the domain (Linux drivers/iommu/io-pgfault.c): partial
 * requests wait for the last of their group, the group goes to the handle of its PASID's attachment.
 */
import type { IommuGroup } from './group.ts';
import type { AttachHandle, IommuDevice, PageRequest, PageRequestGroup } from './ops.ts';

/** Faults of one device between enable and disable (struct iommu_fault_param). */
export class IopfDevice {
  readonly device: IommuDevice;
  readonly #group: IommuGroup;
  readonly #partial: PageRequest[] = [];

  constructor(device: IommuDevice, group: IommuGroup) {
    this.device = device;
    this.#group = group;
  }

  /**
   * iommu_report_device_fault: keeps a partial request, delivers the group with its last one. A group nobody handles
   * is answered INVALID at once.
   */
  report(request: PageRequest): void {
    if (!request.last) {
      this.#partial.push(request);
      return;
    }
    const requests: PageRequest[] = [];
    for (let i = 0; i < this.#partial.length; ) {
      const partial = this.#partial[i] as PageRequest;
      if (partial.groupId !== request.groupId) {
        i++;
        continue;
      }
      requests.push(partial);
      this.#partial.splice(i, 1);
    }
    requests.push(request);
    const handle = this.#handleOf(request);
    if (handle?.deliverFaults === undefined) {
      const orphan: PageRequestGroup = { device: this.device, requests, handle: handle ?? unhandled(this.device) };
      this.device.driver.respondToPageRequests?.(orphan, 'invalid');
      return;
    }
    handle.deliverFaults({ device: this.device, requests, handle });
  }

  /** Faults are switched off: partial requests are forgotten (iopf_queue_remove_device). */
  discardPartial(): void {
    this.#partial.length = 0;
  }

  #handleOf(request: PageRequest): AttachHandle | undefined {
    const attachment = this.#group.pasids.get(request.pasid ?? 0);
    return attachment?.domain.faultCapable === true ? attachment.handle : undefined;
  }
}

function unhandled(device: IommuDevice): AttachHandle {
  return { domain: device.driver.blockedDomain };
}
