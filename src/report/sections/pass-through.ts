/** What translation costs as a whole: this case beside the pass-through replay of the same trace, when the run has one. */
import { ratio } from '../quantities.ts';
import type { VersusPassThroughSection } from '../schema/performance.ts';
import type { CaseFacts } from './answers.ts';

/** Scenario names end with this when kernel-driven devices are passed through (`iommu.passthrough=1`). */
const IDENTITY_SUFFIX = '+identity';

type Comparable = Omit<CaseFacts, 'versus_pass_through'>;

/** The section, or `null` without a pass-through case of equal workload, profiles and pacing. */
export function versusPassThrough(facts: Comparable, all: readonly Comparable[]): VersusPassThroughSection | null {
  if (facts.scenario.endsWith(IDENTITY_SUFFIX)) return null;
  const base = all.find(
    (other) =>
      other.scenario.endsWith(IDENTITY_SUFFIX) &&
      other.workload === facts.workload &&
      other.hardware_profile === facts.hardware_profile &&
      other.kernel_profile === facts.kernel_profile &&
      other.pacing.mode === facts.pacing.mode &&
      other.pacing.factor === facts.pacing.factor,
  );
  if (base === undefined) return null;
  const over = (value: number | null, reference: number | null) => ratio(value ?? 0, reference ?? 0);
  const [own, reference] = [facts.latency.dma_latency_ns, base.latency.dma_latency_ns];
  return {
    case: base.key,
    mean_latency_ratio: over(own.mean, reference.mean),
    p99_latency_ratio: over(own.p99, reference.p99),
    throughput_ratio: over(facts.headline.throughput_bytes_per_s, base.headline.throughput_bytes_per_s),
  };
}
