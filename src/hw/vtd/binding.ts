/**
 * What each requester's DMA is translated by, once its context and PASID entries are cached: the *binding* of a
 * (requester, PASID). Hardware gets it from the context and PASID caches on every request; here it is kept resolved per
 * requester slot, valid as long as the cached entries it came from, so that an IOTLB hit costs no second lookup. A
 * change of the entries in memory alone changes no binding: that is what makes missing invalidations visible.
 */
import { NO_PASID, type Pasid, type SourceId } from '../../address.ts';
import { NEVER } from '../../units.ts';
import { type ArraySource, HEAP_ARRAYS } from '../linear-memory.ts';

/** How a binding translates. */
export const BindingKind = { secondStage: 0, firstStage: 1, passThrough: 2, nested: 3 } as const;

/** Bindings of one unit, as columns by slot. */
export class Bindings {
  /** Requester index by device index; devices behind one bridge share a requester. */
  readonly requesterOf: Int32Array;
  /** Source id by requester index. */
  readonly sourceIds: readonly SourceId[];
  /** [ps] Valid from this tick on; NEVER while the entries are not cached. */
  readyTick: Float64Array;
  /** {@link BindingKind}. */
  kind: Uint8Array;
  /** Space of the IOTLB tags. */
  space: Int32Array;
  domainId: Int32Array;
  /** Slot of the top table in modelled memory, -1 when the pointer leads elsewhere; its paging level. */
  rootSlot: Int32Array;
  /** [4 KiB pages] Of a nested binding: the first stage's top table, an address of the second stage. Else -1. */
  firstPage: Float64Array;
  rootLevel: Uint8Array;
  /** 1: the unit sets accessed and dirty bits in the leaf. */
  accessDirty: Uint8Array;
  /** 1: faults are not recorded (FPD). */
  faultsHidden: Uint8Array;
  /** 1: translation requests and translated requests are let in (TT = 01b, DTE). */
  deviceTlb: Uint8Array;
  /** 1: page requests are let in (PRE). */
  pageRequests: Uint8Array;
  /** PASID the request is treated as: its own, or RID_PASID. */
  effectivePasid: Int32Array;
  /** [ps] Arrival of the request that resolved the binding last, and what it had been before. */
  resolvedTick: Float64Array;
  earlierDomainId: Int32Array;
  earlierRootSlot: Int32Array;
  earlierFirstPage: Float64Array;

  readonly #pasids: number[] = [];
  readonly #requesters: number[] = [];
  /** Slots with PASID by `requester * 2^20 + pasid`; used when the PASID differs from the requester's last one. */
  readonly #withPasid = new Map<number, number>();
  readonly #slotsOfRequester: number[][];
  /** By requester: the PASID of its last request with one, and the slot of that. */
  readonly lastPasid: Int32Array;
  readonly lastSlot: Int32Array;
  readonly #arrays: ArraySource;

  /** `deviceSourceIds`: source id of every device of the machine, by device index. */
  constructor(deviceSourceIds: readonly SourceId[], arrays: ArraySource = HEAP_ARRAYS) {
    this.#arrays = arrays;
    this.sourceIds = [...new Set(deviceSourceIds)];
    this.requesterOf = arrays.int32(deviceSourceIds.length);
    this.requesterOf.set(deviceSourceIds.map((id) => this.sourceIds.indexOf(id)));
    const count = Math.max(this.sourceIds.length, 1);
    this.readyTick = arrays.float64(count).fill(NEVER);
    this.kind = arrays.uint8(count);
    this.space = arrays.int32(count);
    this.domainId = arrays.int32(count);
    this.rootSlot = arrays.int32(count);
    this.firstPage = arrays.float64(count).fill(-1);
    this.rootLevel = arrays.uint8(count);
    this.accessDirty = arrays.uint8(count);
    this.faultsHidden = arrays.uint8(count);
    this.deviceTlb = arrays.uint8(count);
    this.pageRequests = arrays.uint8(count);
    this.effectivePasid = arrays.int32(count);
    this.resolvedTick = arrays.float64(count);
    this.earlierDomainId = arrays.int32(count).fill(-1);
    this.earlierRootSlot = arrays.int32(count).fill(-1);
    this.earlierFirstPage = arrays.float64(count).fill(-1);
    this.#slotsOfRequester = this.sourceIds.map((_, requester) => [requester]);
    this.lastPasid = arrays.int32(count).fill(-1);
    this.lastSlot = arrays.int32(count);
    for (let requester = 0; requester < this.sourceIds.length; requester++) {
      this.#requesters.push(requester);
      this.#pasids.push(NO_PASID);
    }
  }

