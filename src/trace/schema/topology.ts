/** The recorded machine: its IOMMU units and devices. */

/** One IOMMU unit of the recorded machine. */
export interface UnitTopology {
  readonly name: string;
  /** Capability registers as hex strings without 0x, or undefined when the source does not say. */
  readonly cap?: string | undefined;
  readonly ecap?: string | undefined;
  readonly mode: 'legacy' | 'scalable';
  /** Stage the recorded kernel's own domains use. */
  readonly stage: 'first' | 'second';
}

/** One device of the recorded machine. */
export interface DeviceTopology {
  /** PCI address `dddd:bb:dd.f`, or a free name for a mediated device. */
  readonly name: string;
  readonly sourceId: number;
  /** Requester ids seen at the IOMMU when they differ (behind a bridge). */
  readonly aliasIds?: readonly number[] | undefined;
  readonly group: number;
  /** Index into `units`; -1 for a mediated device. */
  readonly unit: number;
  readonly kind: 'physical' | 'mediated';
  readonly driver: string;
  readonly pciClass?: string | undefined;
  /** Default domain of the group as the kernel reports it. */
  readonly defaultDomain: 'dma' | 'dma-fq' | 'identity' | 'blocked' | 'none';
  /** Domain id of the default domain, from the table dump; undefined when unknown. */
  readonly defaultDomainId?: number | undefined;
  readonly ats: boolean;
  /** 0 = no PASID capability. */
  readonly pasidBits: number;
  readonly pri: boolean;
}
