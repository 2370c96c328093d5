/** Devices that are reset together and therefore opened under one lock (struct vfio_device_set). */
import type { Timeline } from '../../timeline.ts';
import { Mutex } from '../kernel/locks.ts';
import type { VfioDevice } from './device.ts';

/** A device set: a PCI slot, a bus, or a device alone. */
export class DeviceSet {
  /** What the members have in common; a device alone is its own key. */
  readonly key: object | string;
  /** In the order they joined. */
  readonly devices: VfioDevice[] = [];
  /** Held around open, close, bind, attach and detach of any member. */
  readonly lock: Mutex;

  constructor(key: object | string, timeline: Timeline) {
    this.key = key;
    this.lock = new Mutex(timeline, 'vfio device set');
  }
}
