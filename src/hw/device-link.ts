/**
 * A device and its PCIe link: how many requests it keeps outstanding, how fast it can issue them, how long they take on
 * the wire. All arithmetic is busy-until; a request is one to a few TLPs of one 4 KiB page.
 *
 * Sources: wire overheads as in the pcie-bench model (Neugebauer et al., SIGCOMM 2018, model/pcie.py); windows and issue
 * intervals are fitted to pcie-bench/data and come from the hardware profile.
 *
 * Tags come back in any order: a request waits for whichever is free first (pcie-bench's bandwidth sweeps at 128 and
 * 256 bytes exclude reuse in order of issue).
 *
 * APPROX: the down link serves completions in the order of requests, a late one does not hold up those behind it;
 * ordering between posted and non-posted requests is not modelled; all devices of a machine have the same link.
 */
import { assert } from '../assert.ts';
import { type ArraySource, HEAP_ARRAYS } from './linear-memory.ts';

/** Wire, window and memory parameters, resolved from a profile. Times in [ps]. */
export interface LinkTiming {
  /** [ps] Wire time of one byte; a fraction. */
  readonly psPerByte: number;
  /** [bytes] Largest payload of a write or a completion; a power of two. */
  readonly maxPayloadBytes: number;
  /** [bytes] Largest read request; a power of two. */
  readonly maxReadRequestBytes: number;
  /** [bytes] Wire overhead of a memory request TLP (framing, sequence, LCRC, 4-word header). */
  readonly requestHeaderBytes: number;
  /** [bytes] Wire overhead of a completion TLP (3-word header). */
  readonly completionHeaderBytes: number;
  /** [bytes] ACK and flow-control DLLPs that one TLP causes in the opposite direction. */
  readonly dllpBytes: number;
  /** [ps] Propagation and switching, one way. */
  readonly oneWayTicks: number;
  /** [ps] From translated address to data at the root complex (reads), to global visibility (writes). */
  readonly memoryReadTicks: number;
  readonly memoryWriteTicks: number;
  /** [ps] What a read takes of the port to memory that page walks wait for: for each 64-byte line, and at least. */
  readonly readPortLineTicks: number;
  readonly readPortLeastTicks: number;
  /** [ps] How long reads keep a walk from the port at most. */
  readonly readPortDelayTicks: number;
  /** Rows of the device's tables, by request size up to these bytes, ascending; larger ones use the last row. */
  readonly requestBytes: readonly number[];
  /** [TLPs] Outstanding at most. */
  readonly readWindow: readonly number[];
  readonly writeWindow: readonly number[];
  /** [ps] Between two requests at least, whatever the link says. */
  readonly readIntervalTicks: readonly number[];
  readonly writeIntervalTicks: readonly number[];
  /** [ps] From the last data of a read at the device to its tag being free: moving the data into the device. */
  readonly readHoldTicks: readonly number[];
}

/** Indices of {@link DeviceLinks.ticks}: one request from earliest issue to completion. */
export const LinkTick = {
  earliest: 0,
  window: 1,
  issue: 2,
  arrival: 3,
  ready: 4,
  memory: 5,
  done: 6,
  /** Arrival of the request's last TLP. */
  lastArrival: 7,
  /** First of the tags or credits that come back, and what lies between two: arguments of giveBack. */
  returned: 8,
  spacing: 9,
} as const;
const EARLIEST = LinkTick.earliest;
const WINDOW = LinkTick.window;
const ISSUE = LinkTick.issue;
const ARRIVAL = LinkTick.arrival;
const READY = LinkTick.ready;
const MEMORY = LinkTick.memory;
const DONE = LinkTick.done;
const LAST_ARRIVAL = LinkTick.lastArrival;
const RETURNED = LinkTick.returned;
const SPACING = LinkTick.spacing;

/** [bytes] Longest request: a page. */
export const MAX_REQUEST_BYTES = 4096;
/** [bytes] One read of memory. */
export const LINE_BYTES = 64;

