/** Throughput and latency in fixed bins around the starts of switches, summed over them. */
import type { WindowCurves } from './protocol.ts';

/** Bins on each side of a switch's start. */
export const BINS_PER_SIDE = 50;

/** Curves of one switch, or of many. */
export class CurveBins {
  readonly bytes = new Float64Array(2 * BINS_PER_SIDE);
  readonly unitBytes = new Float64Array(2 * BINS_PER_SIDE);
  readonly latencySum = new Float64Array(2 * BINS_PER_SIDE);
  readonly latencyMax = new Float64Array(2 * BINS_PER_SIDE);
  readonly requests = new Float64Array(2 * BINS_PER_SIDE);
  readonly faults = new Float64Array(2 * BINS_PER_SIDE);

  /** Adds the curves of another switch. */
  add(other: CurveBins): void {
    for (let bin = 0; bin < 2 * BINS_PER_SIDE; bin++) {
      this.bytes[bin]! += other.bytes[bin]!;
      this.unitBytes[bin]! += other.unitBytes[bin]!;
      this.latencySum[bin]! += other.latencySum[bin]!;
      this.latencyMax[bin] = Math.max(this.latencyMax[bin]!, other.latencyMax[bin]!);
      this.requests[bin]! += other.requests[bin]!;
      this.faults[bin]! += other.faults[bin]!;
    }
  }

  toState(): WindowCurves {
    return {
      bytes: [...this.bytes],
      unitBytes: [...this.unitBytes],
      latencySum: [...this.latencySum],
      latencyMax: [...this.latencyMax],
      requests: [...this.requests],
      faults: [...this.faults],
    };
  }
}

/** Sum of two curves. */
export function mergeCurves(a: WindowCurves, b: WindowCurves): WindowCurves {
  const sum = (x: readonly number[], y: readonly number[]): number[] => x.map((value, i) => value + y[i]!);
  return {
    bytes: sum(a.bytes, b.bytes),
    unitBytes: sum(a.unitBytes, b.unitBytes),
    latencySum: sum(a.latencySum, b.latencySum),
    latencyMax: a.latencyMax.map((value, i) => Math.max(value, b.latencyMax[i]!)),
    requests: sum(a.requests, b.requests),
    faults: sum(a.faults, b.faults),
  };
}
