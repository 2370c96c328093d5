/** Puts the report into words: one chapter a case, the model card at the end. */
import { formatByteRate, formatCount, formatDuration, formatShare } from '../format.ts';
import type { ReportCase, ReportModel } from '../schema/report.ts';
import { assumptionChapter } from './assumptions.ts';
import { type Block, type Chapter, figures, type ReportDocument, words } from './block.ts';
import { deviceTlbChapter } from './device-tlbs.ts';
import { divergenceChapter, faultChapter, timelineChapter } from './events.ts';
import { identityChapter } from './identity.ts';
import { modelCardChapter } from './model-card.ts';
import { cacheChapter, invalidationChapter, latencyChapter, timeChapter } from './performance.ts';
import { badges, provenance, sentence, tiles } from './summary.ts';

/** The report as blocks. */
export function reportDocument(model: ReportModel): ReportDocument {
  const workloads = [...new Set(model.cases.map(({ workload }) => workload))];
  return {
    title:
      workloads.length === 1 ? workloads[0]! : workloads.length === 0 ? 'No result' : `${workloads.length} workloads`,
    overview: overview(model),
    chapters: model.cases.map((facts) => chapter(model, facts)),
    modelCard: modelCardChapter(model.model_card),
  };
}

function chapter(model: ReportModel, facts: ReportCase): Chapter {
  return {
    title: facts.workload,
    subtitle: [facts.hardware_profile, facts.kernel_profile, facts.scenario].join(' · '),
    badges: badges(model, facts),
    sentence: sentence(facts),
    tiles: tiles(facts),
    answers: facts.answers,
    provenance: provenance(facts),
    pacing: facts.pacing.reason,
    sections: [
      identityChapter(model, facts),
      latencyChapter(facts),
      timeChapter(facts),
      cacheChapter(facts),
      invalidationChapter(facts),
      ...(facts.device_tlbs === undefined ? [] : [deviceTlbChapter(facts.device_tlbs)]),
      timelineChapter(facts),
      faultChapter(facts),
      divergenceChapter(facts),
      ...assumptionChapter(model, facts),
    ],
  };
}

function overview(model: ReportModel): Block[] {
  const varies = (key: 'hardware_profile' | 'kernel_profile' | 'scenario'): boolean =>
    new Set(model.cases.map((facts) => facts[key])).size > 1;
  const blocks: Block[] = [];
  if (model.cases.length === 0) blocks.push({ kind: 'paragraph', text: 'No job of this run produced a result.' });
  if (!model.complete) {
    blocks.push({
      kind: 'paragraph',
      text: 'This run is incomplete: what follows covers only what was replayed.',
    });
  }
  if (model.missing.length > 0) {
    blocks.push({
      kind: 'table',
      caption: 'Jobs without a complete result',
      columns: [words('job', { code: true })],
      rows: model.missing.map((key) => [key]),
    });
  }
  if (model.failures.length > 0) {
    blocks.push({
      kind: 'table',
      caption: 'Failed jobs',
      columns: [words('job', { code: true }), words('error')],
      rows: model.failures.map(({ key, error }) => [key, error]),
    });
  }
  if (model.cases.length > 1) {
    blocks.push({
      kind: 'table',
      caption: 'Cases of this run',
      columns: [
        words('workload'),
        words('hardware', { wideOnly: !varies('hardware_profile') }),
        words('kernel', { wideOnly: !varies('kernel_profile') }),
        words('scenario', { wideOnly: !varies('scenario') }),
        figures('p50'),
        figures('p99'),
        figures('throughput'),
        figures('translation', { wideOnly: true }),
        figures('IOTLB hit'),
        figures('faults'),
      ],
      rows: model.cases.map(({ workload, hardware_profile, kernel_profile, scenario, headline, latency }) => [
        workload,
        hardware_profile,
        kernel_profile,
        scenario,
        formatDuration(latency.dma_latency_ns.p50),
        formatDuration(latency.dma_latency_ns.p99),
        formatByteRate(headline.throughput_bytes_per_s),
        formatShare(headline.translation_share),
        formatShare(headline.iotlb_hit_share),
        formatCount(headline.faulted_dma),
      ]),
    });
  }
  return blocks;
}