/** Indices of {@link DeviceLinks.shapes} within one request size of one direction, in [ps]. */
export const RequestShape = {
  /** Between the issues of two TLPs of the request. */
  step: 0,
  /** One TLP on the up link. */
  serial: 1,
  /** All completions on the down link; completions of one TLP. */
  downTotal: 2,
  downStep: 3,
  /** From the last data at the device to its tag being free. */
  hold: 4,
  /** All TLPs of a read at the port to memory. */
  memoryPort: 5,
} as const;
const STEP = RequestShape.step;
const SERIAL = RequestShape.serial;
const DOWN_TOTAL = RequestShape.downTotal;
const DOWN_STEP = RequestShape.downStep;
const HOLD = RequestShape.hold;
const MEMORY_PORT = RequestShape.memoryPort;

/** Indices of {@link DeviceLinks.devices} within one device, in [ps]; `nextIssue` of reads, then of writes. */
export const DevicePort = { upFree: 0, downFree: 1, nextIssue: 2 } as const;
const UP_FREE = DevicePort.upFree;
const DOWN_FREE = DevicePort.downFree;
const NEXT_ISSUE = DevicePort.nextIssue;

/** Links of all devices of a machine. A port is `device * 2 + direction` (0 read, 1 write). */
export class DeviceLinks {
  /** [bytes] Most bytes of one request on each direction: what the window can hold. A chunk is never longer. */
  readonly maxReadChunkBytes: number;
  readonly maxWriteChunkBytes: number;
  /** [ps] The request being handled, by {@link LinkTick}. */
  readonly ticks = new Float64Array(10);

  readonly timing: LinkTiming;
  /** [ps] Figures of each request size, 8 words each: reads of 0 .. 4096 bytes, then writes. See {@link RequestShape}. */
  readonly shapes: Float64Array;
  /** Likewise, 2 words each: TLPs (0 = figures not known yet) and their window. */
  readonly shapeTlps: Int32Array;
  /** [ps] Per device, 4 words: {@link DevicePort}. */
  readonly devices: Float64Array;
  /** Per port: TLPs issued so far. */
  readonly heads: Int32Array;
  /** [ps] Per port: when tags or credits came or come back, ascending; the last 2^ringShift of them. */
  readonly ring: Float64Array;
  readonly ringShift: number;
  readonly ringMask: number;
  /** Per port: number of the shape of the request being handled. */
  readonly shape: Int32Array;

  readonly #oneWayTicks: number;
  readonly #memoryReadTicks: number;
  readonly #memoryWriteTicks: number;
  readonly #hitTicks: number;

  /** `hitTicks`: what the IOMMU adds to a request at least [ps]. */
  constructor(timing: LinkTiming, deviceCount: number, hitTicks: number, arrays: ArraySource = HEAP_ARRAYS) {
    this.timing = timing;
    this.#oneWayTicks = timing.oneWayTicks;
    this.#memoryReadTicks = timing.memoryReadTicks;
    this.#memoryWriteTicks = timing.memoryWriteTicks;
    this.#hitTicks = hitTicks;
    const largest = Math.max(...timing.readWindow, ...timing.writeWindow);
    assert(Math.min(...timing.readWindow, ...timing.writeWindow) >= 1, 'a device window holds at least one request');
    this.ringShift = Math.ceil(Math.log2(largest + 1)) + 1;
    this.ringMask = 2 ** this.ringShift - 1;
    const shapes = (MAX_REQUEST_BYTES + 1) * 2;
    this.shapes = arrays.float64(shapes * 8);
    this.shapeTlps = arrays.int32(shapes * 2);
    this.shape = arrays.int32(deviceCount * 2);
    this.devices = arrays.float64(deviceCount * 4);
    this.heads = arrays.int32(deviceCount * 2);
    this.ring = arrays.float64((deviceCount * 2) << this.ringShift);
    this.maxReadChunkBytes = timing.maxReadRequestBytes * windowOf(timing, 0, timing.maxReadRequestBytes);
    this.maxWriteChunkBytes = timing.maxPayloadBytes * windowOf(timing, 1, timing.maxPayloadBytes);
  }

