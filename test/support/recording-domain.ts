/**
 * A paging domain that records every core call, keeps translations in a plain map and refuses unmaps that cut
 * what one map call installed: the oracle of what an IOAS did.
 */
import { Errno } from '../../src/errno.ts';
import type { IommuDriver, IotlbGather, PagingDomain } from '../../src/stack/iommu/ops.ts';
import type { KernelTask } from '../../src/stack/kernel/task.ts';

/** What is special about a domain. */
export interface RecordingDomainOptions {
  readonly minPageSize?: bigint;
  readonly apertureStart?: bigint;
  readonly apertureEnd?: bigint;
}

/** What one map call installed; a driver may have used one large page for it. */
interface Run {
  readonly start: bigint;
  readonly end: bigint;
}

/** The domain. Every unit of 512 bytes has its own translation. */
export class RecordingDomain implements PagingDomain {
  readonly type = 'paging';
  readonly driver = {} as IommuDriver;
  readonly minPageSize: bigint;
  readonly pageSizeBitmap: bigint;
  readonly apertureStart: bigint;
  readonly apertureEnd: bigint;
  readonly dirty = undefined;
  /** `map <iova> <pages or bytes>` and `unmap ...`, in call order. */
  readonly calls: string[] = [];
  /** The n-th map call from now fails with ENOMEM; 0 = none does. */
  failMapIn = 0;
  readonly #units = new Map<bigint, { readonly paddr: bigint; readonly run: Run }>();

  constructor(options: RecordingDomainOptions = {}) {
    this.minPageSize = options.minPageSize ?? 4096n;
    this.pageSizeBitmap = this.minPageSize;
    this.apertureStart = options.apertureStart ?? 0n;
    this.apertureEnd = options.apertureEnd ?? 0xffff_ffff_ffffn;
  }

  /** Units of 512 bytes mapped now. */
  get mappedUnits(): number {
    return this.#units.size;
  }

  *map(iova: bigint, paddr: bigint, lengthBytes: bigint): KernelTask<number> {
    yield 0;
    if (this.failMapIn > 0 && --this.failMapIn === 0) return -Errno.ENOMEM;
    this.calls.push(`map ${iova.toString(16)} ${lengthBytes.toString(16)}`);
    const run = { start: iova, end: iova + lengthBytes };
    for (let at = 0n; at < lengthBytes; at += 512n) this.#units.set(iova + at, { paddr: paddr + at, run });
    return 0;
  }

  *unmap(iova: bigint, lengthBytes: bigint, _gather: IotlbGather): KernelTask<bigint> {
    yield 0;
    this.calls.push(`unmap ${iova.toString(16)} ${lengthBytes.toString(16)}`);
    const first = this.#units.get(iova)?.run;
    const last = this.#units.get(iova + lengthBytes - 512n)?.run;
    const cutsRun = first?.start !== iova || last?.end !== iova + lengthBytes;
    if (cutsRun) throw new Error(`unmap of ${lengthBytes} bytes at ${iova.toString(16)} cuts a mapped run`);
    let done = 0n;
    while (done < lengthBytes && this.#units.delete(iova + done)) done += 512n;
    return done;
  }

  *sync(): KernelTask<number> {
    yield 0;
    return 0;
  }

  flushAll(): KernelTask<number> {
    return this.sync();
  }

  iovaToPhys(iova: bigint): bigint | undefined {
    const unit = this.#units.get(iova & ~511n);
    return unit === undefined ? undefined : unit.paddr + (iova & 511n);
  }

  enforceCacheCoherency(): boolean {
    return true;
  }

  free(): KernelTask<number> {
    return this.sync();
  }
}
