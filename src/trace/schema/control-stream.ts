/** Control-plane events: calls into the kernel, and what else happened beside the DMA. */
import type { StreamSchema } from './column-type.ts';

/**
 * `control.arrow`: control-plane events in the order in which they took effect. A column that does not apply to an op
 * holds NONE_U32 (u32) or 0 (u64).
 */
export const CONTROL_SCHEMA = {
  sequence: 'u32',
  /** [ns] since the bundle's origin. */
  timeNs: 'u64',
  /** ControlOp name. */
  op: 'dictionary',
  /** CPU the event was recorded on. */
  cpu: 'u16',
  /** Thread id of the caller. */
  thread: 'u32',
  /** Index into `topology.devices`. */
  device: 'u32',
  /** iommufd or container file the call was made on (small numbers given by the importer). */
  context: 'u32',
  /** Object the call is about, in the recorder's own ids: IOAS of map/unmap, hwpt of set-dirty, id of destroy. */
  object: 'u32',
  /** Second object: pt_id of attach, source IOAS of copy, dev_id of HWPT_ALLOC. */
  target: 'u32',
  pasid: 'u32',
  /** Flag bits of the call, as in the uapi; for `dma_map` the DmaDirection. */
  flags: 'u32',
  /** [bytes] */
  iova: 'u64',
  /** [bytes] */
  length: 'u64',
  /** [bytes] User address of IOAS_MAP, source IOVA of IOAS_COPY. */
  userAddress: 'u64',
  /** Recorded return value: 0 or positive, negative errno; {@link RESULT_UNKNOWN} when the source does not say. */
  recordedResult: 'i32',
  /** Object id the recorded call handed out, or NONE_U32. */
  recordedObject: 'u32',
  /** [ns] Recorded duration; 0xffffffff when unknown. */
  recordedDurationNs: 'u32',
  /**
   * 1 + row that must be complete before this call; 0 = none. The row is in `dma-<unit>.arrow` of the device's unit; of
   * the first unit of the call's closed world when the row names no device.
   */
  afterDma: 'u32',
  /** Free text of `marker` and `device_dma` events. */
  text: 'dictionary',
} as const satisfies StreamSchema;

/** `recordedResult` when the source does not tell. */
export const RESULT_UNKNOWN = 0x7fff_ffff;
