/**
 * A mediated device whose driver pins what its user tells it to and gives it back when asked: the behaviour that
 * vfio_pin_pages asks of drivers (include/linux/vfio.h, struct vfio_device_ops.dma_unmap). What the device does with the
 * pages is not modelled.
 */
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice, VfioDriver } from './device.ts';
import { attachEmulated, bindEmulated, detachEmulated, unbindEmulated } from './emulated.ts';
import { pinPages, unpinPages } from './pin-pages.ts';

const PAGE = 4096n;

/** A range that was pinned in one call, as often as it was. */
interface HeldRange {
  readonly iova: bigint;
  readonly pageCount: number;
  times: number;
}

/** One device's driver. */
export class PinningDriver implements VfioDriver {
  readonly name = 'pinning';
  readonly bindIommufd = bindEmulated;
  readonly unbindIommufd = unbindEmulated;
  readonly attachIoas = attachEmulated;
  readonly detachIoas = detachEmulated;
  readonly #held = new Map<string, HeldRange>();

  /** [4 KiB pages] Pinned now; pages of repeated pins count once. */
  get heldPages(): number {
    let pages = 0;
    for (const { pageCount } of this.#held.values()) pages += pageCount;
    return pages;
  }

  /** Pins `pageCount` pages from `iova` on and remembers them: `pageCount`, or the errno of vfio_pin_pages. */
  *pin(device: VfioDevice, iova: bigint, pageCount: number, prot: number): KernelTask<number> {
    const pinned = yield* pinPages(device, iova, pageCount, prot, []);
    if (pinned <= 0) return pinned;
    const key = rangeKey(iova, pageCount);
    const known = this.#held.get(key);
    if (known === undefined) this.#held.set(key, { iova, pageCount, times: 1 });
    else known.times++;
    return pinned;
  }

  /** Gives back one pin of exactly this range; false when there is none, because memory went away under it. */
  *unpin(device: VfioDevice, iova: bigint, pageCount: number): KernelTask<boolean> {
    const key = rangeKey(iova, pageCount);
    const known = this.#held.get(key);
    if (known === undefined) return false;
    known.times--;
    if (known.times === 0) this.#held.delete(key);
    yield* unpinPages(device, iova, pageCount);
    return true;
  }

  /** The callback: everything that meets the range goes before it returns. */
  *dmaUnmap(device: VfioDevice, iova: bigint, lengthBytes: bigint): KernelTask<void> {
    for (const [key, { iova: start, pageCount, times }] of [...this.#held]) {
      const end = start + BigInt(pageCount) * PAGE;
      if (end <= iova || start >= iova + lengthBytes) continue;
      this.#held.delete(key);
      for (let time = 0; time < times; time++) yield* unpinPages(device, start, pageCount);
    }
  }

  /** The device is closed while its mappings still stand: its pins go. */
  *closeDevice(device: VfioDevice): KernelTask<void> {
    yield* this.dmaUnmap(device, 0n, 1n << 64n);
  }
}

function rangeKey(iova: bigint, pageCount: number): string {
  return `${iova} ${pageCount}`;
}
