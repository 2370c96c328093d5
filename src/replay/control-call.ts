/** One control-plane call after it was replayed: what the analyses of the control plane see. */
import type { TimeAccount } from '../stack/kernel/scheduler.ts';

/** A completed call. */
export interface ControlCall {
  /** Row in `control.arrow`. */
  readonly row: number;
  /** A name in CONTROL_OPS. */
  readonly op: string;
  /** CPU that made it, as recorded. */
  readonly cpu: number;
  /** Index into `topology.devices`; NONE_U32 when the call is about none. */
  readonly device: number;
  /** Text of a `marker`. */
  readonly text: string;
  /** [ps] Absolute. */
  readonly startTick: number;
  readonly endTick: number;
  /** Where the call's time went. */
  readonly account: Readonly<TimeAccount>;
  /** Modelled return value: 0 or positive, or a negative errno. */
  readonly result: number;
  /** Recorded return value; RESULT_UNKNOWN when the source does not say. */
  readonly recordedResult: number;
  /** True when the model has no such call and let the row pass. */
  readonly skipped: boolean;
}
