/**
 * The questions that the first screen answers, each with the number behind the answer. A question that this run cannot
 * answer says so and names the command that can.
 */

import { formatByteRate, formatCount, formatDuration, formatQuotient, formatShare, plural } from '../format.ts';
import { inferredColumnsText } from '../inferred-columns.ts';
import type { ReportCase } from '../schema/report.ts';
import { shownUse } from './bottleneck.ts';
import { translationMeanNs } from './headline.ts';

/** A case before its answers and charts are known. */
export type CaseFacts = Omit<ReportCase, 'answers' | 'charts'>;

type Answer = ReportCase['answers'][number];

/** A cache that hits at least this often is not called short. */
const SHORT_BELOW_HIT_SHARE = 0.99;

/** Answers in the order of the questions; `assumptionShare` is that of the model card. */
export function answersOf(facts: CaseFacts, assumptionShare: number | null): Answer[] {
  return [
    translationCost(facts),
    limit(facts),
    shortCache(facts),
    missSource(facts),
    invalidationCost(facts),
    blackout(facts),
    trust(facts, assumptionShare),
    singleChange(facts),
    {
      question: 'Better or worse than the baseline?',
      answered: false,
      answer: 'This run was not compared with another one; `iommu-replay compare` does.',
    },
  ];
}

function translationCost({
  headline,
  latency,
  device_tlbs: deviceTlbs,
  versus_pass_through: versus,
}: CaseFacts): Answer {
  const question = 'What does translation cost?';
  if (headline.translation_share === null) return { question, answered: false, answer: 'No DMA was replayed.' };
  const dma = latency.dma_latency_ns;
  const translation = latency.translation_latency_ns;
  // With device TLBs most of the translation is over when the request reaches the IOMMU, which is what was measured.
  const cost =
    deviceTlbs === undefined
      ? `${formatDuration(translation.mean)} of ${formatDuration(dma.mean)} on average, ` +
        `p99 ${formatDuration(translation.p99)} of ${formatDuration(dma.p99)}. `
      : `${formatDuration(translationMeanNs({ headline, latency }))} of ${formatDuration(dma.mean)} on average, in the ` +
        'device and in the IOMMU. ';
  return {
    question,
    answered: true,
    answer:
      `${formatShare(headline.translation_share)} of DMA latency: ${cost}` +
      (versus === null
        ? 'A pass-through replay of the same trace is not part of this run.'
        : `Against pass-through of the same trace: mean latency × ${formatQuotient(versus.mean_latency_ratio)}, ` +
          `throughput × ${formatQuotient(versus.throughput_ratio)}.`),
  };
}

function limit({ bottleneck, headline }: CaseFacts): Answer {
  const question = 'What limits the rate?';
  const [first, second] = bottleneck?.resources ?? [];
  if (bottleneck === null || first === undefined) {
    return { question, answered: false, answer: 'The run does not carry the limits of its hardware.' };
  }
  const use = (resource: typeof first): string =>
    `${resource.resource}, ${formatShare(shownUse(resource).share)} in use (${resource.detail})`;
  const rate = formatByteRate(headline.throughput_bytes_per_s);
  const next = second === undefined ? '' : ` Next: ${use(second)}.`;
  return {
    question,
    answered: true,
    answer:
      bottleneck.limiting === null
        ? `Nothing that the hardware or one CPU has: the busiest is ${use(first)}. The pace is that of the trace and its dependencies.${next}`
        : `${use(first)}: ${rate} of at most ${formatByteRate(shownUse(first).boundBytesPerS)}.${next}`,
  };
}

function shortCache({ units }: CaseFacts): Answer {
  const question = 'Which cache is short?';
  const caches = units.flatMap((unit) => unit.caches.map((cache) => ({ ...cache, unit: unit.unit })));
  const worst = caches
    .filter((cache) => (cache.hit_share ?? 1) < SHORT_BELOW_HIT_SHARE)
    .sort((a, b) => b.misses - a.misses)[0];
  if (caches.length === 0) return { question, answered: false, answer: 'No cache was looked up.' };
  if (worst === undefined) {
    return {
      question,
      answered: true,
      answer: `None: every cache hits at least ${formatShare(SHORT_BELOW_HIT_SHARE)}.`,
    };
  }
  const where = units.length > 1 ? ` of ${worst.unit}` : '';
  return {
    question,
    answered: true,
    answer:
      `The ${worst.cache}${where} misses most: ${formatCount(worst.misses)} of ${formatCount(worst.lookups)} lookups, ` +
      `${formatShare(worst.hit_share)} hit. First touches and invalidations count as misses too; ` +
      'a sweep over its size tells them apart.',
  };
}

function missSource({ latency }: CaseFacts): Answer {
  const question = 'Who causes the misses?';
  const [top] = latency.devices
    .filter((device) => (device.misses ?? 0) > 0)
    .sort((a, b) => (b.misses ?? 0) - (a.misses ?? 0));
  if (top === undefined) {
    const known = latency.devices.some((device) => device.misses !== null);
    return { question, answered: known, answer: known ? 'No request missed.' : 'Misses by device were not recorded.' };
  }
  const pages = top.page_sizes.map(({ page_bytes, requests }) => `${formatCount(requests)} on ${pageName(page_bytes)}`);
  const requests = top.reads + top.writes;
  return {
    question,
    answered: true,
    answer:
      `${top.device}: ${formatShare(top.miss_share)} of all misses, ${formatCount(top.misses)} in ` +
      `${formatCount(requests)} requests${pages.length > 0 ? ` (${pages.join(', ')} pages)` : ''}.`,
  };
}

