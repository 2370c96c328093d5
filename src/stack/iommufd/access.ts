/**
 * An in-kernel user of an IOAS that pins pages or reads and writes them: emulated and mediated devices (struct
 * iommufd_access). Source: Linux drivers/iommu/iommufd/device.c.
 */
import { PAGE_SIZE, U64_MAX } from '../../address.ts';
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import { observed } from '../kernel/call-observer.ts';
import { Mutex } from '../kernel/locks.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { Ioas, type IoasAccess } from './ioas.ts';

/** What the driver that makes an access offers (struct iommufd_access_ops). */
export interface AccessOps {
  /** The driver pins: areas must be page-aligned. */
  readonly needsPinPages: boolean;
  /** Must drop every pin that meets the range before it ends. Absent for drivers that only read and write. */
  readonly unmap?: (iova: bigint, lengthBytes: bigint) => KernelTask<void>;
  /** iommufd's own use (a hardware queue): pins without a callback and keeps no reference on the file. */
  readonly internal?: boolean;
}

/** An access. Two users after creation: the table and the creating driver. */
export class Access implements IoasAccess {
  readonly type = 'access';
  id = 0;
  users = 1;
  waitCount = 0;
  readonly context: IommufdContext;
  readonly iovaAlignment: bigint;
  readonly unmap: ((iova: bigint, lengthBytes: bigint) => KernelTask<void>) | undefined;
  /** The driver pins (its alignment is a page and it has an unmap callback). */
  readonly pins: boolean;
  /** Where new pins go; undefined while detached and while a change is under way. */
  ioas: Ioas | undefined;
  /** Where pins are dropped; differs from {@link ioas} only during a change. */
  ioasOfPins: Ioas | undefined;
  /** iommufd's own: locks the areas it pins. */
  readonly internal: boolean;
  readonly #mutex: Mutex;

  constructor(context: IommufdContext, ops: AccessOps) {
    this.context = context;
    this.iovaAlignment = ops.needsPinPages ? BigInt(PAGE_SIZE) : 1n;
    this.unmap = ops.unmap;
    this.internal = ops.internal === true;
    this.pins = ops.needsPinPages && (ops.unmap !== undefined || this.internal);
    this.#mutex = new Mutex(context.kernel.timeline, 'access ioas');
    if (!this.internal) context.file.get();
  }

  /** Takes the lock that guards {@link ioas} (ioas_lock). */
  *lock(): KernelTask<void> {
    if (!this.#mutex.tryAcquire()) yield this.#mutex.queue;
  }

  /** Releases {@link lock}. */
  unlock(): void {
    this.#mutex.release();
  }

  /** Type destructor: leaves the IOAS (with the callback), then the file. */
  *destroy(): KernelTask<void> {
    yield* this.lock();
    if (this.ioas !== undefined) {
      const rc = yield* changeIoas(this, undefined);
      assert(rc === 0, 'access is destroyed during a change of its IOAS');
    }
    this.unlock();
    if (!this.internal) yield* this.context.file.put();
  }
}

/** iommufd_access_create: the access, or -ENOMEM. */
export function* createAccess(context: IommufdContext, ops: AccessOps): KernelTask<Access | number> {
  const access = new Access(context, ops);
  const rc = context.objects.reserve(access);
  if (rc !== 0) {
    yield* access.destroy();
    return rc;
  }
  access.users++;
  context.objects.publish(access);
  return access;
}

/** iommufd_access_destroy, by the driver that made it: waits for running callbacks. */
export function* destroyAccess(access: Access): KernelTask<number> {
  return yield* access.context.objects.destroyByOwner(access);
}

/** iommufd_access_attach: EINVAL attached already, ENOENT no such IOAS, EADDRINUSE alignment. */
export function attachAccess(access: Access, ioasId: number): KernelTask<number> {
  return observed(access.context.kernel.observer, 'iommufd_access_attach', doAttachAccess(access, ioasId));
}

function* doAttachAccess(access: Access, ioasId: number): KernelTask<number> {
  yield* access.lock();
  const rc = access.ioasOfPins !== undefined ? -Errno.EINVAL : yield* changeTo(access, ioasId);
  access.unlock();
  return rc;
}

/** iommufd_access_replace: ENOENT not attached or no such IOAS, EBUSY change under way, EADDRINUSE alignment. */
export function replaceAccess(access: Access, ioasId: number): KernelTask<number> {
  return observed(access.context.kernel.observer, 'iommufd_access_replace', doReplaceAccess(access, ioasId));
}

function* doReplaceAccess(access: Access, ioasId: number): KernelTask<number> {
  yield* access.lock();
  const rc = access.ioas === undefined ? -Errno.ENOENT : yield* changeTo(access, ioasId);
  access.unlock();
  return rc;
}

/** iommufd_access_detach: nothing when not attached. */
export function detachAccess(access: Access): KernelTask<void> {
  return observed(access.context.kernel.observer, 'iommufd_access_detach', doDetachAccess(access));
}

function* doDetachAccess(access: Access): KernelTask<void> {
  yield* access.lock();
  if (access.ioas !== undefined) yield* changeIoas(access, undefined);
  access.unlock();
}

function* changeTo(access: Access, ioasId: number): KernelTask<number> {
  const { objects } = access.context;
  const target = objects.acquire(ioasId, Ioas);
  if (target === undefined) return -Errno.ENOENT;
  const rc = yield* changeIoas(access, target);
  objects.release(target);
  return rc;
}

/**
 * iommufd_access_change_ioas, with the access locked: into the new IOAS first, so that failure leaves the old
 * attachment intact; then the old one's pins are flushed with the lock open.
 */
function* changeIoas(access: Access, target: Ioas | undefined): KernelTask<number> {
  const { observer } = access.context.kernel;
  const current = access.ioas;
  if (current !== access.ioasOfPins) return -Errno.EBUSY;
  if (current === target) return 0;
  access.ioas = undefined;
  if (target !== undefined) {
    const rc = yield* observed(observer, 'iopt_add_access', target.addAccess(access));
    if (rc !== 0) {
      access.ioas = current;
      return rc;
    }
    target.users++;
  }
  if (current !== undefined) {
    if (access.unmap !== undefined) {
      access.unlock();
      yield* observed(observer, 'dma_unmap', access.unmap(0n, U64_MAX));
      yield* access.lock();
    }
    yield* observed(observer, 'iopt_remove_access', current.removeAccess(access));
    current.users--;
  }
  access.ioas = target;
  access.ioasOfPins = target;
  return 0;
}
