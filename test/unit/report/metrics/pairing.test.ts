import { describe, expect, test } from 'vitest';
import type { JobResult } from '../../../../src/replay/protocol.ts';
import { pairCases } from '../../../../src/report/metrics/pairing.ts';
import { buildReport } from '../../../../src/report/model.ts';
import type { ReportModel } from '../../../../src/report/schema/report.ts';
import { jobResult, manifest, profileCards, runResult } from '../../../support/run-result-builder.ts';

type Shape = Partial<Pick<JobResult, 'workload' | 'hardwareProfile' | 'kernelProfile' | 'pacing'>>;

function report(jobs: readonly Shape[], overrides: Parameters<typeof runResult>[1] = {}): ReportModel {
  return buildReport(
    runResult(
      jobs.map((job) => ({ ...jobResult({ requests: 50 }), ...job })),
      overrides,
    ),
  ).model;
}

function paired(base: ReportModel, run: ReportModel): string[] {
  const { pairs } = pairCases(base, run);
  return pairs.map(({ base: one, run: other, across }) => `${one.key} > ${other.key}: ${across.join(', ')}`);
}

describe('pairing', () => {
  test('goes by workload, profiles and scenario', () => {
    const jobs = [{ hardwareProfile: 'vtd-bdw' }, { hardwareProfile: 'vtd-emr' }];
    expect(paired(report(jobs), report(jobs))).toEqual([
      'nvme-live-replace/vtd-bdw/v6.12/closed > nvme-live-replace/vtd-bdw/v6.12/closed: ',
      'nvme-live-replace/vtd-emr/v6.12/closed > nvme-live-replace/vtd-emr/v6.12/closed: ',
    ]);
  });

  test.each([
    [{ hardwareProfile: 'vtd-emr' }, 'hardware profile'],
    [{ kernelProfile: 'v7.3' }, 'kernel profile'],
    [{ pacing: { mode: 'recorded' } }, 'scenario'],
  ] as const)('goes across %j where each run has one choice only', (shape, dimension) => {
    const { pairs, onlyBase, onlyRun } = pairCases(report([{}]), report([shape]));
    expect(pairs.map(({ across }) => across)).toEqual([[dimension]]);
    expect([...onlyBase, ...onlyRun]).toEqual([]);
  });

  test('does not guess where a run has several', () => {
    const base = report([{ hardwareProfile: 'vtd-bdw' }, { hardwareProfile: 'vtd-ivb' }]);
    const { pairs, onlyBase, onlyRun } = pairCases(base, report([{ hardwareProfile: 'vtd-emr' }]));
    expect([pairs.length, onlyBase.length, onlyRun.length]).toEqual([0, 2, 1]);
  });

  test('takes what an incomplete run was to replay for a choice it had', () => {
    const [hardware] = profileCards();
    const profiles = [...profileCards(), { ...hardware!, name: 'vtd-emr' }];
    const run = report([{ hardwareProfile: 'vtd-emr' }], { complete: false, missing: ['x'], profiles });
    expect(pairCases(report([{}]), run).pairs).toEqual([]);
  });

  test('finds a trace under another name by its streams, whatever else there is', () => {
    const base = report([{ workload: 'a' }, { workload: 'b' }], {
      workloads: ['a', 'b'].map((name) => ({
        name,
        manifestSha256: name,
        manifest: manifest({ name, streams: { control: { file: 'control.arrow', rows: 1, sha256: name } } }),
      })),
    });
    const run = report([{ workload: 'c' }], {
      workloads: [
        {
          name: 'c',
          manifestSha256: 'c',
          manifest: manifest({ name: 'c', streams: { control: { file: 'control.arrow', rows: 1, sha256: 'b' } } }),
        },
      ],
    });
    expect(paired(base, run)).toEqual(['b/vtd-bdw/v6.12/closed > c/vtd-bdw/v6.12/closed: workload']);
  });

  test('takes the only workload of each run for a pair, unless a run lost some', () => {
    const workloads = ['a', 'b'].map((name) => ({
      name,
      manifestSha256: name,
      manifest: manifest({ name, streams: { control: { file: 'control.arrow', rows: 1, sha256: name } } }),
    }));
    const [base, run] = [report([{ workload: 'a' }], { workloads }), report([{ workload: 'b' }], { workloads })];
    expect(pairCases(base, run).pairs.map(({ across }) => across)).toEqual([['workload']]);
    expect(pairCases(base, { ...run, complete: false }).pairs).toEqual([]);
  });
});