  /**
   * When could a request of `bytes` be issued, not before `ticks[earliest]`? Answers in `ticks[window]` and
   * `ticks[issue]`, and changes nothing but the figures of the request size. @hot
   */
  offer(port: number, bytes: number): void {
    const { ticks, devices } = this;
    const shape = (port & 1) * (MAX_REQUEST_BYTES + 1) + bytes;
    if (this.shapeTlps[shape << 1] === 0) this.measure(port & 1, bytes);
    this.shape[port] = shape;
    const oldest = (this.heads[port]! - this.shapeTlps[(shape << 1) + 1]!) & this.ringMask;
    let issue = ticks[EARLIEST]!;
    const returned = this.ring[(port << this.ringShift) + oldest]!;
    if (returned > issue) issue = returned;
    ticks[WINDOW] = issue;
    const device = (port >> 1) << 2;
    const next = devices[device + NEXT_ISSUE + (port & 1)]!;
    if (next > issue) issue = next;
    const free = devices[device + UP_FREE]!;
    if (free > issue) issue = free;
    ticks[ISSUE] = issue;
  }

  /** Issues the request offered last; `ticks[arrival]` is when its first TLP reaches the IOMMU. @hot */
  commit(port: number): void {
    const { ticks, devices } = this;
    const shape = this.shape[port]!;
    const step = this.shapes[(shape << 3) + STEP]!;
    const tlps = this.shapeTlps[shape << 1]!;
    const issue = ticks[ISSUE]!;
    let last = issue;
    if (tlps > 1) {
      last += (tlps - 1) * step;
      const tag = (this.heads[port]! + tlps - 1 - this.shapeTlps[(shape << 1) + 1]!) & this.ringMask;
      const free = this.ring[(port << this.ringShift) + tag]!;
      if (free > last) last = free;
    }
    const serial = this.shapes[(shape << 3) + SERIAL]!;
    const device = (port >> 1) << 2;
    devices[device + NEXT_ISSUE + (port & 1)] = last + step;
    devices[device + UP_FREE] = last + serial;
    const flight = serial + this.#oneWayTicks;
    ticks[LAST_ARRIVAL] = last + flight;
    ticks[ARRIVAL] = issue + flight;
  }

  /**
   * Finishes the request, whose translation was ready at `ticks[ready]`: `ticks[memory]` is when its last TLP had
   * reached memory, `ticks[done]` when it was done at the device (read) or globally visible (write). @hot
   */
  complete(port: number): void {
    const { ticks, shapes, devices } = this;
    const shape = this.shape[port]!;
    const figures = shape << 3;
    let memory = ticks[LAST_ARRIVAL]! + this.#hitTicks;
    const ready = ticks[READY]!;
    if (ready > memory) memory = ready;
    let done: number;
    let returned: number;
    let spacing: number;
    if ((port & 1) === 1) {
      memory += this.#memoryWriteTicks;
      done = memory;
      returned = memory + this.#oneWayTicks;
      spacing = shapes[figures + STEP]!;
    } else {
      memory += this.#memoryReadTicks;
      spacing = shapes[figures + DOWN_STEP]!;
      // The down link serves requests in the order of their unhindered data, so that a slow walk delays only itself.
      let sent = ticks[ARRIVAL]! + this.#hitTicks + this.#memoryReadTicks;
      const down = ((port >> 1) << 2) + DOWN_FREE;
      const free = devices[down]!;
      if (free > sent) sent = free;
      sent += shapes[figures + DOWN_TOTAL]!;
      devices[down] = sent;
      const received = memory + spacing;
      done = Math.max(received, sent) + this.#oneWayTicks;
      returned = done + shapes[figures + HOLD]!;
    }
    ticks[MEMORY] = memory;
    ticks[DONE] = done;
    const tlps = this.shapeTlps[shape << 1]!;
    ticks[RETURNED] = returned - (tlps - 1) * spacing;
    ticks[SPACING] = spacing;
    this.giveBack(port, tlps);
  }

  /** Finishes a request that was answered without memory access (a fault) at `ticks[ready]`. */
  abort(port: number): void {
    const { ticks } = this;
    const done = ticks[READY]! + this.#oneWayTicks;
    ticks[MEMORY] = ticks[READY]!;
    ticks[DONE] = done;
    ticks[RETURNED] = done;
    ticks[SPACING] = 0;
    this.giveBack(port, this.tlpCount(port));
  }

