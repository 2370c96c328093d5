/** Devices of the imported machine, found by name or requester id, and numbered in order of appearance. */
import { formatSourceId } from '../../address.ts';
import type { DeviceTopology } from '../schema/topology.ts';
import { type ListedDevice, parsePciAddress } from './device-list.ts';

/** A device being described. */
export type IndexedDevice = { -readonly [K in keyof DeviceTopology]: DeviceTopology[K] };

/** All devices of one import. Devices that no list names are added when they are first seen. */
export class DeviceIndex {
  readonly devices: IndexedDevice[] = [];
  readonly #byName = new Map<string, number>();
  readonly #bySourceId = new Map<number, number>();
  #nextGroup = 0;

  /** Adds the devices of a list. */
  addListed(listed: readonly ListedDevice[]): void {
    for (const { name, sourceId, pciClass, group, defaultDomain, driver } of listed) {
      this.#add({ ...blankDevice(name, sourceId, group), pciClass, defaultDomain, driver });
    }
  }

  /** Index of the device with this name; a name seen for the first time gets a device. */
  byName(name: string): number {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const sourceId = parsePciAddress(name);
    const index = sourceId === undefined ? undefined : this.#bySourceId.get(sourceId);
    return index ?? this.#add(blankDevice(name, sourceId ?? 0, this.#nextGroup));
  }

  /** Index of the device that issues requests as `sourceId`; an unknown one gets a device. */
  bySourceId(sourceId: number): number {
    return this.#bySourceId.get(sourceId) ?? this.#addUnlisted(sourceId);
  }

  /** Index of a listed device, or of one behind the bridge that issues as `sourceId`; undefined when there is none. */
  findSourceId(sourceId: number): number | undefined {
    return this.#bySourceId.get(sourceId);
  }

  group(device: number): number {
    return (this.devices[device] as IndexedDevice).group;
  }

  /** A requester nobody lists: a bridge issues for conventional devices as device 0 of their bus (VT-d spec 3.4.1). */
  #addUnlisted(sourceId: number): number {
    const behindBridge = this.devices.findIndex(
      (device) => (sourceId & 0xff) === 0 && device.sourceId >> 8 === sourceId >> 8,
    );
    if (behindBridge < 0) return this.#add(blankDevice(`0000:${formatSourceId(sourceId)}`, sourceId, this.#nextGroup));
    const device = this.devices[behindBridge] as IndexedDevice;
    device.aliasIds = [...(device.aliasIds ?? []), sourceId];
    this.#bySourceId.set(sourceId, behindBridge);
    return behindBridge;
  }

  #add(device: IndexedDevice): number {
    const index = this.devices.push(device) - 1;
    this.#byName.set(device.name, index);
    if (!this.#bySourceId.has(device.sourceId)) this.#bySourceId.set(device.sourceId, index);
    this.#nextGroup = Math.max(this.#nextGroup, device.group + 1);
    return index;
  }
}

function blankDevice(name: string, sourceId: number, group: number): IndexedDevice {
  return {
    name,
    sourceId,
    group,
    unit: 0,
    kind: 'physical',
    driver: '',
    defaultDomain: 'dma',
    ats: false,
    pasidBits: 0,
    pri: false,
  };
}
