/** The educational PCI device (QEMU hw/misc/edu.c): copies between an internal buffer and memory behind the IOMMU. */
import { NO_PASID, PAGE_SIZE, type SourceId } from '../../address.ts';
import { DmaFlag, DmaOutcome } from '../../hw/unit.ts';
import type { VtdUnit } from '../../hw/vtd/unit.ts';
import type { PageFrames } from '../../stack/kernel/page-frames.ts';
import { NEVER, type Tick } from '../../units.ts';
import { columnsOf, resultsOf } from './single-row.ts';
import type { UnspecifiedBytes } from './unspecified-bytes.ts';

/** [bytes] Internal buffer. */
const BUFFER_BYTES = 4096;

/**
 * One device. Its buffer keeps its contents for the life of the machine. What it holds when a sequence begins the
 * recordings do not tell: other sequences, not part of a transcript, ran in between on the same machine.
 */
export class EduDevice {
  readonly #unit: VtdUnit;
  readonly #requester: SourceId;
  readonly #deviceIndex: number;
  readonly #unspecified: UnspecifiedBytes;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  /** 1 = the byte is not known. */
  readonly #unknown = new Uint8Array(BUFFER_BYTES).fill(1);
  readonly #input = columnsOf();
  readonly #output = resultsOf();

  /** `deviceIndex` is the device's place among the unit's devices. */
  constructor(unit: VtdUnit, requester: SourceId, deviceIndex: number, unspecified: UnspecifiedBytes) {
    this.#unit = unit;
    this.#requester = requester;
    this.#deviceIndex = deviceIndex;
    this.#unspecified = unspecified;
  }

  /**
   * Copies `lengthBytes` from the start of the buffer to memory, or from memory to it, from [ps] `atTick` on, a page at a
   * time as the emulator's memory core does. A page that faults is skipped; reading one gives zeros. Returns the tick at
   * which the last access was done.
   */
  transfer(frames: PageFrames, toMemory: boolean, iova: bigint, lengthBytes: number, atTick: Tick): Tick {
    let now = atTick;
    for (let done = 0; done < lengthBytes; ) {
      const address = BigInt.asUintN(64, iova + BigInt(done));
      const offset = Number(address & 4095n);
      const count = Math.min(lengthBytes - done, PAGE_SIZE - offset);
      const pfn = this.#translate(address, count, toMemory, now);
      now = Math.max(now, this.#output.doneTick[0] as number) as Tick;
      if (toMemory) this.#store(frames, pfn, offset, done, count);
      else this.#load(frames, pfn, offset, done, count);
      done += count;
    }
    return now;
  }

  /** A sequence begins: the buffer holds leftovers that nothing tells. */
  forget(): void {
    this.#unknown.fill(1);
  }

  #store(frames: PageFrames, pfn: number | undefined, offset: number, at: number, count: number): void {
    if (pfn === undefined) return;
    frames.bytes(pfn).set(this.#buffer.subarray(at, at + count), offset);
    for (let index = 0; index < count; index++) {
      const value = this.#buffer[at + index] as number;
      if (this.#unknown[at + index] === 1) this.#unspecified.mark(pfn, offset + index, value);
      else this.#unspecified.clear(pfn, offset + index);
    }
  }

  #load(frames: PageFrames, pfn: number | undefined, offset: number, at: number, count: number): void {
    const page = pfn === undefined ? undefined : frames.peek(pfn);
    for (let index = 0; index < count; index++) {
      const value = page?.[offset + index] ?? 0;
      this.#buffer[at + index] = value;
      const unknown = pfn !== undefined && this.#unspecified.has(pfn, offset + index, value);
      this.#unknown[at + index] = unknown ? 1 : 0;
    }
  }

  /** Frame behind an address for this access; undefined when it was blocked. */
  #translate(address: bigint, bytes: number, write: boolean, atTick: Tick): number | undefined {
    const input = this.#input;
    const output = this.#output;
    input.notBefore[0] = atTick;
    input.device[0] = this.#deviceIndex;
    input.iova[0] = Number(address & 0xffff_ffffn);
    input.iova[1] = Number(address >> 32n);
    input.bytes[0] = bytes;
    input.flags[0] = write ? DmaFlag.write : 0;
    this.#unit.translate(input, 0, 1, NEVER, output);
    const outcome = output.outcome[0];
    if (outcome === DmaOutcome.fault || outcome === DmaOutcome.passThrough) return undefined;
    const permission = this.#unit.cachedPermission(this.#requester, NO_PASID, Number(address >> 12n));
    if (permission >= 0 && (permission & (write ? 2 : 1)) === 0) return undefined;
    return (output.pfn[1] as number) * 4294967296 + (output.pfn[0] as number);
  }
}
