/** Rows of a merged recording: numbers every row of every stream in the merged order. */
import { NONE_U32, ObservedOutcome } from '../schema.ts';
import type { AccessShape } from './access-shape.ts';
import type { ControlRow, DmaRow, FrameRow, HardwareRow, ObservedDmaRow, SubmissionRow } from './bundle-draft.ts';
import type { ControlCall } from './control-call.ts';
import type { DeviceEvent, FaultEvent, TranslateEvent } from './device-event.ts';
import type { GuestEvent, GuestEventOf } from './guest-event.ts';

/** A DMA of the window, decided. */
export interface DecidedAccess {
  readonly device: number;
  readonly shape: AccessShape;
  /** Call that must be complete before it; -1 = none. */
  readonly afterCall: number;
  readonly learned: boolean;
}

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
  readonly accesses: ReadonlyMap<number, DecidedAccess>;
  /** Device events `[first, end)` that lie in the window. */
  readonly window: { readonly first: number; readonly end: number };
  /** Device event by submission. */
  readonly submissionOf: ReadonlyMap<number, number>;
  /** Call by submission. */
  readonly callOfSubmit: ReadonlyMap<number, number>;
  /** [ns] Guest clock at the bundle's origin. */
  readonly originNs: number;
  /** [ns] Device-model time minus guest time. */
  readonly offsetNs: number;
}

/** The streams in which order matters. */
export interface OrderedRows {
  readonly control: ControlRow[];
  readonly frames: FrameRow[];
  readonly dma: DmaRow[];
  readonly observed: ObservedDmaRow[];
  readonly submissions: SubmissionRow[];
  readonly hardware: HardwareRow[];
}

/** Lays out all rows in one pass over the merged order. */
export function layOutRows(recording: MergedRecording): OrderedRows {
  const rows: OrderedRows = { control: [], frames: [], dma: [], observed: [], submissions: [], hardware: [] };
  const submissionRows = new Map<number, number>();
  const { calls, guest, device, ranks } = recording;
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
      submissionRows.set(nextGuest, rows.submissions.length);
      pushSubmission(rows, recording, event, nextGuest, sequence++);
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
    controlRow: (recording.callOfSubmit.get(index) ?? -1) + 1,
  });
}

/** False when the event needs no row. */
function pushDevice(
  rows: OrderedRows,
  recording: MergedRecording,
  index: number,
  sequence: number,
  submissionRows: ReadonlyMap<number, number>,
): boolean {
  const event = recording.device[index] as DeviceEvent;
  const inWindow = index >= recording.window.first && index < recording.window.end ? 1 : 0;
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
      const access = recording.accesses.get(index);
      if (access !== undefined) {
        pushAccess(rows, recording, event, access, sequence);
        return true;
      }
      if (event.outcome !== 'fill') return false;
      const pageBytes = 2 ** event.pageShift;
      rows.hardware.push({
        ...blank,
        kind: 'iotlb_fill',
        word0: event.iova - (event.iova % pageBytes),
        word1: event.leaf,
        sourceId: event.sourceId,
        domainId: event.domainId,
        pageShift: event.pageShift,
      });
      return true;
    }
    case 'fault': {
      const access = recording.accesses.get(index);
      if (access === undefined) return false;
      pushAccess(rows, recording, event, access, sequence);
      return true;
    }
    case 'descriptor': {
      const submission = recording.submissionOf.get(index);
      const submissionRow = submission === undefined ? 0 : (submissionRows.get(submission) ?? -1) + 1;
      rows.hardware.push({ ...blank, word0: event.low, word1: event.high, submissionRow });
      return true;
    }
    case 'context_fill': {
      // Legacy: domain id in bits 87:72 of the context entry (VT-d spec 9.3); scalable entries have none.
      const domainId = Number((event.high >> 8n) & 0xffffn);
      rows.hardware.push({ ...blank, word0: event.low, word1: event.high, sourceId: event.sourceId, domainId });
      return true;
    }
    case 'fault_record':
      rows.hardware.push({ ...blank, word0: event.low, word1: event.high, sourceId: Number(event.high & 0xffffn) });
      return true;
    case 'iotlb_reset':
    case 'context_reset':
    case 'pasid_cache_reset':
      rows.hardware.push(blank);
      return true;
    case 'hint':
      return false;
  }
}

function pushAccess(
  rows: OrderedRows,
  recording: MergedRecording,
  event: TranslateEvent | FaultEvent,
  access: DecidedAccess,
  sequence: number,
): void {
  const { device, shape, afterCall, learned } = access;
  rows.dma.push({
    sequence,
    timeNs: Math.max(0, Math.round(event.timeNs - recording.offsetNs - recording.originNs)),
    device,
    pasid: 0,
    iova: event.iova,
    bytes: shape.bytes,
    flags: shape.write ? 1 : 0,
    provenance: shape.provenance,
    afterControl: afterCall + 1,
  });
  const faulted = event.kind === 'fault';
  rows.observed.push({
    outcome: faulted ? ObservedOutcome.fault : outcomeOf(event),
    fault: faulted ? event.reason : 0,
    pageShift: faulted ? 0 : event.pageShift,
    inWindow: 1,
    learned: learned ? 1 : 0,
    pfn: faulted ? 0 : event.pfn,
  });
}

function outcomeOf({ outcome }: TranslateEvent): number {
  if (outcome === 'hit') return ObservedOutcome.hit;
  return outcome === 'fill' ? ObservedOutcome.fill : ObservedOutcome.unknown;
}
