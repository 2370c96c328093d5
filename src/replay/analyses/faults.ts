/** Faulted requests by device and reason. */
import type { DmaColumns, ResultColumns } from '../../hw/unit.ts';
import { DmaOutcome } from '../../hw/unit.ts';
import type { FaultGroup } from '../protocol.ts';
import type { Analysis, AnalysisContext } from './analysis.ts';

/** State of {@link faults}: groups by `device * 256 + reason`. */
export interface FaultState {
  readonly context: AnalysisContext;
  readonly groups: Map<number, FaultGroup>;
}

/** Fault groups by device, then reason. */
export const faults: Analysis<FaultState, FaultGroup[]> = {
  init: (context) => ({ context, groups: new Map() }),

  onDmaBatch(state, input, results) {
    const { outcome } = results;
    for (let row = 0; row < input.rowCount; row++) {
      if (outcome[row] === DmaOutcome.fault) addFault(state, input, results, row);
    }
  },

  finish: (state) => [...state.groups.entries()].sort((a, b) => a[0] - b[0]).map(([, group]) => group),

  merge: (a, b) => {
    const merged = new Map(a.map((group) => [`${group.device} ${group.reason}`, group]));
    for (const group of b) {
      const key = `${group.device} ${group.reason}`;
      const known = merged.get(key);
      merged.set(key, known === undefined ? group : mergeGroups(known, group));
    }
    return [...merged.values()].sort((x, y) =>
      x.device < y.device ? -1 : x.device > y.device ? 1 : x.reason - y.reason,
    );
  },
};

function addFault(state: FaultState, input: DmaColumns, results: ResultColumns, row: number): void {
  const device = input.device[row]!;
  const reason = results.fault[row]!;
  const atTick = results.readyTick[row]! - state.context.originTick;
  const group: FaultGroup = {
    device: state.context.devices[device]?.name ?? `device ${device}`,
    reason,
    count: 1,
    firstTick: atTick,
    lastTick: atTick,
    firstIova: `0x${((BigInt(input.iova[2 * row + 1]!) << 32n) | BigInt(input.iova[2 * row]!)).toString(16)}`,
  };
  const key = device * 256 + reason;
  const known = state.groups.get(key);
  state.groups.set(key, known === undefined ? group : mergeGroups(known, group));
}

/** The earlier first wins; of two at the same tick the lower address, so that the order of merging cannot matter. */
function mergeGroups(a: FaultGroup, b: FaultGroup): FaultGroup {
  const firstIsA =
    a.firstTick < b.firstTick || (a.firstTick === b.firstTick && BigInt(a.firstIova) <= BigInt(b.firstIova));
  return {
    device: a.device,
    reason: a.reason,
    count: a.count + b.count,
    firstTick: firstIsA ? a.firstTick : b.firstTick,
    lastTick: Math.max(a.lastTick, b.lastTick),
    firstIova: firstIsA ? a.firstIova : b.firstIova,
  };
}
