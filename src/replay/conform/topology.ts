/** The machine that the VT-d transcripts were recorded on: devices, groups and the drivers they start with. */
import { type SourceId, sourceId } from '../../address.ts';
import { type DeviceInformation, IrqFlag, PCI_CONFIG_REGION, RegionFlag } from '../../stack/vfio/device-info.ts';

/** One PCI function. */
export interface TopologyDevice {
  /** Name in transcripts. */
  readonly name: string;
  readonly bus: number;
  readonly device: number;
  readonly fn: number;
  /** IOMMU group. */
  readonly group: number;
  /** Driver at boot; undefined = none. */
  readonly driver: string | undefined;
  /** Requester id of its DMA when a bridge takes ownership. */
  readonly alias?: SourceId;
  /** What a reset of this function would have to reset: functions with the same key share a set. */
  readonly resetKey?: string;
  readonly information: DeviceInformation;
}

/** The educational device: a 1 MiB register BAR, one interrupt, no function-level reset. */
function eduInformation(resettable: boolean): DeviceInformation {
  const regions = new Array<{ sizeBytes: bigint; flags: number } | undefined>(9).fill(undefined);
  const access = RegionFlag.read | RegionFlag.write;
  regions[0] = { sizeBytes: 0x10_0000n, flags: access | RegionFlag.mmap };
  regions[PCI_CONFIG_REGION] = { sizeBytes: 0x100n, flags: access };
  const intx = { count: 1, flags: IrqFlag.eventfd | IrqFlag.maskable | IrqFlag.automasked };
  const msi = { count: 1, flags: IrqFlag.eventfd | IrqFlag.noresize };
  return { resettable, isPcie: false, hasVga: false, regions, irqs: [intx, msi] };
}

const PLAIN: DeviceInformation = { resettable: true, isPcie: true, hasVga: false, regions: [], irqs: [] };

/** Everything behind the PCIe-to-PCI bridge issues DMA as the first function of its secondary bus. */
const BRIDGE_ALIAS = sourceId(4, 0, 0);

/** Devices in the order in which the kernel finds them. */
export const TRANSCRIPT_TOPOLOGY: readonly TopologyDevice[] = [
  { name: 'edu3', bus: 0, device: 5, fn: 0, group: 4, driver: 'vfio-pci', information: eduInformation(false) },
  { name: 'edu4', bus: 0, device: 5, fn: 1, group: 4, driver: 'vfio-pci', information: eduInformation(false) },
  {
    name: 'edu0',
    bus: 1,
    device: 0,
    fn: 0,
    group: 8,
    driver: 'vfio-pci',
    resetKey: 'bus 01',
    information: eduInformation(true),
  },
  { name: 'nvme0', bus: 2, device: 0, fn: 0, group: 9, driver: 'vfio-pci', resetKey: 'bus 02', information: PLAIN },
  { name: 'br0', bus: 3, device: 0, fn: 0, group: 10, driver: undefined, information: PLAIN },
  {
    name: 'edu1',
    bus: 4,
    device: 1,
    fn: 0,
    group: 10,
    driver: 'vfio-pci',
    alias: BRIDGE_ALIAS,
    resetKey: 'bus 04',
    information: eduInformation(true),
  },
  {
    name: 'edu2',
    bus: 4,
    device: 2,
    fn: 0,
    group: 10,
    driver: 'vfio-pci',
    alias: BRIDGE_ALIAS,
    resetKey: 'bus 04',
    information: eduInformation(true),
  },
  {
    name: 'rtl0',
    bus: 4,
    device: 3,
    fn: 0,
    group: 10,
    driver: '8139cp',
    alias: BRIDGE_ALIAS,
    resetKey: 'bus 04',
    information: PLAIN,
  },
  { name: 'net0', bus: 5, device: 0, fn: 0, group: 11, driver: 'e1000e', resetKey: 'bus 05', information: PLAIN },
];

/** Group number the first fake group (the mediated device's) gets. */
export const FIRST_FAKE_GROUP = 12;

/** Name of the mediated sample device. */
export const MEDIATED_DEVICE = 'mtty0';

/** Name of a function in sysfs: `0000:bb:dd.f`. */
export function pciName(device: TopologyDevice): string {
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  return `0000:${hex(device.bus)}:${hex(device.device)}.${device.fn}`;
}
