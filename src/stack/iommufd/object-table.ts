/**
 * Ids and lifetimes of the objects of one iommufd context, after struct iommufd_object and iommufd_object_remove() of
 * Linux drivers/iommu/iommufd/main.c. Every kind of object is a plain class that carries this header and its own
 * destructor; the table knows nothing else of them.
 */
import { assert } from '../../assert.ts';
import { Errno } from '../../errno.ts';
import type { Timeline } from '../../timeline.ts';
import type { Tick } from '../../units.ts';
import type { Condition, KernelTask } from '../kernel/task.ts';

/** enum iommufd_object_type. */
export type ObjectType =
  | 'device'
  | 'hwpt-paging'
  | 'hwpt-nested'
  | 'ioas'
  | 'access'
  | 'fault'
  | 'viommu'
  | 'vdevice'
  | 'veventq'
  | 'hw-queue'
  | 'selftest';

/** The header every object carries (struct iommufd_object). A class sets `id = 0`, `users = 1`, `waitCount = 0`. */
export interface IommufdObject {
  readonly type: ObjectType;
  /** Set by {@link ObjectTable.reserve}; stays after destruction so that callers can compare. */
  id: number;
  /** References; 1 is the table's own. IOMMU_DESTROY needs exactly that. */
  users: number;
  /** ioctls currently inside the object (wait_cnt, shortterm_users in Linux 6.12). */
  waitCount: number;
  /** Type destructor; runs after the object has left the table. */
  destroy(): KernelTask<void>;
}

/** A class of objects, for typed look-ups. */
export type ObjectClass<T extends IommufdObject> = abstract new (...parameters: never[]) => T;

/** An id that is taken but shows no object: not yet published, or left behind by a forced destruction. */
type Marker = 'reserved' | 'tombstone';

/** Ids start at 1; 0 is never an object. */
const FIRST_ID = 1;
/** Largest id, xa_limit_31b. */
const LAST_ID = 0x7fff_ffff;

/** Object ids of one context: lowest free id first, one id space for all types. */
export class ObjectTable {
  readonly #slots: (IommufdObject | Marker | undefined)[] = [undefined];
  readonly #waiters: { readonly object: IommufdObject; readonly resume: (atTick: Tick) => void }[] = [];
  readonly #timeline: Timeline;
  #lowestFree = FIRST_ID;
  #taken = 0;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** True when no id is taken, not even by a tombstone. */
  get isEmpty(): boolean {
    return this.#taken === 0;
  }

