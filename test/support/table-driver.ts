/**
 * A driver of the IOMMU seam with plain page tables: translations in a map by page, every call on record, devices that
 * differ in what type1 looks at.
 */
import { Errno } from '../../src/errno.ts';
import {
  type HwInfo,
  type IommuCapability,
  type IommuDevice,
  type IommuDomain,
  type IommuDriver,
  IommuProt,
  type IotlbGather,
  type NestedDomain,
  type PagingDomain,
  type ReservedRegion,
} from '../../src/stack/iommu/ops.ts';
import type { KernelTask } from '../../src/stack/kernel/task.ts';

const PAGE = 4096n;

/** How a device of the driver differs from a plain one. */
export interface TableDeviceTraits {
  /** Domains made for it can enforce coherency. */
  readonly coherent?: boolean;
  readonly isolatedMsi?: boolean;
  readonly regions?: readonly ReservedRegion[];
  readonly apertureEnd?: bigint;
  readonly pageSizeBitmap?: bigint;
  /** Refuses domains that were made for other devices. */
  readonly exclusive?: boolean;
  /** PASIDs it can use; absent = none. */
  readonly maxPasids?: number;
}

/** A domain: frame numbers by page. */
export class TableDomain implements PagingDomain {
  readonly type = 'paging';
  readonly driver: TableDriver;
  readonly name: string;
  readonly madeFor: IommuDevice;
  readonly minPageSize = PAGE;
  readonly pageSizeBitmap: bigint;
  readonly apertureStart = 0n;
  readonly apertureEnd: bigint;
  readonly dirty = undefined;
  /** [4 KiB pages] Frame and permissions by IOVA page. */
  readonly pages = new Map<bigint, { readonly pfn: number; readonly prot: number }>();
  freed = false;
  /** The n-th map call from now fails with ENOMEM; 0 = none does. */
  failMapIn = 0;
  readonly #coherent: boolean;

  constructor(driver: TableDriver, name: string, device: IommuDevice, traits: TableDeviceTraits) {
    this.driver = driver;
    this.name = name;
    this.madeFor = device;
    this.pageSizeBitmap = traits.pageSizeBitmap ?? PAGE | (PAGE << 9n);
    this.apertureEnd = traits.apertureEnd ?? 0xffff_ffff_ffffn;
    this.#coherent = traits.coherent ?? true;
  }

  *map(iova: bigint, paddr: bigint, lengthBytes: bigint, prot: number): KernelTask<number> {
    yield 0;
    this.driver.calls.push(`map ${this.name} ${iova.toString(16)} ${lengthBytes.toString(16)}`);
    if (this.failMapIn > 0 && --this.failMapIn === 0) return -Errno.ENOMEM;
    for (let at = 0n; at < lengthBytes; at += PAGE) {
      const page = (iova + at) / PAGE;
      if (this.pages.has(page)) throw new Error(`${this.name}: page ${page.toString(16)} mapped twice`);
      this.pages.set(page, { pfn: Number((paddr + at) / PAGE), prot: prot & (IommuProt.read | IommuProt.write) });
    }
    return 0;
  }

  *unmap(iova: bigint, lengthBytes: bigint, _gather: IotlbGather): KernelTask<bigint> {
    yield 0;
    this.driver.calls.push(`unmap ${this.name} ${iova.toString(16)} ${lengthBytes.toString(16)}`);
    let done = 0n;
    while (done < lengthBytes && this.pages.delete((iova + done) / PAGE)) done += PAGE;
    return done;
  }

  *sync(): KernelTask<number> {
    yield 0;
    this.driver.calls.push(`sync ${this.name}`);
    return 0;
  }

  flushAll(): KernelTask<number> {
    return this.sync();
  }

  iovaToPhys(iova: bigint): bigint | undefined {
    const page = this.pages.get(iova / PAGE);
    return page === undefined ? undefined : BigInt(page.pfn) * PAGE + (iova % PAGE);
  }

  enforceCacheCoherency(): boolean {
    if (this.driver.recordsQueries) this.driver.calls.push(`enforce ${this.name}`);
    return this.#coherent;
  }

  *free(): KernelTask<number> {
    yield 0;
    this.driver.calls.push(`free ${this.name}`);
    this.freed = true;
    return 0;
  }
}

/** The driver. */
export class TableDriver implements IommuDriver {
  readonly name = 'table';
  readonly blockedDomain: IommuDomain = { type: 'blocked', driver: this };
  readonly identityDomain: IommuDomain = { type: 'identity', driver: this };
  readonly allocatesWithFlags = true;
  readonly viommu = undefined;
  /** `alloc A`, `attach d0 A`, `map A 1000 1000`, `free A` ... */
  readonly calls: string[] = [];
  readonly domains: TableDomain[] = [];
  /** Calls that change no translation are on record too. */
  recordsQueries = false;
  /** The next domain's map calls fail from that one on. */
  failNextMapIn = 0;
  readonly #traits = new Map<IommuDevice, TableDeviceTraits>();

  device(name: string, traits: TableDeviceTraits = {}): IommuDevice {
    const device: IommuDevice = {
      name,
      sourceIds: [0],
      unit: 'unit0',
      driver: this,
      maxPasids: traits.maxPasids ?? 0,
      isVirtualFunction: false,
      supportsPri: false,
      isolatedMsi: traits.isolatedMsi ?? true,
    };
    this.#traits.set(device, traits);
    return device;
  }

  /** Calls since the last question. */
  take(): string[] {
    return this.calls.splice(0);
  }

  capable(device: IommuDevice, capability: IommuCapability): boolean {
    if (capability === 'enforce-cache-coherency') return this.#of(device).coherent ?? true;
    return capability === 'cache-coherency';
  }

  reservedRegions(device: IommuDevice): readonly ReservedRegion[] {
    return this.#of(device).regions ?? [];
  }

  hwInfo(): HwInfo | number {
    return { type: 0, data: new Uint8Array(0) };
  }

  *allocPaging(device: IommuDevice): KernelTask<PagingDomain | number> {
    yield 0;
    const name = String.fromCharCode('A'.charCodeAt(0) + this.domains.length);
    this.calls.push(`alloc ${name}`);
    const domain = new TableDomain(this, name, device, this.#of(device));
    domain.failMapIn = this.failNextMapIn;
    this.failNextMapIn = 0;
    this.domains.push(domain);
    return domain;
  }

  *allocNested(): KernelTask<NestedDomain | number> {
    yield 0;
    return -Errno.EOPNOTSUPP;
  }

  *attach(device: IommuDevice, domain: IommuDomain): KernelTask<number> {
    yield 0;
    const name = domain instanceof TableDomain ? domain.name : domain.type;
    this.calls.push(`attach ${device.name} ${name}`);
    const foreign = domain instanceof TableDomain && domain.madeFor !== device;
    return foreign && this.#of(device).exclusive === true ? -Errno.EINVAL : 0;
  }

  supportsPasid(): boolean {
    return true;
  }

  *setPasid(device: IommuDevice, pasid: number, domain: IommuDomain): KernelTask<number> {
    yield 0;
    const name = domain instanceof TableDomain ? domain.name : domain.type;
    this.calls.push(`pasid ${device.name} ${pasid} ${name}`);
    return 0;
  }

  enableIopf(): number {
    return 0;
  }

  disableIopf(): void {}

  #of(device: IommuDevice): TableDeviceTraits {
    return this.#traits.get(device) ?? {};
  }
}
