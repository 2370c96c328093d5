/** Rows of a merged recording: numbers every row of every stream in the merged order. */
import { NONE_U32 } from '../schema/column-type.ts';
import type { ControlRow, FrameRow, HardwareRow, SubmissionRow } from './bundle-draft.ts';
import type { ControlCall } from './control-call.ts';
import type { DeviceEvent } from './device-event.ts';
import { type DecidedAccesses, DmaRows } from './dma-rows.ts';
import type { GuestEvent, GuestEventOf } from './guest-event.ts';

/** A merged recording. */
export interface MergedRecording {
  readonly calls: readonly ControlCall[];
  /** 1 + DMA row that must be complete before each call; 0 = none. */
  readonly afterDma: readonly number[];
  readonly guest: readonly GuestEvent[];
  readonly device: readonly DeviceEvent[];
  /** Number of device events before each guest event. */
  readonly ranks: Int32Array;
  /** Decided DMA by device event. */
  readonly accesses: DecidedAccesses;
  /** Device events `[first, end)` that lie in the window. */
  readonly window: { readonly first: number; readonly end: number };
  /** Device event by submission. */
  readonly submissionOf: ReadonlyMap<number, number>;
  /** For each guest event 1 + the call of which it is a descriptor; 0 = none. */
  readonly callOfSubmit: Int32Array;
  /** [ns] Guest clock at the bundle's origin. */
  readonly originNs: number;
  /** [ns] Device-model time minus guest time. */
  readonly offsetNs: number;
}

/** The streams in which order matters. */
export interface OrderedRows {
  readonly control: ControlRow[];
  readonly frames: FrameRow[];
  /** DMA and what was observed of it. */
  readonly dma: DmaRows;
  readonly submissions: SubmissionRow[];
  readonly hardware: HardwareRow[];
}

/** Lays out all rows in one pass over the merged order. */
export function layOutRows(recording: MergedRecording): OrderedRows {
  const dma = new DmaRows(recording.accesses.count);
  const rows: OrderedRows = { control: [], frames: [], dma, submissions: [], hardware: [] };
  const { calls, guest, device, ranks } = recording;
  /** 1 + submission row by guest event; 0 = none. */
  const submissionRows = new Int32Array(guest.length);
  let sequence = 0;
  let nextGuest = 0;
  let nextCall = 0;
  const emitCallsBefore = (position: number): void => {
    for (; nextCall < calls.length && (calls[nextCall] as ControlCall).position <= position; nextCall++) {
      pushCall(rows, recording, nextCall, sequence++);
    }
  };
  for (let index = 0; index <= device.length; index++) {
    for (; nextGuest < guest.length && (ranks[nextGuest] as number) <= index; nextGuest++) {
      emitCallsBefore(nextGuest);
      const event = guest[nextGuest] as GuestEvent;
      if (event.kind !== 'submit') continue;
      pushSubmission(rows, recording, event, nextGuest, sequence++);
      submissionRows[nextGuest] = rows.submissions.length;
    }
    if (index === device.length) break;
    if (pushDevice(rows, recording, index, sequence, submissionRows)) sequence++;
  }
  emitCallsBefore(Number.POSITIVE_INFINITY);
  return rows;
}

function pushCall(rows: OrderedRows, recording: MergedRecording, index: number, sequence: number): void {
  const call = recording.calls[index] as ControlCall;
  rows.control.push(
    controlRow(call, { sequence, originNs: recording.originNs, afterDma: recording.afterDma[index] ?? 0 }),
  );
  for (const { iovaPfn, pfn, pageCount } of call.frames) {
    rows.frames.push({ controlRow: index, iovaPfn, pfn, pageCount });
  }
}

