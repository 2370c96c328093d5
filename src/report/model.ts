/** From a run to its report: integers in, presentation quantities out, once, after everything was merged. */
import type { HardwareTiming, RunResult } from '../replay/protocol.ts';
import { type CaseData, collectCases } from './case-data.ts';
import type { Chart } from './charts/chart.ts';
import { caseCharts } from './charts/charts.ts';
import type { AssumptionSection } from './schema/assumptions.ts';
import { REPORT_SCHEMA_VERSION, type ReportModel } from './schema/report.ts';
import { answersOf } from './sections/answers.ts';
import { assumptionCardSection, assumptionSections, resultShare } from './sections/assumptions.ts';
import { bottleneckSection } from './sections/bottleneck.ts';
import { unitSections } from './sections/caches.ts';
import { concurrencySection } from './sections/concurrency.ts';
import { deviceTlbSection } from './sections/device-tlbs.ts';
import { divergenceSection } from './sections/divergences.ts';
import { faultSections } from './sections/faults.ts';
import { headlineSection } from './sections/headline.ts';
import { identitySection, pacingSection } from './sections/identity.ts';
import { invalidationSection } from './sections/invalidation.ts';
import { latencySection } from './sections/latency.ts';
import { modelCardSection } from './sections/model-card.ts';
import { versusPassThrough } from './sections/pass-through.ts';
import { timeSection } from './sections/time.ts';
import { timelineSection } from './sections/timeline.ts';

/** A report and the data of its charts. */
export interface Report {
  readonly model: ReportModel;
  /** Charts of each case, in the order of `model.cases`. */
  readonly charts: readonly (readonly Chart[])[];
}

/** Builds the report of a run. The same run gives the same report, key for key. */
export function buildReport(run: RunResult): Report {
  const cases = collectCases(run);
  const assumptions = assumptionSections(run, cases);
  const modelCard = modelCardSection(run.profiles, assumptionCardSection(run), resultShare(assumptions.values()));
  const all = cases.map((data) => caseFacts(data, run, assumptions.get(data.key) ?? null));
  const charts = cases.map((data, index) =>
    caseCharts(data, all[index]!.assumptions, cases.length > 1 ? `case${index + 1}-` : ''),
  );
  const model: ReportModel = {
    schemaVersion: REPORT_SCHEMA_VERSION,
    kind: 'run',
    tool_version: run.toolVersion,
    complete: run.complete,
    missing: [...run.missing],
    failures: run.failures.map(({ key, error }) => ({ key, error })),
    cases: all.map((alone, index) => {
      const facts = { ...alone, versus_pass_through: versusPassThrough(alone, all) };
      return {
        ...facts,
        answers: answersOf(facts, modelCard.assumption_share),
        charts: charts[index]!.map(({ name, title, rows }) => ({ name, title, rows: rows.length })),
      };
    }),
    model_card: modelCard,
  };
  return { model, charts };
}

function caseFacts(data: CaseData, run: RunResult, assumptions: AssumptionSection | null) {
  const deviceTlbs = deviceTlbSection(data);
  return {
    key: data.key,
    workload: data.workload,
    hardware_profile: data.hardwareProfile,
    kernel_profile: data.kernelProfile,
    pacing: pacingSection(data),
    scenario: data.scenario,
    shards: data.shards,
    identity: identitySection(data, timingOf(data, run)),
    headline: headlineSection(data),
    latency: latencySection(data),
    time: timeSection(data),
    units: unitSections(data),
    invalidation: invalidationSection(data),
    ...(deviceTlbs === undefined ? {} : { device_tlbs: deviceTlbs }),
    timeline: timelineSection(data),
    faults: faultSections(data),
    divergences: divergenceSection(data),
    concurrency: concurrencySection(data, run.profiles),
    bottleneck: bottleneckSection(data, timingOf(data, run)),
    assumptions,
  };
}

function timingOf(data: CaseData, run: RunResult): HardwareTiming | undefined {
  return run.profiles.find(({ kind, name }) => kind === 'hardware' && name === data.hardwareProfile)?.timing;
}