  /** Requester index of a source id, or -1. */
  requesterOfSource(sourceId: SourceId): number {
    return this.sourceIds.indexOf(sourceId);
  }

  /** Slot of a requester's DMA with `pasid`; slot = requester index without PASID. @hot */
  slotOf(requester: number, pasid: number): number {
    if (pasid === NO_PASID) return requester;
    if (this.lastPasid[requester] === pasid) return this.lastSlot[requester]!;
    return this.#slotWithPasid(requester, pasid);
  }

  requester(slot: number): number {
    return this.#requesters[slot]!;
  }

  /** PASID of the slot's requests; 0 = without. */
  pasid(slot: number): Pasid {
    return this.#pasids[slot]! as Pasid;
  }

  /** Slots of a requester, the one without PASID first. */
  slotsOf(requester: number): readonly number[] {
    return this.#slotsOfRequester[requester]!;
  }

  /** Remembers what a slot was bound to, before it is resolved for a request that arrived at `atTick`. */
  keepEarlier(slot: number, atTick: number): void {
    this.resolvedTick[slot] = atTick;
    this.earlierDomainId[slot] = this.domainId[slot]!;
    this.earlierRootSlot[slot] = this.rootSlot[slot]!;
    this.earlierFirstPage[slot] = this.firstPage[slot]!;
  }

  /** High word of a page number as far as the slot's tables index it, or -1 when the address is too wide. @hot */
  tableHigh(slot: number, low: number, high: number): number {
    const bits = 9 * this.rootLevel[slot]! - 32;
    if (bits < 0) return high === 0 && low >>> (32 + bits) === 0 ? 0 : -1;
    if (this.kind[slot] === BindingKind.secondStage) return high >>> bits === 0 ? high : -1;
    const top = high >> (bits - 1);
    if (top === 0) return high;
    return top === 0xfffff >> (bits - 1) ? high & ((1 << bits) - 1) : -1;
  }

  /** Invalidates one slot. */
  drop(slot: number): void {
    this.readyTick[slot] = NEVER;
  }

  /** Invalidates all slots of a requester. */
  dropRequester(requester: number): void {
    for (const slot of this.#slotsOfRequester[requester]!) this.readyTick[slot] = NEVER;
  }

  /** Invalidates all slots. */
  dropAll(): void {
    this.readyTick.fill(NEVER);
  }

  #slotWithPasid(requester: number, pasid: number): number {
    const key = requester * 1048576 + pasid;
    let slot = this.#withPasid.get(key);
    if (slot === undefined) {
      slot = this.#pasids.length;
      if (slot >= this.readyTick.length) this.#grow();
      this.#pasids.push(pasid);
      this.#requesters.push(requester);
      this.#slotsOfRequester[requester]!.push(slot);
      this.#withPasid.set(key, slot);
    }
    this.lastPasid[requester] = pasid;
    this.lastSlot[requester] = slot;
    return slot;
  }

  #grow(): void {
    const size = this.readyTick.length * 2;
    this.readyTick = this.#grownNumbers(this.readyTick, size, NEVER);
    this.firstPage = this.#grownNumbers(this.firstPage, size, -1);
    this.earlierFirstPage = this.#grownNumbers(this.earlierFirstPage, size, -1);
    this.resolvedTick = this.#grownNumbers(this.resolvedTick, size, 0);
    this.kind = this.#grownBytes(this.kind, size);
    this.rootLevel = this.#grownBytes(this.rootLevel, size);
    this.accessDirty = this.#grownBytes(this.accessDirty, size);
    this.faultsHidden = this.#grownBytes(this.faultsHidden, size);
    this.deviceTlb = this.#grownBytes(this.deviceTlb, size);
    this.pageRequests = this.#grownBytes(this.pageRequests, size);
    this.space = this.#grownWords(this.space, size);
    this.domainId = this.#grownWords(this.domainId, size);
    this.rootSlot = this.#grownWords(this.rootSlot, size);
    this.effectivePasid = this.#grownWords(this.effectivePasid, size);
    this.earlierDomainId = this.#grownWords(this.earlierDomainId, size);
    this.earlierRootSlot = this.#grownWords(this.earlierRootSlot, size);
  }

  #grownBytes(old: Uint8Array, size: number): Uint8Array {
    const grown = this.#arrays.uint8(size);
    grown.set(old);
    return grown;
  }

  #grownNumbers(old: Float64Array, size: number, rest: number): Float64Array {
    const grown = this.#arrays.float64(size).fill(rest);
    grown.set(old);
    return grown;
  }

  #grownWords(old: Int32Array, size: number): Int32Array {
    const grown = this.#arrays.int32(size);
    grown.set(old);
    return grown;
  }
}