/** The row of a call. */
export function controlRow(
  call: ControlCall,
  at: { readonly sequence: number; readonly originNs: number; readonly afterDma: number },
): ControlRow {
  return {
    sequence: at.sequence,
    timeNs: Math.max(0, call.timeNs - at.originNs),
    op: call.op,
    cpu: call.cpu,
    thread: call.thread,
    device: call.device,
    context: call.context,
    object: call.object,
    target: call.target,
    pasid: call.pasid,
    flags: call.flags,
    iova: call.iova,
    length: call.length,
    userAddress: call.userAddress,
    recordedResult: call.result,
    recordedObject: call.recordedObject,
    recordedDurationNs: Math.min(call.durationNs, NONE_U32),
    afterDma: at.afterDma,
    text: call.text,
  };
}

function pushSubmission(
  rows: OrderedRows,
  recording: MergedRecording,
  event: GuestEventOf<'submit'>,
  index: number,
  sequence: number,
): void {
  rows.submissions.push({
    sequence,
    timeNs: Math.max(0, event.timeNs - recording.originNs),
    cpu: event.cpu,
    thread: event.thread,
    unit: 0,
    type: event.type,
    word0: event.words[0] ?? 0n,
    word1: event.words[1] ?? 0n,
    word2: event.words[2] ?? 0n,
    word3: event.words[3] ?? 0n,
    controlRow: recording.callOfSubmit[index] ?? 0,
  });
}

/** False when the event needs no row. */
function pushDevice(
  rows: OrderedRows,
  recording: MergedRecording,
  index: number,
  sequence: number,
  submissionRows: Int32Array,
): boolean {
  const event = recording.device[index] as DeviceEvent;
  if (event.kind === 'hint') return false;
  if (event.kind === 'translate' || event.kind === 'fault') {
    if (recording.accesses.has(index)) {
      const timeNs = Math.max(0, Math.round(event.timeNs - recording.offsetNs - recording.originNs));
      rows.dma.push(event, recording.accesses, index, sequence, timeNs);
      return true;
    }
    if (event.kind === 'fault' || event.outcome !== 'fill') return false;
  }
  const inWindow = index >= recording.window.first && index < recording.window.end ? 1 : 0;
  rows.hardware.push(hardwareRow(event, sequence, inWindow, submissionRowOf(recording, index, submissionRows)));
  return true;
}

/** 1 + submission row that descriptor `index` executes; 0 = none. */
function submissionRowOf(recording: MergedRecording, index: number, submissionRows: Int32Array): number {
  const submission = recording.submissionOf.get(index);
  return submission === undefined ? 0 : (submissionRows[submission] ?? 0);
}

function hardwareRow(
  event: Exclude<DeviceEvent, { readonly kind: 'fault' | 'hint' }>,
  sequence: number,
  inWindow: number,
  submissionRow: number,
): HardwareRow {
  const blank: HardwareRow = {
    sequence,
    unit: 0,
    kind: event.kind,
    inWindow,
    word0: 0,
    word1: 0,
    sourceId: 0,
    domainId: 0,
    pageShift: 0,
    submissionRow: 0,
  };
  switch (event.kind) {
    case 'translate': {
      const { sourceId, domainId, pageShift, leaf: word1 } = event;
      const word0 = event.iova - (event.iova % 2 ** pageShift);
      return { ...blank, kind: 'iotlb_fill', word0, word1, sourceId, domainId, pageShift };
    }
    case 'descriptor':
      return { ...blank, word0: event.low, word1: event.high, submissionRow };
    case 'context_fill': {
      // Legacy: domain id in bits 87:72 of the context entry (VT-d spec 9.3); scalable entries have none.
      const domainId = Number((event.high >> 8n) & 0xffffn);
      return { ...blank, word0: event.low, word1: event.high, sourceId: event.sourceId, domainId };
    }
    case 'fault_record':
      return { ...blank, word0: event.low, word1: event.high, sourceId: Number(event.high & 0xffffn) };
    case 'iotlb_reset':
    case 'context_reset':
    case 'pasid_cache_reset':
      return blank;
  }
}
