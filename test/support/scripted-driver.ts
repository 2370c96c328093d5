/** A driver of the IOMMU seam that records its calls and refuses what a test tells it to. */
import type { SourceId } from '../../src/address.ts';
import type {
  HwInfo,
  IommuCapability,
  IommuDevice,
  IommuDomain,
  IommuDriver,
  NestedDomain,
  PagingDomain,
  ReservedRegion,
} from '../../src/stack/iommu/ops.ts';
import type { KernelTask } from '../../src/stack/kernel/task.ts';

/** Domains are names here; `type` says what the core sees. */
export interface NamedDomain extends IommuDomain {
  readonly name: string;
}

/** One recorded call: `attach d0 a`, `pasid d0 5 a`. */
export class ScriptedDriver implements IommuDriver {
  readonly name = 'scripted';
  readonly blockedDomain: NamedDomain = { name: 'blocked', type: 'blocked', driver: this };
  readonly identityDomain: NamedDomain = { name: 'identity', type: 'identity', driver: this };
  readonly allocatesWithFlags = true;
  readonly viommu = undefined;
  readonly calls: string[] = [];
  /** Errno of a call, by its text; absent = 0. */
  readonly refusals = new Map<string, number>();
  /** Domains that cannot be set at a PASID. */
  readonly withoutPasid = new Set<IommuDomain>();
  readonly regions = new Map<IommuDevice, readonly ReservedRegion[]>();

  domain(name: string, driver: IommuDriver = this): NamedDomain {
    return { name, type: 'paging', driver };
  }

  device(name: string, maxPasids = 0): IommuDevice {
    return {
      name,
      sourceIds: [0 as SourceId],
      unit: 'unit0',
      driver: this,
      maxPasids,
      isVirtualFunction: false,
      supportsPri: false,
      isolatedMsi: true,
    };
  }

  capable(_device: IommuDevice, capability: IommuCapability): boolean {
    return capability === 'cache-coherency';
  }

  reservedRegions(device: IommuDevice): readonly ReservedRegion[] {
    return this.regions.get(device) ?? [];
  }

  hwInfo(): HwInfo | number {
    return { type: 0, data: new Uint8Array(0) };
  }

  *allocPaging(): KernelTask<PagingDomain | number> {
    yield 0;
    throw new Error('the scripted driver has no page tables');
  }

  *allocNested(): KernelTask<NestedDomain | number> {
    yield 0;
    throw new Error('the scripted driver has no page tables');
  }

  *attach(device: IommuDevice, domain: IommuDomain): KernelTask<number> {
    yield 0;
    return this.#record(`attach ${device.name} ${nameOf(domain)}`);
  }

  supportsPasid(domain: IommuDomain): boolean {
    return !this.withoutPasid.has(domain);
  }

  *setPasid(device: IommuDevice, pasid: number, domain: IommuDomain): KernelTask<number> {
    yield 0;
    return this.#record(`pasid ${device.name} ${pasid} ${nameOf(domain)}`);
  }

  enableIopf(): number {
    return 0;
  }

  disableIopf(): void {}

  #record(call: string): number {
    this.calls.push(call);
    return this.refusals.get(call) ?? 0;
  }
}

function nameOf(domain: IommuDomain): string {
  return (domain as NamedDomain).name;
}
