/** Switches that no recording asked for: what they need to know of a lane, and how they move it. */
import type { KernelTask } from '../../stack/kernel/task.ts';
import { NONE_U32 } from '../../trace/schema/column-type.ts';
import { type ControlRow, emptyRow } from '../control-row.ts';
import type { SwitchKind } from './protocol.ts';

/** One way of moving lanes to and fro. */
export interface InjectedMoves {
  readonly kind: SwitchKind;
  /** Whether requests of the device with `pasid` (0 = without) can be moved now. */
  canMove(device: number, pasid: number): boolean;
  /**
   * What comes before the switch and disturbs nobody; waits for whoever else moves the device. False when there is nothing
   * to move any more by then: no switch, and no {@link move}.
   */
  prepare(device: number, pasid: number): KernelTask<boolean>;
  /** The switch, once prepared: 0, a descriptor, or a negative errno. */
  move(device: number, pasid: number): KernelTask<number>;
}

/** Row number of calls that no row stands for. */
export const INJECTED_ROW = -1;

/** A call that no row stands for; what is not given does not apply. */
export function injectedCall(fields: Partial<ControlRow> & Pick<ControlRow, 'op'>): ControlRow {
  return { ...emptyRow(), row: INJECTED_ROW, recordedDurationNs: NONE_U32, ...fields };
}
