/** Registers of a unit and what writing them does (VT-d spec chapter "Register Descriptions"). */
import type { Tick } from '../../units.ts';
import type { FaultRecorder } from './faults.ts';
import type { InvalidationQueue } from './invalidation-queue.ts';
import type { PageRequestQueue } from './page-request-queue.ts';
import {
  CAP_REG,
  Cap,
  ECAP_REG,
  FaultStatus,
  FSTS_REG,
  GCMD_REG,
  GlobalCommand,
  GSTS_REG,
  ICS_REG,
  IQA_REG,
  IQERCD_REG,
  IQH_REG,
  IQT_REG,
  PQA_REG,
  PQH_REG,
  PQT_REG,
  PRS_REG,
  RTADDR_REG,
  TranslationTableMode,
  TTM_MASK,
  VER_REG,
} from './registers.ts';
import type { Translator } from './translator.ts';

/** Version 6.0: queued invalidation only. */
const VERSION = 0x60;
const ONE_SHOT = GlobalCommand.srtp;

/** The registers. */
export class RegisterFile {
  readonly #cap: readonly [number, number];
  readonly #ecap: readonly [number, number];
  readonly #translator: Translator;
  readonly #queue: InvalidationQueue;
  readonly #faults: FaultRecorder;
  readonly #pages: PageRequestQueue;
  readonly #recordBase: number;
  readonly #recordBytes: number;
  #status = 0;
  #rootLow = 0;
  #rootHigh = 0;
  #iqaLow = 0;
  #iqaHigh = 0;

  constructor(
    cap: readonly [number, number],
    ecap: readonly [number, number],
    translator: Translator,
    queue: InvalidationQueue,
    faults: FaultRecorder,
    pages: PageRequestQueue,
  ) {
    this.#pages = pages;
    this.#cap = cap;
    this.#ecap = ecap;
    this.#translator = translator;
    this.#queue = queue;
    this.#faults = faults;
    this.#recordBase = Cap.faultRecordingOffset(cap[0], cap[1]);
    this.#recordBytes = Cap.faultRecords(cap[1]) * 16;
  }

  /** u32 word at `register`; the high word of a 64-bit register is at `register + 4`. */
  read(register: number): number {
    switch (register) {
      case VER_REG:
        return VERSION;
      case CAP_REG:
        return this.#cap[0] >>> 0;
      case CAP_REG + 4:
        return this.#cap[1] >>> 0;
      case ECAP_REG:
        return this.#ecap[0] >>> 0;
      case ECAP_REG + 4:
        return this.#ecap[1] >>> 0;
      case GSTS_REG:
        return this.#status >>> 0;
      case RTADDR_REG:
        return this.#rootLow >>> 0;
      case RTADDR_REG + 4:
        return this.#rootHigh >>> 0;
      case FSTS_REG:
        return this.#faults.status | this.#queue.status;
      case IQH_REG:
        return this.#queue.headRegister;
      case IQT_REG:
        return this.#queue.tailRegister;
      case IQA_REG:
        return this.#iqaLow >>> 0;
      case IQA_REG + 4:
        return this.#iqaHigh >>> 0;
      case ICS_REG:
        return this.#queue.completion;
      case IQERCD_REG + 4:
        return this.#queue.silentSource;
      case PQH_REG:
        return this.#pages.headRegister;
      case PQT_REG:
        return this.#pages.tailRegister;
      case PRS_REG:
        return this.#pages.status;
      default: {
        const offset = register - this.#recordBase;
        return offset >= 0 && offset < this.#recordBytes ? this.#faults.read(offset >>> 2) : 0;
      }
    }
  }

  /** Software write. Registers that are not modelled ignore it. */
  write(register: number, lo: number, hi: number, atTick: Tick): void {
    switch (register) {
      case GCMD_REG:
        this.#command(lo, atTick);
        return;
      case RTADDR_REG:
        this.#rootLow = lo;
        this.#rootHigh = hi;
        return;
      case FSTS_REG:
        if ((lo & FaultStatus.pfo) !== 0) this.#faults.clearOverflow();
        if ((lo & (FaultStatus.iqe | FaultStatus.ite)) !== 0) {
          this.#queue.resume(lo & (FaultStatus.iqe | FaultStatus.ite), atTick);
        }
        return;
      case IQA_REG:
        this.#iqaLow = lo;
        this.#iqaHigh = hi;
        this.#queue.configure(lo, hi);
        return;
      case IQT_REG:
        this.#queue.ring(lo, atTick);
        return;
      case ICS_REG:
        this.#queue.completion &= ~lo;
        return;
      case PQA_REG:
        this.#pages.configure(lo, hi);
        return;
      case PQH_REG:
        this.#pages.headRegister = lo;
        return;
      case PRS_REG:
        this.#pages.clearStatus(lo);
        return;
      default: {
        const offset = register - this.#recordBase;
        if (offset < 0 || offset >= this.#recordBytes) return;
        this.#faults.write(offset >>> 2, lo);
        this.#faults.write((offset >>> 2) + 1, hi);
      }
    }
  }

  /** VT-d spec 11.4.4: commands take effect at once; the modelled driver reads GSTS without waiting. */
  #command(lo: number, atTick: Tick): void {
    const translator = this.#translator;
    if ((lo & GlobalCommand.srtp) !== 0) {
      translator.resolver.rootPfn = (this.#rootHigh & 0xfffff) * 1048576 + (this.#rootLow >>> 12);
      translator.resolver.scalable = (this.#rootLow & TTM_MASK) === TranslationTableMode.scalable;
    }
    const enable = (lo & GlobalCommand.te) !== 0;
    if (enable !== translator.enabled) {
      translator.enabled = enable;
      translator.bindings.dropAll();
    }
    this.#queue.enable((lo & GlobalCommand.qie) !== 0, atTick);
    this.#status = (lo & ~ONE_SHOT) | ((lo | this.#status) & ONE_SHOT);
  }
}
