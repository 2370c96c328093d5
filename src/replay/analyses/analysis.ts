/**
 * What every analysis is: a fold over result columns. An analysis sees every row of its job once, a chunk at a time, in
 * the order of the unit's stream; chunk boundaries mean nothing. It opens no file, asks no machine and keeps integer
 * state, so that snapshots merge in any order.
 */
import type { DmaColumns, ResultColumns } from '../../hw/unit.ts';
import type { DeviceTopology } from '../../trace/schema/topology.ts';
import type { ControlCall } from '../control-call.ts';

/** What an analysis knows of its job before the first row. */
export interface AnalysisContext {
  /** `topology.devices` of the bundle; the `device` column indexes it. */
  readonly devices: readonly DeviceTopology[];
  /** [ps] Time zero of everything reported: the tick of the bundle's origin. */
  readonly originTick: number;
}

/** One analysis. Both hooks may be called any number of times before `finish`. */
export interface Analysis<State, Snapshot> {
  init(context: AnalysisContext): State;
  /** All rows 0 .. `input.rowCount`-1 have outcomes. @hot */
  onDmaBatch?(state: State, input: DmaColumns, results: ResultColumns): void;
  /** A control call has completed; calls come in the order of their completion. */
  onControlCall?(state: State, call: ControlCall): void;
  finish(state: State): Snapshot;
  /** Snapshot of both parts; associative and commutative. */
  merge(a: Snapshot, b: Snapshot): Snapshot;
}
