/**
 * What drivers of mediated devices do in the kernel: pinning, unpinning and copying through vfio_pin_pages,
 * vfio_unpin_pages and vfio_dma_rw. The rows name the device; which container or IOAS it is attached to, the calls before
 * have decided.
 */
import { PAGE_SIZE } from '../address.ts';
import { IommuProt } from '../stack/iommu/ops.ts';
import type { Process } from '../stack/kernel/process.ts';
import type { KernelTask } from '../stack/kernel/task.ts';
import type { VfioDevice } from '../stack/vfio/device.ts';
import { dmaReadWrite } from '../stack/vfio/pin-pages.ts';
import { PinningDriver } from '../stack/vfio/pinning-driver.ts';
import type { CallOutcome } from './control-player.ts';
import type { ControlRow } from './control-row.ts';
import type { Diagnostics } from './diagnostics.ts';

const SKIPPED: CallOutcome = { result: 0, skipped: true };
/** [bytes] Longest copy that is carried out: no driver moves more at a time. */
const LONGEST_COPY = 2 ** 24;

/** Accesses of one world; drivers act on behalf of its one process. */
export class AccessCalls {
  readonly #process: Process;
  readonly #deviceOf: (device: number) => VfioDevice | undefined;
  readonly #diagnostics: Diagnostics;

  constructor(process: Process, deviceOf: (device: number) => VfioDevice | undefined, diagnostics: Diagnostics) {
    this.#process = process;
    this.#deviceOf = deviceOf;
    this.#diagnostics = diagnostics;
  }

  /** Carries out a row; undefined when it is no access. */
  *perform(row: ControlRow): KernelTask<CallOutcome | undefined> {
    switch (row.op) {
      case 'vfio_pin_pages':
      case 'vfio_unpin_pages':
      case 'vfio_dma_rw':
        break;
      default:
        return undefined;
    }
    const device = this.#deviceOf(row.device);
    const driver = device?.driver;
    if (device === undefined || !(driver instanceof PinningDriver)) return this.#skip('access_without_mediated_device');
    const { iova, flags } = row;
    if (row.op === 'vfio_dma_rw') return yield* this.#copy(device, row);
    const pageCount = Number((row.length + BigInt(PAGE_SIZE - 1)) / BigInt(PAGE_SIZE));
    if (row.op === 'vfio_pin_pages') return { result: yield* driver.pin(device, iova, pageCount, flags) };
    const held = yield* driver.unpin(device, iova, pageCount);
    return held ? { result: 0 } : this.#skip('unpin_of_unpinned_pages');
  }

  *#copy(device: VfioDevice, { iova, length, flags }: ControlRow): KernelTask<CallOutcome> {
    if (length > LONGEST_COPY) return this.#skip('copy_too_long');
    const data = new Uint8Array(Number(length));
    const write = (flags & IommuProt.write) !== 0;
    return { result: yield* dmaReadWrite(device, this.#process, iova, data, write) };
  }

  #skip(code: string): CallOutcome {
    this.#diagnostics.count(code);
    return SKIPPED;
  }
}
