/**
 * Where the state of the data plane lives: typed arrays in one WebAssembly memory, so that compiled code and TypeScript
 * see the same words. The memory is shared in the sense of WebAssembly: when it grows, arrays made before stay valid.
 */

/** Makes zeroed typed arrays. */
export interface ArraySource {
  int32(length: number): Int32Array;
  uint32(length: number): Uint32Array;
  uint16(length: number): Uint16Array;
  uint8(length: number): Uint8Array;
  float64(length: number): Float64Array;
}

/** Arrays of their own, for state that no compiled code looks at. */
export const HEAP_ARRAYS: ArraySource = {
  int32: (length) => new Int32Array(length),
  uint32: (length) => new Uint32Array(length),
  uint16: (length) => new Uint16Array(length),
  uint8: (length) => new Uint8Array(length),
  float64: (length) => new Float64Array(length),
};

/** [bytes] */
const PAGE_BYTES = 65536;
/** [64 KiB pages] 4 GiB: all that 32-bit pointers reach. Pages cost nothing before they are written. */
const MAX_PAGES = 65536;
/** [64 KiB pages] The memory grows by at least this much. */
const GROWTH_PAGES = 16;
/** [bytes] Every array begins at a multiple of this: a cache line. */
const ALIGNMENT = 64;

/** [bytes] See {@link LinearMemory.ballast}. */
const BALLAST_BYTES = 4 << 20;

/** Allocates arrays in one memory, front to back; nothing is given back. */
export class LinearMemory implements ArraySource {
  readonly memory: WebAssembly.Memory;
  /**
   * Never written, hence nearly free, but counted by V8's garbage collector, which takes no account of shared memory:
   * without it thousands of machines that nobody needs any more wait for a collection that nothing asks for.
   */
  readonly ballast = new ArrayBuffer(BALLAST_BYTES);
  #end = ALIGNMENT;
  #pages = GROWTH_PAGES;

  constructor() {
    this.memory = new WebAssembly.Memory({ initial: GROWTH_PAGES, maximum: MAX_PAGES, shared: true });
  }

  int32(length: number): Int32Array {
    return new Int32Array(...this.#allocate(length * 4), length);
  }

  uint32(length: number): Uint32Array {
    return new Uint32Array(...this.#allocate(length * 4), length);
  }

  uint16(length: number): Uint16Array {
    return new Uint16Array(...this.#allocate(length * 2), length);
  }

  uint8(length: number): Uint8Array {
    return new Uint8Array(...this.#allocate(length), length);
  }

  float64(length: number): Float64Array {
    return new Float64Array(...this.#allocate(length * 8), length);
  }

  /** `array` with `length` elements, the new ones zero: in its place when it was allocated last, else a copy. */
  extended(array: Int32Array, length: number): Int32Array {
    const begin = array.byteOffset;
    if (begin + aligned(array.byteLength) === this.#end) {
      this.#end = begin;
      return new Int32Array(...this.#allocate(length * 4), length);
    }
    const moved = this.int32(length);
    moved.set(array);
    return moved;
  }

  #allocate(sizeBytes: number): [ArrayBufferLike, number] {
    const begin = this.#end;
    const end = begin + aligned(sizeBytes);
    const pages = Math.ceil(end / PAGE_BYTES);
    if (pages > this.#pages) {
      const grown = Math.min(Math.max(pages, this.#pages + GROWTH_PAGES), MAX_PAGES);
      if (pages > MAX_PAGES) throw new RangeError(`the modelled machine needs ${end} bytes; 4 GiB is the most`);
      this.memory.grow(grown - this.#pages);
      this.#pages = grown;
    }
    this.#end = end;
    return [this.memory.buffer, begin];
  }
}

function aligned(sizeBytes: number): number {
  return Math.ceil(sizeBytes / ALIGNMENT) * ALIGNMENT;
}