/** `4 KiB`, `2 MiB`, `1 GiB`. */
export function pageName(pageBytes: number): string {
  const [unit, size] =
    pageBytes >= 2 ** 30 ? ['GiB', 2 ** 30] : pageBytes >= 2 ** 20 ? ['MiB', 2 ** 20] : ['KiB', 1024];
  return `${pageBytes / (size as number)} ${unit}`;
}

function invalidationCost({ invalidation, headline }: CaseFacts): Answer {
  const question = 'What do invalidations cost?';
  if (invalidation.submissions === 0) {
    return { question, answered: true, answer: 'Nothing: no invalidation was submitted.' };
  }
  const share = headline.invalidation_wait_share;
  return {
    question,
    answered: true,
    answer:
      `${formatCount(invalidation.submissions)} submissions wait ${formatDuration(invalidation.wait_ns.p50)} (p50), ` +
      `${formatDuration(invalidation.wait_ns.p99)} (p99)${share === null ? '' : `: ${formatShare(share)} of control-plane time`}. ` +
      `At most ${plural(invalidation.peak_occupancy, 'descriptor')} pending at once.`,
  };
}

function blackout({ headline, timeline, faults }: CaseFacts): Answer {
  const question = 'Was DMA disrupted?';
  const faulted =
    headline.faulted_dma === 0
      ? 'No DMA faulted.'
      : `${formatCount(headline.faulted_dma)} DMA faulted, mostly because: ${faults[0]?.reason_text ?? 'unknown'}.`;
  const change =
    headline.longest_domain_change_ns === null
      ? 'No device changed its domain.'
      : `The longest attach, detach or replace took ${formatDuration(headline.longest_domain_change_ns)}.`;
  const idle =
    timeline.longest_idle_ns === null || timeline.longest_idle_ns === 0
      ? ''
      : ` Longest time without a completion: ${formatDuration(timeline.longest_idle_ns)} (bins of ${formatDuration(timeline.bin_ns)}).`;
  return { question, answered: true, answer: `${faulted} ${change}${idle}` };
}

function trust({ identity, divergences, assumptions }: CaseFacts, assumptionShare: number | null): Answer {
  const question = 'How far can this be trusted?';
  const compared =
    divergences.compared === 0
      ? 'No control-plane result was compared.'
      : `${formatCount(divergences.count)} of ${formatCount(divergences.compared)} control-plane results differ from the recording.`;
  const assumed =
    (assumptionShare === null ? '' : ` ${formatShare(assumptionShare)} of the model's numbers are assumptions.`) +
    restingOn(assumptions);
  if (identity === null) {
    return { question, answered: false, answer: `The bundle's manifest is not readable. ${compared}${assumed}` };
  }
  const { provenance, lost_events } = identity;
  const columns = inferredColumnsText(provenance);
  return {
    question,
    answered: true,
    answer:
      `DMA rows are ${formatShare(provenance.measured_share)} measured, ${formatShare(provenance.inferred_share)} inferred, ` +
      `${formatShare(provenance.synthetic_share)} synthetic${columns === null ? '' : ` (${columns})`}; ${plural(lost_events ?? 0, 'event')} lost. ${compared}${assumed}`,
  };
}

/** Shares of the two latencies that rest on assumptions, and the number that moves the mean most. */
function restingOn(assumptions: CaseFacts['assumptions']): string {
  if (assumptions === null) return '';
  const share = (name: string): number | null =>
    assumptions.metrics.find(({ metric }) => metric === name)?.share ?? null;
  const [mean, p99] = [share('dma_latency_mean_ns'), share('dma_latency_p99_ns')];
  if (mean === null || p99 === null) return '';
  const reach = ({ effects }: (typeof assumptions.numbers)[number]): number => {
    const effect = effects.find(({ metric }) => metric === 'dma_latency_mean_ns');
    return Math.max(Math.abs(effect?.slow_change ?? 0), Math.abs(effect?.fast_change ?? 0));
  };
  const most = [...assumptions.numbers].sort((a, b) => reach(b) - reach(a))[0];
  const named = most === undefined || reach(most) === 0 ? '' : `, most of it on ${most.path}`;
  return ` ${formatShare(mean)} of mean DMA latency and ${formatShare(p99)} of p99 rest on them${named}.`;
}

function singleChange({ time, headline }: CaseFacts): Answer {
  const question = 'Which single change helps most?';
  const top = [...time.dma].sort((a, b) => b.total_ns - a.total_ns)[0];
  const lead =
    top === undefined || top.share === null
      ? ''
      : ` Most DMA time is ${top.part} (${formatShare(top.share)}); ${formatQuotient(headline.memory_reads_per_dma)} walk reads per DMA.`;
  return {
    question,
    answered: false,
    answer: `That takes replays with one setting changed, which this run does not hold.${lead}`,
  };
}
