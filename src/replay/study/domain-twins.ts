/**
 * Injected switches of page tables: a RID or PASID goes to a twin of its domain and back. A twin has the same tables under
 * another domain id, so that every mapping stays in force; it works with whatever put the domain there, DMA API included.
 */
import type { IntelDriver } from '../../stack/drivers/intel/driver.ts';
import { isTableDomain, type TableDomain } from '../../stack/drivers/intel/table-domain.ts';
import { setGroupDomain } from '../../stack/iommu/attach.ts';
import type { IommuDomain } from '../../stack/iommu/ops.ts';
import type { Kernel } from '../../stack/kernel/kernel.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import type { MachineDevice } from '../machine-devices.ts';
import type { InjectedMoves } from './injected-moves.ts';

/** What moves work on. */
export interface DomainTwinParts {
  readonly kernel: Kernel;
  readonly driver: IntelDriver;
  readonly deviceAt: (device: number) => MachineDevice | undefined;
  readonly withPasid: boolean;
  /** Detach and attach, [ns] apart; undefined = replace. */
  readonly gapNs: number | undefined;
}

/** Moves RIDs or PASIDs. */
export class DomainTwins implements InjectedMoves {
  readonly kind = 'injected';
  readonly #parts: DomainTwinParts;
  readonly #twins = new Map<IommuDomain, TableDomain>();

  constructor(parts: DomainTwinParts) {
    this.#parts = parts;
  }

  canMove(device: number, pasid: number): boolean {
    return pasid > 0 === this.#parts.withPasid && isTableDomain(this.#domainOf(device, pasid));
  }

  /** Takes the group's lock: what the switch finds is what whoever held it has left. */
  *prepare(device: number, pasid: number): KernelTask<boolean> {
    const machine = this.#parts.deviceAt(device);
    if (machine === undefined) return false;
    const { mutex } = machine.group;
    if (!mutex.tryAcquire()) yield mutex.queue;
    if (this.canMove(device, pasid)) return true;
    mutex.release();
    return false;
  }

  *move(device: number, pasid: number): KernelTask<number> {
    const { driver, kernel, deviceAt, gapNs } = this.#parts;
    const machine = deviceAt(device) as MachineDevice;
    const domain = this.#domainOf(device, pasid) as TableDomain;
    let twin = this.#twins.get(domain);
    if (twin === undefined) {
      twin = driver.twinOf(domain, driver.info(machine.device).unit);
      this.#twins.set(domain, twin);
      this.#twins.set(twin, domain);
    }
    try {
      if (gapNs !== undefined) {
        yield* this.#setDomain(machine, pasid, driver.blockedDomain, domain);
        // Two calls from user space.
        const between = 2 * kernel.costs.ioctl + gapNs * 1000;
        if (between > 0) yield between;
        return yield* this.#setDomain(machine, pasid, twin, driver.blockedDomain);
      }
      if (kernel.costs.ioctl > 0) yield kernel.costs.ioctl;
      return yield* this.#setDomain(machine, pasid, twin, domain);
    } finally {
      machine.group.mutex.release();
    }
  }

  *#setDomain(machine: MachineDevice, pasid: number, domain: IommuDomain, old: IommuDomain): KernelTask<number> {
    const { group, device } = machine;
    if (pasid === 0) return yield* setGroupDomain(group, domain);
    const error = yield* device.driver.setPasid(device, pasid as never, domain, old);
    const slot = group.pasids.get(pasid);
    if (error === 0 && slot !== undefined) group.pasids.set(pasid, { ...slot, domain });
    return error;
  }

  #domainOf(device: number, pasid: number): IommuDomain | undefined {
    const machine = this.#parts.deviceAt(device);
    if (machine === undefined) return undefined;
    const info = this.#parts.driver.info(machine.device);
    return pasid === 0 ? info.domain : info.pasids.get(pasid)?.domain;
  }
}