  /** TLPs of the request offered last on the port. @hot */
  tlpCount(port: number): number {
    return this.shapeTlps[this.shape[port]! << 1]!;
  }

  /** [ps] What the request offered last on the port takes of the port to memory; 0 for writes. @hot */
  memoryPortTicks(port: number): number {
    return this.shapes[(this.shape[port]! << 3) + MEMORY_PORT]!;
  }

  /** `tlps` tags or credits come back from `ticks[returned]` on, `ticks[spacing]` apart. @hot */
  giveBack(port: number, tlps: number): void {
    const ring = this.ring;
    const ringBase = port << this.ringShift;
    const mask = this.ringMask;
    const head = this.heads[port]!;
    this.heads[port] = (head + tlps) | 0;
    // The ring stays sorted, since whichever is free first is used next.
    let tag = this.ticks[RETURNED]!;
    const spacing = this.ticks[SPACING]!;
    for (let tlp = 0; tlp < tlps; tlp++) {
      let at = head + tlp;
      for (let later = ring[ringBase + ((at - 1) & mask)]!; later > tag; later = ring[ringBase + ((at - 1) & mask)]!) {
        ring[ringBase + (at & mask)] = later;
        at--;
      }
      ring[ringBase + (at & mask)] = tag;
      tag += spacing;
    }
  }

  /** Works out the figures of a request size; `direction` 1 = write. */
  measure(direction: number, bytes: number): void {
    assert(bytes > 0 && bytes <= MAX_REQUEST_BYTES, `a request of ${bytes} bytes is not within a page`);
    const { timing } = this;
    const write = direction === 1;
    const shape = direction * (MAX_REQUEST_BYTES + 1) + bytes;
    const largest = write ? timing.maxPayloadBytes : timing.maxReadRequestBytes;
    const tlps = Math.ceil(bytes / largest);
    const tlpBytes = Math.min(bytes, largest);
    const row = sizeRow(timing, bytes);
    const completions = write ? 0 : Math.ceil(bytes / timing.maxPayloadBytes);
    const perTlpUp = timing.requestHeaderBytes + (write ? tlpBytes : 0) + (write ? 0 : timing.dllpBytes);
    const serial = Math.round(perTlpUp * timing.psPerByte);
    // Intervals are those of a whole request up to the last row's size, then of each such size of it.
    const interval = (write ? timing.writeIntervalTicks : timing.readIntervalTicks)[row]!;
    const share = Math.max(1, bytes / timing.requestBytes[row]!) / tlps;
    const down = write ? 0 : bytes + completions * timing.completionHeaderBytes + tlps * timing.dllpBytes;
    const downTotal = Math.round(down * timing.psPerByte);
    const at = shape * 8;
    this.shapes[at + STEP] = Math.max(Math.round(interval * share), serial);
    this.shapes[at + SERIAL] = serial;
    this.shapes[at + HOLD] = write ? 0 : timing.readHoldTicks[row]!;
    this.shapes[at + MEMORY_PORT] = write ? 0 : this.#memoryPort(bytes, tlps);
    this.shapes[at + DOWN_TOTAL] = downTotal;
    this.shapes[at + DOWN_STEP] = Math.floor(downTotal / tlps);
    this.shapeTlps[shape * 2] = tlps;
    this.shapeTlps[shape * 2 + 1] = (write ? timing.writeWindow : timing.readWindow)[row]!;
  }

  /** [ps] `tlps` reads of `bytes` in all, line by line. */
  #memoryPort(bytes: number, tlps: number): number {
    const { readPortLineTicks, readPortLeastTicks } = this.timing;
    const lines = Math.ceil(bytes / LINE_BYTES);
    return Math.max(lines * readPortLineTicks, tlps * readPortLeastTicks);
  }
}

function sizeRow(timing: LinkTiming, bytes: number): number {
  const row = timing.requestBytes.findIndex((limit) => bytes <= limit);
  return row < 0 ? timing.requestBytes.length - 1 : row;
}

function windowOf(timing: LinkTiming, direction: number, tlpBytes: number): number {
  return (direction === 1 ? timing.writeWindow : timing.readWindow)[sizeRow(timing, tlpBytes)]!;
}
