/** From a sweep to its report: integers in, presentation quantities out, once, after everything was merged. */

import { formatPacing } from '../../replay/pacing.ts';
import type { SweepCase, SweepPoint, SweepResult, SweptParam } from '../../replay/sweep/protocol.ts';
import { collectCases } from '../case-data.ts';
import type { Chart } from '../charts/chart.ts';
import { comparisonMetrics } from '../sections/comparison-metrics.ts';
import { identitySection } from '../sections/identity.ts';
import { basisTag, modelCardSection } from '../sections/model-card.ts';
import { sweepCharts } from './charts.ts';
import { effectsOf, gridEffects, plateauOf, rankingOf } from './effects.ts';
import {
  type PointMetrics,
  SWEEP_SCHEMA_VERSION,
  type SweepCaseModel,
  type SweepModel,
  type SweepParamModel,
  type SweepPointModel,
} from './schema.ts';
import { changeText, isNumeric, ratiosOf, seriesOf } from './series.ts';

/** A sweep and the data of its charts. */
export interface Sweep {
  readonly model: SweepModel;
  /** Charts of each case, in the order of `model.cases`. */
  readonly charts: readonly (readonly Chart[])[];
}

/** Builds the report of a sweep. The same sweep gives the same report, key for key. */
export function buildSweep(result: SweepResult): Sweep {
  const grid = result.mode === 'grid';
  const facts = result.cases.map((one) => caseModel(one, result, grid));
  const charts = facts.map((one, index) => sweepCharts(one, grid, facts.length > 1 ? `case${index + 1}-` : ''));
  const model: SweepModel = {
    schemaVersion: SWEEP_SCHEMA_VERSION,
    kind: 'sweep',
    tool_version: result.toolVersion,
    mode: result.mode,
    complete: result.complete,
    replays: result.replays,
    cases: facts.map((one, index) => ({
      ...one,
      charts: charts[index]!.map(({ name, title, rows }) => ({ name, title, rows: rows.length })),
    })),
    model_card: modelCardSection(result.profiles),
  };
  return { model, charts };
}

function caseModel(one: SweepCase, result: SweepResult, grid: boolean): SweepCaseModel {
  const metricsOf = ({ jobs }: SweepPoint): PointMetrics | null => {
    const [data] = collectCases({ jobs, workloads: result.workloads });
    return data === undefined ? null : comparisonMetrics(data);
  };
  const base: SweepCaseModel['base'] = {
    status: statusOf(one.base),
    missing: missingOf(one.base),
    metrics: metricsOf(one.base),
  };
  const points = one.points.map((point): SweepPointModel => {
    const metrics = metricsOf(point);
    return {
      changes: changesOf(point, result.params),
      status: statusOf(point),
      same_as: sameAs(point, one, result.params),
      missing: missingOf(point),
      metrics,
      ratio_to_base: metrics === null || base.metrics === null ? null : ratiosOf(metrics, base.metrics),
    };
  });
  const rankedBy = one.pacing.mode === 'closed' ? 'throughput_bytes_per_s' : 'dma_latency_mean_ns';
  const params = result.params.map((param, index): SweepParamModel => {
    const { value: own, unit, basis, source } = one.own[index]!;
    const { path, kind, spacing, values } = param;
    const facts = { path, numeric: isNumeric(values, own), own_value: own };
    const series = grid ? [] : seriesOf({ base, points }, facts);
    return {
      ...facts,
      kind,
      unit,
      spacing,
      values: [...values],
      basis,
      source,
      is_assumption: basis !== null && (basisTag(basis) === 'A' || /^ASSUMPTION/.test(source ?? '')),
      effects: grid ? gridEffects(points, path, base.metrics) : effectsOf(series, base.metrics),
      diminishing_returns:
        grid || !facts.numeric || kind === 'scenario' ? null : plateauOf(series, rankedBy, base.metrics),
    };
  });
  const workload = result.workloads.find(({ name }) => name === one.workload);
  return {
    key: one.key,
    workload: one.workload,
    hardware_profile: one.hardwareProfile,
    kernel_profile: one.kernelProfile,
    pacing: formatPacing(one.pacing),
    identity: identitySection({ identity: workload, diagnostics: {} }),
    ranked_by: rankedBy,
    base,
    params,
    points,
    ranking: rankingOf({ base, points, params, ranked_by: rankedBy }, grid),
    charts: [],
  };
}

function changesOf({ values }: SweepPoint, params: readonly SweptParam[]): SweepPointModel['changes'] {
  return params.flatMap(({ path }, index) => {
    const value = values[index] ?? null;
    return value === null ? [] : [{ path, value }];
  });
}

function sameAs({ sameAs: index }: SweepPoint, { points }: SweepCase, params: readonly SweptParam[]): string | null {
  if (index === null) return null;
  return index < 0 ? 'profile' : changeText(changesOf(points[index]!, params));
}

function statusOf({ missing }: SweepPoint): SweepPointModel['status'] {
  if (missing.length === 0) return 'ok';
  return missing.some(({ error }) => error !== null) ? 'failed' : 'unfinished';
}

function missingOf({ missing }: SweepPoint): SweepPointModel['missing'] {
  return missing.map(({ key, error }) => ({ replay: key, error }));
}
