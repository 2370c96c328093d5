/** What a reader must know of two runs whose cases are paired, in the words of comparisons and gates alike. */
import type { Dimension } from './pairing.ts';
import type { TraceRelation } from './trace-relation.ts';

/** Traces of paired cases, by the names of their workloads. */
export interface PairedTrace {
  readonly base_workload: string;
  readonly new_workload: string;
  readonly relation: TraceRelation;
}

/** That the traces differ, or may: the start of the first sentence; nothing when they do not. */
export function tracesClause(traces: readonly PairedTrace[]): string {
  const named = (relation: TraceRelation): string[] => [
    ...new Set(
      traces
        .filter((trace) => trace.relation === relation)
        .map(({ base_workload: a, new_workload: b }) => (a === b ? b : `${a} and ${b}`)),
    ),
  ];
  const [different, unknown] = [named('different'), named('unknown')];
  if (different.length > 0) return `The runs replay different traces (${different.join('; ')})`;
  return unknown.length > 0 ? `Whether the runs replay the same trace is not known (${unknown.join('; ')})` : '';
}

/** What cases are paired across, with the two choices. */
export function acrossSentence(dimension: Dimension, base: string, run: string): string {
  return `Each run has one ${dimension}, and cases are paired across it (${run} against ${base}).`;
}
