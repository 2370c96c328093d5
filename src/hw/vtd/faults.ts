/**
 * Primary fault logging: fault recording registers, FSTS and FECTL (VT-d spec 7.2.1, 11.4.9). A fault is dropped when an
 * overflow is pending, merged when a record of the same requester is still pending, and lost, setting the overflow bit,
 * when the next record has not been cleared by software. Records are used round and round; FSTS.FRI names the one that
 * turned the pending bit on, which is where software begins to read. Masking of the fault event is not modelled: the event is
 * raised whenever the pending bit turns on.
 */
import type { Tick } from '../../units.ts';
import { Counter, type UnitCounters } from './counters.ts';
import { FaultStatus } from './registers.ts';

const RECORD_WORDS = 4;
/** Bit 127 of a record: valid. */
const RECORD_F = 0x8000_0000;

/** Fault recording of one unit. */
export class FaultRecorder {
  /** FSTS bits PFO, PPF and the field FRI, 0 while PPF is off; queue errors are or-ed in by the queue. */
  status = 0;
  /** Called when PPF turns on: the fault event interrupt. */
  onEvent: ((atTick: Tick) => void) | undefined;

  readonly #records: Uint32Array;
  readonly #counters: UnitCounters;
  #next = 0;

  constructor(recordCount: number, counters: UnitCounters) {
    this.#records = new Uint32Array(recordCount * RECORD_WORDS);
    this.#counters = counters;
  }

  /**
   * Reports a fault of a request; `low`, `high` are the words of its page number. `hasPasid` sets the PP bit: the request
   * carried a PASID.
   */
  report(
    sourceId: number,
    pasid: number,
    hasPasid: boolean,
    reason: number,
    write: boolean,
    low: number,
    high: number,
    atTick: Tick,
  ): void {
    const values = this.#counters.values;
    if ((this.status & FaultStatus.pfo) !== 0) {
      values[Counter['model.fault_records_lost']]!++;
      return;
    }
    if (this.#pending(sourceId)) {
      values[Counter['model.fault_records_collapsed']]!++;
      return;
    }
    const word = this.#next * RECORD_WORDS;
    if ((this.#records[word + 3]! & RECORD_F) !== 0) {
      this.status |= FaultStatus.pfo;
      values[Counter['model.fault_records_lost']]!++;
      return;
    }
    this.#records[word] = low << 12;
    this.#records[word + 1] = (high << 12) | (low >>> 20);
    this.#records[word + 2] = sourceId | (hasPasid ? 0x8000_0000 : 0);
    // FR in bits 103:96, PASID value in 123:104, T1 (type: set for reads) in bit 126.
    this.#records[word + 3] = RECORD_F | (write ? 0 : 0x4000_0000) | ((pasid & 0xf_ffff) << 8) | reason;
    const raised = (this.status & FaultStatus.ppf) === 0;
    if (raised) this.status |= FaultStatus.ppf | (this.#next << FaultStatus.friShift);
    this.#next = (this.#next + 1) % (this.#records.length / RECORD_WORDS);
    values[Counter['model.fault_records']]!++;
    if (raised) this.onEvent?.(atTick);
  }

  /** Word of the record area, 4 words a record. */
  read(word: number): number {
    return this.#records[word] ?? 0;
  }

  /** Software write to the record area: writing 1 to F clears the record. */
  write(word: number, value: number): void {
    if (word % RECORD_WORDS !== 3 || (value & RECORD_F) === 0 || word >= this.#records.length) return;
    this.#records[word]! &= ~RECORD_F;
    if (!this.#anyPending()) this.status &= ~(FaultStatus.ppf | (FaultStatus.friMask << FaultStatus.friShift));
  }

  /** Software write of 1 to PFO. */
  clearOverflow(): void {
    this.status &= ~FaultStatus.pfo;
  }

  #pending(sourceId: number): boolean {
    for (let word = 0; word < this.#records.length; word += RECORD_WORDS) {
      if ((this.#records[word + 3]! & RECORD_F) !== 0 && (this.#records[word + 2]! & 0xffff) === sourceId) return true;
    }
    return false;
  }

  #anyPending(): boolean {
    for (let word = 3; word < this.#records.length; word += RECORD_WORDS) {
      if ((this.#records[word]! & RECORD_F) !== 0) return true;
    }
    return false;
  }
}
