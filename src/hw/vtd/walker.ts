/**
 * Page walks over modelled memory: second stage of 3, 4 or 5 levels, first stage of 4 or 5, with 2 MiB and 1 GiB leaves
 * (VT-d spec 3.6, 3.7, 9.7, 9.8). A walk reads the words as they are at this moment and has no notion of time; the
 * caller charges {@link Walker.reads}.
 *
 * A leaf of a size that CAP does not offer has a reserved bit set: its page-size bit.
 *
 * APPROX: no other reserved bits are checked; accessed bits are set in leaf entries only.
 */

import { type PhysicalMemory, WORDS_PER_FRAME } from '../memory.ts';
import { DmaFlag } from '../unit.ts';
import { slotFromEntry } from './context-cache.ts';
import { type FaultCodes, FaultReason } from './fault-reasons.ts';
import { FsEntry, SsEntry } from './layout.ts';
import { Cap } from './registers.ts';

// Copies of this module's own: V8 folds these into the loop, an imported binding it loads each time.
const Ss = SsEntry;
const Fs = FsEntry;
const Reason = FaultReason;
const FRAME_WORDS = WORDS_PER_FRAME;
const Flag = DmaFlag;

/** Permission bits of a translation, as in IOMMU_READ, IOMMU_WRITE. */
export const PROT_READ = 1;
export const PROT_WRITE = 2;

/** Levels above 1 whose entries may be leaves, bit n for level n, by stage. */
export interface LeafLevels {
  readonly second: number;
  readonly first: number;
}

/** Leaf levels by CAP: 2 MiB where the stage has it, the first stage always; 1 GiB by a capability of each stage. */
export function leafLevels(cap: readonly [number, number]): LeafLevels {
  return { second: (Cap.ssLargePages(cap[1]) & 3) << 2, first: Cap.fs1Gib(cap[1]) ? 0xc : 0x4 };
}

/** Walks tables; the result of the last walk is in its fields. */
export class Walker {
  /** True: leave accessed and dirty bits in memory alone. */
  readOnly = false;
  /** Table reads made. */
  reads = 0;
  /** Fault reason, 0 = translated. */
  fault: number = Reason.none;
  /** With a second-stage permission fault: the entry it ended at had neither permission, there is nothing mapped. */
  notPresent = false;
  /** Words of the leaf entry. */
  leafLow = 0;
  leafHigh = 0;
  /** Size of the leaf: 0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB. */
  size = 0;
  /** Permissions over all levels. With accessed/dirty tracking, write is left out until the leaf is dirty. */
  prot = 0;
  /** By level of the entry read (2 ..): slot of the table it leads to and permissions so far. */
  readonly pathSlot = new Int32Array(8);
  readonly pathProt = new Int32Array(8);

  readonly #memory: PhysicalMemory;
  readonly #codes: FaultCodes;
  readonly #secondLeaves: number;
  readonly #firstLeaves: number;

  constructor(memory: PhysicalMemory, codes: FaultCodes, leaves: LeafLevels) {
    this.#memory = memory;
    this.#codes = codes;
    this.#secondLeaves = leaves.second;
    this.#firstLeaves = leaves.first;
  }