  /**
   * Takes the lowest free id for `object`; look-ups do not see it until {@link publish}. Returns 0 or -ENOMEM.
   */
  reserve(object: IommufdObject): number {
    let id = this.#lowestFree;
    while (this.#slots[id] !== undefined) id++;
    if (id > LAST_ID) return -Errno.ENOMEM;
    this.#slots[id] = 'reserved';
    this.#lowestFree = id + 1;
    this.#taken++;
    object.id = id;
    return 0;
  }

  /** Makes a reserved object visible: creation can no longer fail (iommufd_object_finalize). */
  publish(object: IommufdObject): void {
    assert(this.#slots[object.id] === 'reserved', `object ${object.id} published without reservation`);
    this.#slots[object.id] = object;
  }

  /** Gives the id of a failed creation back; runs no destructor (iommufd_object_abort). */
  abort(object: IommufdObject): void {
    assert(this.#slots[object.id] === 'reserved', `object ${object.id} aborted after publication`);
    this.#free(object.id);
  }

  /** {@link abort} for an object whose destructor must run too (iommufd_object_abort_and_destroy). */
  *abortAndDestroy(object: IommufdObject): KernelTask<void> {
    yield* object.destroy();
    this.abort(object);
  }

  /** The published object of that class, without taking a reference. */
  peek<T extends IommufdObject>(id: number, kind: ObjectClass<T>): T | undefined {
    const slot = this.#slots[id];
    return slot instanceof kind ? slot : undefined;
  }

  /** The published object of any class, without taking a reference. */
  peekAny(id: number): IommufdObject | undefined {
    const slot = this.#slots[id];
    return typeof slot === 'object' ? slot : undefined;
  }

  /**
   * The published object of that class with a short-term reference (iommufd_get_object); undefined = ENOENT. Pair with
   * {@link release}.
   */
  acquire<T extends IommufdObject>(id: number, kind: ObjectClass<T>): T | undefined {
    const slot = this.#slots[id];
    if (!(slot instanceof kind)) return undefined;
    slot.users++;
    slot.waitCount++;
    return slot;
  }

  /** {@link acquire} of any class (IOMMUFD_OBJ_ANY). */
  acquireAny(id: number): IommufdObject | undefined {
    const object = this.peekAny(id);
    if (object !== undefined) {
      object.users++;
      object.waitCount++;
    }
    return object;
  }

  /** Drops a short-term reference (iommufd_put_object). */
  release(object: IommufdObject): void {
    object.users--;
    object.waitCount--;
    assert(object.users >= 1 && object.waitCount >= 0, `object ${object.id}: reference dropped twice`);
    if (object.waitCount === 0 && this.#waiters.length > 0) this.#wake(object);
  }

  /** IOMMU_DESTROY: 0, -ENOENT or -EBUSY. */
  *destroyId(id: number): KernelTask<number> {
    const object = this.peekAny(id);
    if (object === undefined) return -Errno.ENOENT;
    if (object.users !== 1) return -Errno.EBUSY;
    this.#remove(object);
    yield* object.destroy();
    return 0;
  }

  /**
   * Drops the caller's reference and destroys the object when that was the last besides the table's
   * (iommufd_object_put_and_try_destroy): how automatic page tables go. Returns 0, or -EBUSY when somebody holds it.
   */
  *putAndTryDestroy(object: IommufdObject): KernelTask<number> {
    object.users--;
    if (object.users !== 1) return -Errno.EBUSY;
    this.#remove(object);
    yield* object.destroy();
    return 0;
  }

  /**
   * Destruction by the in-kernel owner (iommufd_object_destroy_user): waits for ioctls inside the object, drops the
   * owner's reference, destroys. `tombstone` keeps the id taken until the context goes.
   */
  *destroyByOwner(object: IommufdObject, tombstone = false): KernelTask<number> {
    if (object.waitCount > 0) yield this.#untilIdle(object);
    object.users--;
    if (object.users !== 1) return -Errno.EBUSY;
    this.#remove(object);
    if (tombstone) {
      this.#slots[object.id] = 'tombstone';
      this.#taken++;
    }
    yield* object.destroy();
    return 0;
  }

  /**
   * Context release (iommufd_fops_release): full passes over ascending ids, destroying what nobody else holds, until
   * nothing is left. Returns the number of leaked objects, 0 unless references are wrong.
   */
  *releaseAll(): KernelTask<number> {
    for (;;) {
      let destroyed = 0;
      let left = 0;
      for (let id = FIRST_ID; id < this.#slots.length; id++) {
        const object = this.peekAny(id);
        if (object === undefined) continue;
        left++;
        if (object.users !== 1) continue;
        this.#remove(object);
        yield* object.destroy();
        destroyed++;
      }
      if (left === 0) return 0;
      if (destroyed === 0) return left;
    }
  }

  /** Published objects in ascending id order. */
  *objects(): Generator<IommufdObject, void, undefined> {
    for (const slot of this.#slots) if (typeof slot === 'object') yield slot;
  }

  #remove(object: IommufdObject): void {
    object.users = 0;
    this.#free(object.id);
  }

  #free(id: number): void {
    this.#slots[id] = undefined;
    this.#taken--;
    if (id < this.#lowestFree) this.#lowestFree = id;
  }

  #untilIdle(object: IommufdObject): Condition {
    const waiters = this.#waiters;
    return {
      get ready() {
        return object.waitCount === 0;
      },
      park(resume) {
        waiters.push({ object, resume });
      },
    };
  }

  #wake(object: IommufdObject): void {
    for (let i = this.#waiters.length - 1; i >= 0; i--) {
      const waiter = this.#waiters[i];
      if (waiter?.object !== object) continue;
      this.#waiters.splice(i, 1);
      waiter.resume(this.#timeline.now);
    }
  }
}
