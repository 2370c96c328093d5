/**
 * The least hardware that a driver can talk to: capability registers, and an invalidation queue that completes every wait
 * descriptor a fixed delay after the tail write. No caches, no translation. An independent oracle of the descriptor
 * layout: it decodes what the driver left in memory by the bit numbers of VT-d spec 6.5.2.
 */
import type { PhysicalMemory } from '../../src/hw/memory.ts';
import type { Timeline } from '../../src/timeline.ts';
import type { Tick } from '../../src/units.ts';

/** Registers of a unit whose queue does nothing but answer. */
export class QueueUnit {
  readonly #memory: PhysicalMemory;
  readonly #timeline: Timeline;
  readonly #delayTicks: number;
  readonly #registers = new Map<number, number>();
  #head = 0;
  /** Register writes other than the tail, in order. */
  readonly writes: { readonly register: number; readonly lo: number; readonly hi: number }[] = [];
  /** Non-wait descriptors fetched from memory, as four words. */
  readonly fetched: number[][] = [];

  constructor(memory: PhysicalMemory, timeline: Timeline, capHex: string, ecapHex: string, delayTicks = 0) {
    this.#memory = memory;
    this.#timeline = timeline;
    this.#delayTicks = delayTicks;
    for (const [register, hex] of [
      [0x08, capHex],
      [0x10, ecapHex],
    ] as const) {
      const value = BigInt(`0x${hex}`);
      this.#registers.set(register, Number(value & 0xffff_ffffn));
      this.#registers.set(register + 4, Number(value >> 32n));
    }
  }

  mmioRead(register: number): number {
    return this.#registers.get(register) ?? 0;
  }

  mmioWrite(register: number, lo: number, hi: number, atTick: Tick): void {
    this.#registers.set(register, lo >>> 0);
    this.#registers.set(register + 4, hi >>> 0);
    if (register === 0x88) this.#doorbell(lo, atTick);
    else this.writes.push({ register, lo: lo >>> 0, hi: hi >>> 0 });
  }

  #doorbell(tail: number, atTick: Tick): void {
    const queueAddress = this.mmioRead(0x90);
    const bytes = (queueAddress & 0x800) !== 0 ? 32 : 16;
    const size = 4096 << (queueAddress & 7);
    const ring = this.mmioRead(0x94) * 1048576 + Math.floor(queueAddress / 4096);
    while (this.#head !== tail) {
      const frame = (ring + Math.floor(this.#head / 4096)) as never;
      const word = (this.#head % 4096) / 4;
      const words = [0, 1, 2, 3].map((index) => this.#memory.readWord(frame, word + index));
      const low = words[0] as number;
      if ((low & 0xf) === 5) {
        const target = (words[2] as number) + (words[3] as number) * 2 ** 32;
        const value = words[1] as number;
        const write = (at: Tick): void => {
          this.#memory.hardwareWrite(Math.floor(target / 4096) as never, (target % 4096) / 4, value, at);
        };
        if ((low & 0x20) !== 0) this.#timeline.schedule((atTick + this.#delayTicks) as Tick, write);
      } else {
        this.fetched.push(words);
      }
      this.#head = (this.#head + bytes) % size;
    }
  }
}
