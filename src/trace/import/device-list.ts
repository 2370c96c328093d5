/** Reads `devices.txt`: one PCI device a line with its group, default-domain type and driver. */
import type { DeviceTopology } from '../schema/topology.ts';
import type { DiagnosticCounts } from './diagnostics.ts';

/** A device as the list names it. */
export interface ListedDevice {
  /** `dddd:bb:dd.f` */
  readonly name: string;
  readonly sourceId: number;
  /** Class code, six hex digits, without 0x. */
  readonly pciClass: string;
  readonly group: number;
  readonly defaultDomain: DeviceTopology['defaultDomain'];
  readonly driver: string;
}

/** Requester id of a PCI address `dddd:bb:dd.f`; undefined when it is none. */
export function parsePciAddress(name: string): number | undefined {
  const match = /^(?:[0-9a-f]{4}:)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i.exec(name);
  if (match === null) return undefined;
  const [, bus, device, fn] = match as unknown as [string, string, string, string];
  return (Number.parseInt(bus, 16) << 8) | (Number.parseInt(device, 16) << 3) | Number(fn);
}

/** Decodes the list; lines it cannot read are counted. */
export function readDeviceList(file: string, text: string, diagnostics: DiagnosticCounts): ListedDevice[] {
  const devices: ListedDevice[] = [];
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const match = /^(\S+) \S+ class=(?:0x)?([0-9a-f]+) group=(-?\d+) type=(\S*) driver=(\S*)/.exec(line.trim());
    const sourceId = match === null ? undefined : parsePciAddress(match[1] as string);
    if (match === null || sourceId === undefined) {
      diagnostics.count('malformed_line', 'error', { file, line: index + 1, text: line });
      return;
    }
    const [, name, pciClass, group, type, driver] = match as unknown as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    devices.push({ name, sourceId, pciClass, group: Number(group), defaultDomain: domainType(type), driver });
  });
  return devices;
}

/** Names of /sys/kernel/iommu_groups/N/type. */
function domainType(type: string): DeviceTopology['defaultDomain'] {
  switch (type) {
    case 'DMA':
      return 'dma';
    case 'DMA-FQ':
      return 'dma-fq';
    case 'identity':
      return 'identity';
    case 'blocked':
      return 'blocked';
    default:
      return 'none';
  }
}