  /**
   * Second stage, from the table `tableSlot` at `level` on, with permissions `prot` so far. `scalable` selects the
   * fault codes, `accessDirty` sets A and D in the leaf (SSADE). @hot
   */
  secondStage(
    tableSlot: number,
    level: number,
    prot: number,
    low: number,
    high: number,
    flags: number,
    scalable: boolean,
    accessDirty: boolean,
  ): void {
    const words = this.#memory.words;
    const needed = (flags & Flag.write) !== 0 ? PROT_WRITE : PROT_READ;
    let slot = tableSlot;
    let at = level;
    let allowed = prot;
    let reads = 0;
    this.fault = Reason.none;
    this.notPresent = false;
    for (;;) {
      reads++;
      if (slot < 0) {
        this.fault = scalable ? Reason.ssTableAccess : Reason.tableAccess;
        break;
      }
      const word = slot * FRAME_WORDS + (tableIndexOf(low, high, at) << 1);
      const entry = words[word]!;
      allowed &= entry;
      if ((allowed & needed) === 0) {
        this.fault = this.permissionFault(needed, scalable);
        this.notPresent = (entry & (PROT_READ | PROT_WRITE)) === 0;
        break;
      }
      if (at === 1 || (entry & Ss.pageSize) !== 0) {
        if (at > 1 && ((this.#secondLeaves >>> at) & 1) === 0) {
          this.fault = scalable ? Reason.ssReserved : Reason.tableReserved;
          break;
        }
        this.size = at - 1;
        this.leafLow = entry;
        this.leafHigh = words[word + 1]!;
        this.prot = accessDirty ? this.#trackSecondStage(word, entry, needed, allowed) : allowed;
        break;
      }
      slot = slotFromEntry(this.#memory, entry, words[word + 1]!);
      this.pathSlot[at] = slot;
      this.pathProt[at] = allowed;
      at--;
    }
    this.reads = reads;
  }

  /** First stage, likewise; accessed and dirty bits are always kept. @hot */
  firstStage(tableSlot: number, level: number, prot: number, low: number, high: number, flags: number): void {
    const words = this.#memory.words;
    const write = (flags & Flag.write) !== 0;
    let slot = tableSlot;
    let at = level;
    let allowed = prot;
    let reads = 0;
    this.fault = Reason.none;
    this.notPresent = false;
    for (;;) {
      reads++;
      if (slot < 0) {
        this.fault = Reason.fsTableAccess;
        break;
      }
      const word = slot * FRAME_WORDS + (tableIndexOf(low, high, at) << 1);
      const entry = words[word]!;
      if ((entry & Fs.present) === 0) {
        this.fault = Reason.fsNotPresent;
        break;
      }
      const leaf = at === 1 || (entry & Fs.pageSize) !== 0;
      if (leaf && at > 1 && ((this.#firstLeaves >>> at) & 1) === 0) {
        this.fault = Reason.fsReserved;
        break;
      }
      if ((entry & Fs.user) === 0) {
        this.fault = Reason.fsUser;
        break;
      }
      if ((entry & Fs.write) === 0) allowed &= ~PROT_WRITE;
      if (write && (allowed & PROT_WRITE) === 0) {
        this.fault = Reason.fsWrite;
        break;
      }
      if (leaf) {
        const updated = entry | Fs.accessed | (write ? Fs.dirty : 0);
        if (updated !== entry && !this.readOnly) words[word] = updated;
        this.size = at - 1;
        this.leafLow = updated;
        this.leafHigh = words[word + 1]!;
        this.prot = (updated & Fs.dirty) === 0 ? allowed & ~PROT_WRITE : allowed;
        break;
      }
      slot = slotFromEntry(this.#memory, entry, words[word + 1]!);
      this.pathSlot[at] = slot;
      this.pathProt[at] = allowed;
      at--;
    }
    this.reads = reads;
  }

  #trackSecondStage(word: number, entry: number, needed: number, allowed: number): number {
    const updated = entry | Ss.accessed | (needed === PROT_WRITE ? Ss.dirty : 0);
    if (updated !== entry && !this.readOnly) this.#memory.words[word] = updated;
    this.leafLow = updated;
    return (updated & Ss.dirty) === 0 ? allowed & ~PROT_WRITE : allowed;
  }

  /** Reason of a second-stage permission fault. */
  permissionFault(needed: number, scalable: boolean): number {
    if (!scalable) return needed === PROT_WRITE ? Reason.write : Reason.read;
    return needed === PROT_WRITE ? this.#codes.scalableSsWrite : this.#codes.scalableSsRead;
  }
}

/** Index into the table of `level` of the page whose number has the words `low` and `high`. */
export function tableIndexOf(low: number, high: number, level: number): number {
  if (level === 1) return low & 511;
  if (level === 2) return (low >>> 9) & 511;
  if (level === 3) return (low >>> 18) & 511;
  if (level === 4) return ((low >>> 27) | (high << 5)) & 511;
  return (high >>> 4) & 511;
}
