/** All analyses of a job behind one pair of hooks. */
import type { DmaColumns, ResultColumns } from '../../hw/unit.ts';
import type { SeriesState } from '../../stats/series.ts';
import type { ControlCall } from '../control-call.ts';
import type { DeviceLatency, FaultGroup, JobResult } from '../protocol.ts';
import type { AnalysisContext } from './analysis.ts';
import { type ControlSnapshot, type ControlState, control } from './control.ts';
import { type FaultState, faults } from './faults.ts';
import { type LatencyState, latency } from './latency.ts';
import { type LatencyBins, latencyOverTime } from './latency-over-time.ts';
import { type Span, type SpanState, span } from './span.ts';
import { type ThroughputState, throughput } from './throughput.ts';

/** What the analyses of a job found. */
export interface JobFindings {
  readonly devices: readonly DeviceLatency[];
  readonly throughput: SeriesState;
  readonly latencyOverTime: JobResult['latencyOverTime'];
  readonly faults: readonly FaultGroup[];
  readonly control: ControlSnapshot;
  readonly span: Span;
}

/** The analyses of one job. */
export class JobAnalyses {
  readonly #latency: LatencyState;
  readonly #throughput: ThroughputState;
  readonly #latencyOverTime: LatencyBins;
  readonly #faults: FaultState;
  readonly #control: ControlState;
  readonly #span: SpanState;

  constructor(context: AnalysisContext) {
    this.#latency = latency.init(context);
    this.#throughput = throughput.init(context);
    this.#latencyOverTime = latencyOverTime.init(context);
    this.#faults = faults.init(context);
    this.#control = control.init(context);
    this.#span = span.init(context);
  }

  onDmaBatch(input: DmaColumns, results: ResultColumns): void {
    latency.onDmaBatch?.(this.#latency, input, results);
    throughput.onDmaBatch?.(this.#throughput, input, results);
    latencyOverTime.onDmaBatch?.(this.#latencyOverTime, input, results);
    faults.onDmaBatch?.(this.#faults, input, results);
    span.onDmaBatch?.(this.#span, input, results);
  }

  onControlCall(call: ControlCall): void {
    control.onControlCall?.(this.#control, call);
  }

  finish(): JobFindings {
    return {
      devices: latency.finish(this.#latency),
      throughput: throughput.finish(this.#throughput),
      latencyOverTime: latencyOverTime.finish(this.#latencyOverTime),
      faults: faults.finish(this.#faults),
      control: control.finish(this.#control),
      span: span.finish(this.#span),
    };
  }
}
