/** Control-plane calls as importers recover them: one for each DMA-API call or system call, before they become rows. */
import { NONE_U32 } from '../schema/column-type.ts';
import type { ControlOp } from '../schema/control-ops.ts';
import { RESULT_UNKNOWN } from '../schema/control-stream.ts';

/** A physically contiguous piece of a mapping. */
export interface FrameRun {
  /** [4 KiB pages] */
  readonly iovaPfn: number;
  readonly pfn: number;
  readonly pageCount: number;
}

/** One control-plane call. */
export interface ControlCall {
  readonly op: ControlOp;
  /**
   * Index of the guest event at which the call takes effect: its first hardware-visible one (map, unmap, cache tag,
   * descriptor, attach), else its entry.
   */
  position: number;
  /** [ns] Guest clock: of the effect for DMA-API calls, of the entry for system calls. */
  timeNs: number;
  readonly cpu: number;
  readonly thread: number;
  device: number;
  context: number;
  object: number;
  target: number;
  pasid: number;
  flags: number;
  /** [bytes] */
  iova: number | bigint;
  /** [bytes] */
  length: number | bigint;
  userAddress: number | bigint;
  result: number;
  recordedObject: number;
  /** [ns] {@link NONE_U32} when unknown. */
  durationNs: number;
  text: string;
  /** What the call mapped, ordered by IOVA. */
  frames: readonly FrameRun[];
  /** Indices of the guest events that are its descriptors. */
  submits: readonly number[];
}

/** A call of which only `known` is known. */
export function controlCall(
  known: Partial<ControlCall> & Pick<ControlCall, 'op' | 'position' | 'timeNs' | 'cpu' | 'thread'>,
): ControlCall {
  // Field by field: spreading takes several times as long, and there is one for each DMA-API call.
  return {
    op: known.op,
    position: known.position,
    timeNs: known.timeNs,
    cpu: known.cpu,
    thread: known.thread,
    device: known.device ?? NONE_U32,
    context: known.context ?? NONE_U32,
    object: known.object ?? NONE_U32,
    target: known.target ?? NONE_U32,
    pasid: known.pasid ?? NONE_U32,
    flags: known.flags ?? 0,
    iova: known.iova ?? 0,
    length: known.length ?? 0,
    userAddress: known.userAddress ?? 0,
    result: known.result ?? RESULT_UNKNOWN,
    recordedObject: known.recordedObject ?? NONE_U32,
    durationNs: known.durationNs ?? NONE_U32,
    text: known.text ?? '',
    frames: known.frames ?? NO_FRAMES,
    submits: known.submits ?? NO_SUBMITS,
  };
}

const NO_FRAMES: readonly FrameRun[] = [];
const NO_SUBMITS: readonly number[] = [];

/** Sorts `frames` by IOVA, joins runs that continue each other and drops repeated ones (one map for each domain). */
export function joinFrames(frames: readonly FrameRun[]): FrameRun[] {
  if (frames.length <= 1) return [...frames];
  const joined: FrameRun[] = [];
  let previous: FrameRun | undefined;
  for (const frame of [...frames].sort((a, b) => a.iovaPfn - b.iovaPfn)) {
    const repeated =
      previous?.iovaPfn === frame.iovaPfn && previous.pfn === frame.pfn && previous.pageCount === frame.pageCount;
    previous = frame;
    if (repeated) continue;
    const last = joined.at(-1);
    const follows =
      last !== undefined && last.iovaPfn + last.pageCount === frame.iovaPfn && last.pfn + last.pageCount === frame.pfn;
    if (follows) joined[joined.length - 1] = { ...last, pageCount: last.pageCount + frame.pageCount };
    else joined.push(frame);
  }
  return joined;
}
