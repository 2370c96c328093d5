/**
 * One VT-d unit as the driver keeps it (struct intel_iommu): its capabilities, root table, invalidation queue and the
 * domain ids handed out on it.
 */
import { addressHigh, addressLow, type DomainId, type Pfn } from '../../../address.ts';
import { assert } from '../../../assert.ts';
import { Errno } from '../../../errno.ts';
import type { PhysicalMemory } from '../../../hw/memory.ts';
import { NO_ANSWER, type PciConfig, PciRegister } from '../../../hw/pci-function.ts';
import { GCMD_REG, GlobalCommand, RTADDR_REG, TranslationTableMode } from '../../../hw/vtd/registers.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { KernelTask } from '../../kernel/task.ts';
import { readCapabilities, type UnitCapabilities, type UnitRegisters } from './capabilities.ts';
import { DescriptorBatch, drainBits, pushContextGlobal, pushIotlbGlobal, pushPasidCacheGlobal } from './descriptors.ts';
import type { EntryAction, EntryStepObserver } from './entry-step.ts';
import { PageRequestReader } from './prq.ts';
import { InvalidationQueue, type SubmissionObserver } from './qi.ts';

/** Domain id of pass-through (and SVA) entries (FLPT_DEFAULT_DID); 0 is reserved. */
export const PASS_THROUGH_DID = 1 as DomainId;
const FIRST_DYNAMIC_DID = 2;

/** A unit to be driven. */
export interface UnitSpec {
  /** As the kernel names it, e.g. `dmar0`. */
  readonly name: string;
  readonly registers: UnitRegisters;
  /** Scalable mode if the unit has it (intel_iommu=sm_on). */
  readonly scalable: boolean;
}

/** A unit being driven. */
export class IntelUnit {
  readonly name: string;
  readonly index: number;
  readonly caps: UnitCapabilities;
  readonly memory: PhysicalMemory;
  readonly kernel: Kernel;
  readonly queue: InvalidationQueue;
  /** Only in scalable mode on a unit with page requests. */
  readonly pageRequests: PageRequestReader | undefined;
  readonly root: Pfn;
  /** Configuration registers of the devices behind it, by requester id. */
  readonly functions = new Map<number, PciConfig>();
  /** DR/DW bits of this unit's IOTLB descriptors. */
  readonly drain: number;
  readonly #registers: UnitRegisters;
  readonly #didUsed: Uint8Array;
  /** Told about every change of a context or PASID entry. */
  onEntryStep: EntryStepObserver | undefined;
  #lowestFreeDid = FIRST_DYNAMIC_DID;
  /** GCMD bits that stay set (iommu->gcmd). */
  #command = 0;

  constructor(
    kernel: Kernel,
    memory: PhysicalMemory,
    spec: UnitSpec,
    index: number,
    observer: SubmissionObserver | undefined,
  ) {
    this.kernel = kernel;
    this.memory = memory;
    this.name = spec.name;
    this.index = index;
    this.#registers = spec.registers;
    this.caps = readCapabilities(spec.registers, spec.scalable);
    this.drain = drainBits(this.caps.drainRead, this.caps.drainWrite);
    this.#didUsed = new Uint8Array(2 ** this.caps.domainIdBits);
    this.root = memory.allocFrame();
    const isGone = (sourceId: number): boolean =>
      this.functions.get(sourceId)?.read(PciRegister.vendorId) === NO_ANSWER;
    const { wideDescriptors } = this.caps;
    this.queue = new InvalidationQueue(kernel, memory, spec.registers, spec.name, wideDescriptors, observer, isGone);
    const takesRequests = this.caps.scalable && this.caps.pageRequest;
    this.pageRequests = takesRequests ? new PageRequestReader(kernel, memory, spec.registers) : undefined;
  }

  /** Reports a store to an entry; `piece` -1 = all of it. */
  noteEntry(sourceId: number, pasid: number, action: EntryAction, piece = -1): void {
    this.onEntryStep?.({ unit: this.name, sourceId, pasid, action, piece, atTick: this.kernel.now });
  }

  /** Lowest free dynamic domain id, or -ENOSPC. */
  allocDomainId(): number {
    for (let did = this.#lowestFreeDid; did < this.#didUsed.length; did++) {
      if (this.#didUsed[did] !== 0) continue;
      this.#didUsed[did] = 1;
      this.#lowestFreeDid = did + 1;
      return did;
    }
    return -Errno.ENOSPC;
  }

  freeDomainId(did: number): void {
    assert(this.#didUsed[did] === 1, 'domain id freed twice');
    this.#didUsed[did] = 0;
    if (did < this.#lowestFreeDid) this.#lowestFreeDid = did;
  }

  /**
   * Queue and root table (dmar_enable_qi, iommu_set_root_entry): queued invalidation on, root pointer latched, then
   * global context, PASID-cache (scalable) and IOTLB invalidation. Translation stays off.
   */
  *start(): KernelTask<void> {
    this.queue.program();
    this.#command |= GlobalCommand.qie;
    this.#writeCommand(0);
    const mode = this.caps.scalable ? TranslationTableMode.scalable : TranslationTableMode.legacy;
    this.#registers.mmioWrite(
      RTADDR_REG,
      (addressLow(this.root) | mode) >>> 0,
      addressHigh(this.root),
      this.kernel.now,
    );
    this.#writeCommand(GlobalCommand.srtp);
    const batch = new DescriptorBatch(1);
    pushContextGlobal(batch);
    yield* this.queue.submit(batch);
    if (this.caps.scalable) {
      pushPasidCacheGlobal(batch);
      yield* this.queue.submit(batch);
    }
    pushIotlbGlobal(batch, this.drain);
    yield* this.queue.submit(batch);
  }

  /** Page request queue, then translation on (intel_iommu_enable_prq, iommu_enable_translation). */
  enableTranslation(): void {
    this.pageRequests?.enable();
    this.#command |= GlobalCommand.te;
    this.#writeCommand(0);
  }

  /** Write-buffer flush by register, only where CAP.RWBF asks for it: one register write. */
  *flushWriteBuffer(): KernelTask<void> {
    if (this.caps.writeBufferFlush) yield { deltaTicks: this.kernel.costs.mmioWrite, bucket: 'submit' };
  }

  #writeCommand(oneShot: number): void {
    this.#registers.mmioWrite(GCMD_REG, (this.#command | oneShot) >>> 0, 0, this.kernel.now);
  }
}
