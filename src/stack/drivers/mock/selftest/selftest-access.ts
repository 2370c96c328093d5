/**
 * Self-test accesses: in-kernel users of an IOAS that user space drives through a file (IOMMU_TEST_OP_CREATE_ACCESS and
 * its siblings, Linux drivers/iommu/iommufd/selftest.c).
 */
import { PAGE_SIZE, U64_MAX } from '../../../../address.ts';
import { Errno } from '../../../../errno.ts';
import {
  type Access,
  type AccessOps,
  attachAccess,
  createAccess,
  destroyAccess,
  replaceAccess,
} from '../../../iommufd/access.ts';
import { pinPages, readWrite, unpinPages } from '../../../iommufd/access-pages.ts';
import type { IommufdContext } from '../../../iommufd/context.ts';
import type { AddressSpace } from '../../../kernel/address-space.ts';
import { FileReferences } from '../../../kernel/file-references.ts';
import type { OpenFile } from '../../../kernel/file-table.ts';
import type { KernelTask } from '../../../kernel/task.ts';

/** MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, MOCK_FLAGS_ACCESS_WRITE, MOCK_ACCESS_RW_*. */
const NEEDS_PIN_PAGES = 1;
const PIN_WRITE = 1;
const RW_WRITE = 1;
const RW_SLOW = 4;
/** [bytes] Largest pin. */
const MAX_PIN_BYTES = 16n * 1024n * 1024n;
const PAGE = BigInt(PAGE_SIZE);

interface PinnedItem {
  readonly id: number;
  readonly iova: bigint;
  readonly lengthBytes: bigint;
}

/** The file of an access; closing it drops every pin and destroys the access. */
export class SelftestAccessFile implements OpenFile {
  readonly file = new FileReferences(() => this.#release());
  readonly pins: boolean;
  #access: Access | undefined;
  readonly #items: PinnedItem[] = [];
  #nextItemId = 0;

  constructor(pins: boolean) {
    this.pins = pins;
  }

  /** Callbacks of the access: every pin that meets the range goes. */
  get ops(): AccessOps {
    if (!this.pins) return { needsPinPages: false };
    return { needsPinPages: true, unmap: (iova, lengthBytes) => this.unmap(iova, lengthBytes) };
  }

  get access(): Access | undefined {
    return this.#access;
  }

  set access(access: Access) {
    this.#access = access;
  }

  *unmap(iova: bigint, lengthBytes: bigint): KernelTask<void> {
    const last = lengthBytes === U64_MAX ? U64_MAX : iova + lengthBytes - 1n;
    for (const item of [...this.#items]) {
      if (item.iova <= last && item.iova + item.lengthBytes - 1n >= iova) yield* this.dropItem(item.id);
    }
  }

  /** Remembers a pin; its number. */
  addItem(iova: bigint, lengthBytes: bigint): number {
    const id = this.#nextItemId++;
    this.#items.push({ id, iova, lengthBytes });
    return id;
  }

  /** Drops a pin; ENOENT when it is not there (any more). */
  *dropItem(id: number): KernelTask<number> {
    const at = this.#items.findIndex((item) => item.id === id);
    const item = this.#items[at];
    if (item === undefined || this.#access === undefined) return -Errno.ENOENT;
    this.#items.splice(at, 1);
    yield* unpinPages(this.#access, item.iova, item.lengthBytes);
    return 0;
  }

  *#release(): KernelTask<void> {
    if (this.#access === undefined) return;
    yield* this.unmap(0n, U64_MAX);
    yield* destroyAccess(this.#access);
  }
}

/** IOMMU_TEST_OP_CREATE_ACCESS: the file. EOPNOTSUPP flags, ENOMEM, attach errno. */
export function* createSelftestAccess(
  context: IommufdContext,
  ioasId: number,
  flags: number,
): KernelTask<SelftestAccessFile | number> {
  if ((flags & ~NEEDS_PIN_PAGES) !== 0) return -Errno.EOPNOTSUPP;
  const file = new SelftestAccessFile((flags & NEEDS_PIN_PAGES) !== 0);
  const access = yield* createAccess(context, file.ops);
  if (typeof access === 'number') return access;
  const error = yield* attachAccess(access, ioasId);
  if (error !== 0) {
    yield* destroyAccess(access);
    return error;
  }
  file.access = access;
  return file;
}

/** A range and the user memory it is compared with or copied to. */
export interface AccessRange {
  readonly iova: bigint;
  readonly lengthBytes: bigint;
  /** 0 = no comparison. */
  readonly userAddress: bigint;
  readonly flags: number;
}

/**
 * IOMMU_TEST_OP_ACCESS_PAGES: pins and checks that the pages are those behind the user address; the pin's number, or
 * errno: EOPNOTSUPP (flags, access that does not pin), ENOMEM too long, pin errno, EFAULT, EINVAL other pages.
 */
export function* accessPages(file: SelftestAccessFile, memory: AddressSpace, range: AccessRange): KernelTask<number> {
  const { iova, lengthBytes, userAddress, flags } = range;
  if ((flags & ~PIN_WRITE) !== 0) return -Errno.EOPNOTSUPP;
  if (lengthBytes > MAX_PIN_BYTES) return -Errno.ENOMEM;
  const { access } = file;
  if (access === undefined || !file.pins) return -Errno.EOPNOTSUPP;
  const pfns = yield* pinPages(access, iova, lengthBytes, (flags & PIN_WRITE) !== 0);
  if (typeof pfns === 'number') return pfns;
  const first = userAddress - (iova % PAGE);
  for (let index = 0; userAddress !== 0n && index < pfns.length; index++) {
    const frame = memory.frameAt(first + BigInt(index) * PAGE, false);
    if (frame === pfns[index]) continue;
    yield* unpinPages(access, iova, lengthBytes);
    return frame === undefined ? -Errno.EFAULT : -Errno.EINVAL;
  }
  return file.addItem(iova, lengthBytes);
}

/** IOMMU_TEST_OP_ACCESS_RW. EOPNOTSUPP flags, EFAULT user memory, rw errno. */
export function* accessReadWrite(
  file: SelftestAccessFile,
  memory: AddressSpace,
  range: AccessRange,
): KernelTask<number> {
  const { iova, lengthBytes, userAddress, flags } = range;
  if ((flags & ~(RW_WRITE | RW_SLOW)) !== 0) return -Errno.EOPNOTSUPP;
  if (lengthBytes > MAX_PIN_BYTES) return -Errno.ENOMEM;
  const { access } = file;
  if (access === undefined) return -Errno.EBADFD;
  const write = (flags & RW_WRITE) !== 0;
  const buffer = write ? memory.read(userAddress, Number(lengthBytes)) : new Uint8Array(Number(lengthBytes));
  if (buffer === undefined) return -Errno.EFAULT;
  const error = yield* readWrite(access, iova, buffer, write);
  if (error !== 0 || write) return error;
  return memory.write(userAddress, buffer) ? 0 : -Errno.EFAULT;
}

/** IOMMU_TEST_OP_ACCESS_REPLACE_IOAS. */
export function* accessReplaceIoas(file: SelftestAccessFile, ioasId: number): KernelTask<number> {
  return file.access === undefined ? -Errno.EBADFD : yield* replaceAccess(file.access, ioasId);
}
