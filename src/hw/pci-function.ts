/**
 * The configuration registers of a PCI function that decide about address translation services: what a driver writes and
 * an endpoint obeys (PCI Express Base Specification, "ATS Extended Capability" and "Page Request Extended Capability").
 *
 * APPROX: a write takes effect when it is made; its flight to the endpoint is part of what the driver is charged for it.
 */
import type { Tick } from '../units.ts';

/** Registers, by numbers of this model: capabilities have no fixed place in configuration space. */
export const PciRegister = {
  /** Vendor id: all ones when nobody answers. */
  vendorId: 0,
  /** ATS Capability: bits 4:0 invalidate queue depth, 0 = 32. */
  atsCapability: 1,
  /** ATS Control: bit 15 enable. */
  atsControl: 2,
  /** Page Request Control: bit 0 enable, bit 1 reset. */
  priControl: 3,
  /** Outstanding Page Request Capacity. */
  priCapacity: 4,
} as const;

/** ATS Control, bit 15. */
export const ATS_ENABLE = 0x8000;
/** Page Request Control, bit 0. */
export const PRI_ENABLE = 0x1;
/** What a read of an absent function answers, in 16 bits. */
export const NO_ANSWER = 0xffff;
const VENDOR_ID = 0x8086;

/** Configuration space as software reaches it. */
export interface PciConfig {
  /** 16 or 32 bits; {@link NO_ANSWER} when the function is gone or has no such capability. */
  read(register: number): number;
  write(register: number, value: number, atTick: Tick): void;
}

/** What a function can do. */
export interface PciCapabilities {
  readonly ats: boolean;
  /** Invalidations it takes at once, 1 .. 32. */
  readonly invalidateQueueDepth: number;
  readonly pri: boolean;
  /** Page requests it may have open. */
  readonly pageRequestCapacity: number;
}

/** The registers of one function. */
export class PciFunction implements PciConfig {
  readonly capabilities: PciCapabilities;
  /** False once the function was pulled out: reads answer all ones, messages stay unanswered. */
  present = true;
  /** Called when ATS is switched on or off. */
  onAtsChange: ((enabled: boolean, atTick: Tick) => void) | undefined;
  #atsControl = 0;
  #priControl = 0;

  constructor(capabilities: PciCapabilities) {
    this.capabilities = capabilities;
  }

  get atsEnabled(): boolean {
    return (this.#atsControl & ATS_ENABLE) !== 0;
  }

  get priEnabled(): boolean {
    return (this.#priControl & PRI_ENABLE) !== 0;
  }

  read(register: number): number {
    if (!this.present) return NO_ANSWER;
    const { ats, pri, invalidateQueueDepth, pageRequestCapacity } = this.capabilities;
    switch (register) {
      case PciRegister.vendorId:
        return VENDOR_ID;
      case PciRegister.atsCapability:
        return ats ? invalidateQueueDepth % 32 : NO_ANSWER;
      case PciRegister.atsControl:
        return ats ? this.#atsControl : NO_ANSWER;
      case PciRegister.priControl:
        return pri ? this.#priControl : NO_ANSWER;
      case PciRegister.priCapacity:
        return pri ? pageRequestCapacity : NO_ANSWER;
      default:
        return NO_ANSWER;
    }
  }

  write(register: number, value: number, atTick: Tick): void {
    if (!this.present) return;
    const { ats, pri } = this.capabilities;
    if (register === PciRegister.atsControl && ats) {
      const before = this.atsEnabled;
      this.#atsControl = value & ATS_ENABLE;
      if (this.atsEnabled !== before) this.onAtsChange?.(this.atsEnabled, atTick);
    } else if (register === PciRegister.priControl && pri) {
      this.#priControl = value & PRI_ENABLE;
    }
  }
}
