/** VFIO_DEVICE_GET_INFO, GET_REGION_INFO and GET_IRQ_INFO of PCI devices (Linux drivers/vfio/pci/vfio_pci_core.c). */
import { Errno } from '../../errno.ts';

/** Region indices of vfio-pci; a device has nine and maybe more. */
export const PCI_REGION_COUNT = 9;
export const PCI_CONFIG_REGION = 7;
export const PCI_IRQ_COUNT = 5;
const VGA_REGION = 8;
const ERR_IRQ = 3;
/** Bit position of the region index in a file offset. */
const REGION_SHIFT = 40n;

/** VFIO_DEVICE_FLAGS_*. */
const DeviceFlag = { reset: 1, pci: 2 } as const;
/** VFIO_REGION_INFO_FLAG_*. */
export const RegionFlag = { read: 1, write: 2, mmap: 4 } as const;
/** VFIO_IRQ_INFO_*. */
export const IrqFlag = { eventfd: 1, maskable: 2, automasked: 4, noresize: 8 } as const;

/** One region: size 0 = absent. */
export interface DeviceRegion {
  /** [bytes] */
  readonly sizeBytes: bigint;
  /** RegionFlag bits. */
  readonly flags: number;
}

/** What a PCI function shows of itself. */
export interface DeviceInformation {
  /** A function-level or secondary-bus reset works. */
  readonly resettable: boolean;
  readonly isPcie: boolean;
  readonly hasVga: boolean;
  /** Index 0 .. 8; absent ones are empty. */
  readonly regions: readonly (DeviceRegion | undefined)[];
  /** Interrupts by index (INTx, MSI, MSI-X, error, request). */
  readonly irqs: readonly { readonly count: number; readonly flags: number }[];
}

/** [bytes] Smallest structures. */
const INFO_BYTES = 16;
const REGION_BYTES = 32;
const IRQ_BYTES = 16;

/** Reply of GET_INFO, or -EINVAL for a short structure. */
export function getDeviceInfo(
  information: DeviceInformation,
  argsz: number,
): { readonly flags: number; readonly regionCount: number; readonly irqCount: number } | number {
  if (argsz < INFO_BYTES) return -Errno.EINVAL;
  return {
    flags: DeviceFlag.pci | (information.resettable ? DeviceFlag.reset : 0),
    regionCount: PCI_REGION_COUNT,
    irqCount: PCI_IRQ_COUNT,
  };
}

/** Reply of GET_REGION_INFO; -EINVAL for an index out of range or VGA without VGA. An absent BAR is an empty region. */
export function getRegionInfo(
  information: DeviceInformation,
  argsz: number,
  index: number,
): { readonly flags: number; readonly sizeBytes: bigint; readonly offsetBytes: bigint } | number {
  if (argsz < REGION_BYTES || index >= PCI_REGION_COUNT) return -Errno.EINVAL;
  if (index === VGA_REGION && !information.hasVga) return -Errno.EINVAL;
  const region = information.regions[index];
  return {
    flags: region?.flags ?? 0,
    sizeBytes: region?.sizeBytes ?? 0n,
    offsetBytes: BigInt(index) << REGION_SHIFT,
  };
}

/** Reply of GET_IRQ_INFO; -EINVAL for an index out of range or the error interrupt of a conventional device. */
export function getIrqInfo(
  information: DeviceInformation,
  argsz: number,
  index: number,
): { readonly flags: number; readonly count: number } | number {
  if (argsz < IRQ_BYTES || index >= PCI_IRQ_COUNT) return -Errno.EINVAL;
  if (index === ERR_IRQ && !information.isPcie) return -Errno.EINVAL;
  const irq = information.irqs[index];
  return { flags: irq?.flags ?? IrqFlag.eventfd | IrqFlag.noresize, count: irq?.count ?? 0 };
}
