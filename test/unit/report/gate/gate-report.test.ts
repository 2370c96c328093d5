import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { serializeRun } from '../../../../src/replay/run-folder.ts';
import { gateJson, gateMarkdown, gateReport, gateText } from '../../../../src/report/gate/gate-report.ts';
import { gateReportSchema } from '../../../../src/report/gate/schema.ts';
import { gateSentence } from '../../../../src/report/gate/sentences.ts';
import { loadReport } from '../../../../src/report/load-report.ts';
import { failOnThresholds, type Threshold } from '../../../../src/report/metrics/thresholds.ts';
import { buildReport } from '../../../../src/report/model.ts';
import { jobResult, manifest, profileCards, runResult } from '../../../support/run-result-builder.ts';

const scratch = mkdtempSync(join(tmpdir(), 'gate-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const runOf = (faults: number, complete = true) => ({
  folder: 'nightly.run',
  model: buildReport(runResult([jobResult({ requests: 300, faults })], { complete })).model,
});

const [atMost] = failOnThresholds(['headline.faulted_dma <= 2']);
const required: Threshold = { ...atMost!, required: true, because: 'a fault stops the device' };

describe('the list of a gate', () => {
  test('has a tick or a cross, value and limit a threshold, and the reason of a breach', () => {
    const report = gateReport(runOf(3), undefined, [required, ...failOnThresholds(['iotlb_hit_share < 1%'])], '1.0.0');
    expect(report).toMatchObject({ pass: false, passed: 1, breached: 1, unknown: 0 });
    const text = gateText(report);
    expect(text).toContain('1 of 2 gates is breached in nightly.run.');
    expect(text).toContain('nvme-live-replace/vtd-bdw/v6.12/closed');
    expect(text).toMatch(/✗ `headline.faulted_dma <= 2` does not hold: 3; limit 2. A fault stops\s+the device\./);
    expect(text).toMatch(/✓ `iotlb_hit_share < 1%` is not met: [\d.]+ %; limit 1\.0 %\./);
    expect(gateMarkdown(report)).toContain('- ✗ `headline.faulted_dma <= 2` does not hold: 3; limit 2.');
    for (const line of text.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(72);
  });

  test('says when all are kept, and when the run is incomplete', () => {
    const report = gateReport(runOf(0, false), undefined, [required], '1.0.0');
    expect(report).toMatchObject({ pass: true, complete: false });
    expect(gateText(report)).toContain('1 gate is kept in nightly.run. The run is incomplete');
  });

  test('marks what cannot be evaluated', () => {
    const base = { folder: 'base.run', model: { ...runOf(0).model, cases: [] } };
    const report = gateReport(runOf(0), base, failOnThresholds(['faulted_dma > +1']), '1.0.0');
    expect(report).toMatchObject({ pass: false, unknown: 1, base: 'base.run' });
    expect(gateText(report)).toMatch(
      /\? `faulted_dma > \+1` cannot be evaluated: the base does not have this\s+case\./,
    );
  });

  test('tells a value from a limit that reads the same', () => {
    const { p99 } = runOf(0).model.cases[0]!.latency.dma_latency_ns;
    const conditions = [`dma_latency_ns.p99 > ${p99! + 0.01}ns`, `dma_latency_ns.p99 > ${p99! - 0.01}ns`];
    const [below, above] = gateReport(runOf(0), undefined, failOnThresholds(conditions), '1.0.0').gates;
    expect(gateSentence(below!)).toMatch(/ is not met: .*; limit .* \(just below it\)\.$/);
    expect(gateSentence(above!)).toMatch(/ is met: .*; limit .* \(just above it\)\.$/);
  });

  test('from nothing is more than any share, and JSON has no infinity', () => {
    const report = gateReport(runOf(3), runOf(0), failOnThresholds(['faulted_dma > +5%']), '1.0.0');
    expect(report.gates[0]).toMatchObject({ verdict: 'breach', value: 3, base: 0, observed: null, limit: 0.05 });
    expect(gateText(report)).toContain('3 against 0, from nothing');
    expect(gateReportSchema.parse(JSON.parse(gateJson(report)))).toEqual(report);
  });
});

describe('a gate against a base', () => {
  const KEY = 'nvme-live-replace/vtd-bdw/v6.12/closed';
  const change = failOnThresholds(['dma_latency_ns.mean > +900%']);

  /** A run of a trace with streams of this digest. */
  const traceOf = (name: string, sha256: string) => {
    const streams = { control: { file: 'control.arrow', rows: 487, sha256 } };
    const workloads = [{ name, manifestSha256: `${name} ${sha256}`, manifest: manifest({ name, streams }) }];
    const run = runResult([jobResult({ requests: 300, workload: name })], { workloads });
    return { folder: `${name}-${sha256}.run`, model: buildReport(run).model };
  };
  const flat = (text: string): string => text.replace(/\s+/g, ' ');

  test('has the case of the base that it was held against, and nothing to warn of where they agree', () => {
    const report = gateReport(runOf(0), { ...runOf(0), folder: 'base.run' }, change, '1.0.0');
    expect(report.gates[0]).toMatchObject({ verdict: 'pass', base_case: KEY, across: [], base_trace: 'same' });
    expect([report.across, report.traces.map(({ relation }) => relation)]).toEqual([[], ['same']]);
    expect(gateText(report)).toContain('\nPASS\n1 ');
    const alone = gateReport(runOf(0), undefined, [atMost!], '1.0.0');
    expect(alone.gates[0]).toMatchObject({ base_case: null, across: [], base_trace: null });
  });

  test('says across what hardware it was paired', () => {
    const onEmr = { ...jobResult({ requests: 300 }), hardwareProfile: 'vtd-emr' };
    const profiles = profileCards().map((card) => (card.kind === 'hardware' ? { ...card, name: 'vtd-emr' } : card));
    const emr = { folder: 'emr.run', model: buildReport(runResult([onEmr], { profiles })).model };
    const report = gateReport(emr, { ...runOf(0), folder: 'base.run' }, change, '1.0.0');
    expect(report.across).toEqual([{ what: 'hardware profile', base: 'vtd-bdw', run: 'vtd-emr' }]);
    expect(report.gates[0]).toMatchObject({ verdict: 'pass', base_case: KEY, across: ['hardware profile'] });
    for (const text of [gateText(report), gateMarkdown(report)]) {
      expect(flat(text)).toMatch(/PASS(,| ·) paired across hardware profile/);
      expect(flat(text)).toContain(
        'Each run has one hardware profile, and cases are paired across it (vtd-emr against vtd-bdw).',
      );
      expect(flat(text)).toContain(`nvme-live-replace/vtd-emr/v6.12/closed, against ${KEY}`);
    }
    expect(gateReportSchema.parse(JSON.parse(gateJson(report)))).toEqual(report);
  });

  test('is unknown about a change from another trace, unless that is asked for', () => {
    const thresholds = [...change, ...failOnThresholds(['faulted_dma > 0'])];
    const held = (acrossTraces: boolean) =>
      gateReport(traceOf('ring', 'b'), traceOf('ring', 'a'), thresholds, '1.0.0', { acrossTraces });
    const report = held(false);
    expect(report).toMatchObject({ pass: false, passed: 1, breached: 0, unknown: 1 });
    expect(report.gates[0]).toMatchObject({
      verdict: 'unknown',
      unknown_because: 'the base is another trace',
      base_trace: 'different',
      observed: null,
    });
    // The value itself needs no base.
    expect(report.gates[1]!.verdict).toBe('pass');
    expect(flat(gateText(report))).toMatch(/FAIL, different traces The runs replay different traces \(ring\): 1 of 2 /);
    const asked = held(true);
    expect(asked.gates.map(({ verdict }) => verdict)).toEqual(['pass', 'pass']);
    expect(flat(gateText(asked))).toMatch(/PASS, different traces The runs replay different traces \(ring\): all 2 /);
  });

  test('is evaluated for the same streams under another name, and for those that cannot be told', () => {
    const renamed = gateReport(traceOf('circle', 'a'), traceOf('ring', 'a'), change, '1.0.0');
    expect(renamed.gates[0]).toMatchObject({ verdict: 'pass', across: ['workload'], base_trace: 'renamed' });
    expect(gateText(renamed)).toContain('paired across workload');
    const lost = {
      ...runOf(0),
      model: buildReport(runResult([jobResult({ requests: 300 })], { workloads: [] })).model,
    };
    const open = gateReport(runOf(0), lost, change, '1.0.0');
    expect(open.gates[0]).toMatchObject({ verdict: 'pass', base_trace: 'unknown' });
    expect(flat(gateText(open))).toContain(
      'Whether the runs replay the same trace is not known (nvme-live-replace): 1 ',
    );
  });
});

describe('a run folder', () => {
  const folderOf = (name: string, content: string): string => {
    mkdirSync(join(scratch, name), { recursive: true });
    writeFileSync(join(scratch, name, 'run.json'), content);
    return join(scratch, name);
  };
  const run = runResult([jobResult({ requests: 300 })]);

  test('is read back as its report', () => {
    expect(loadReport(folderOf('good', serializeRun(run))).model).toEqual(buildReport(run).model);
  });

  test.each([
    ['none', undefined, /none\/run\.json: cannot be read \(ENOENT\)/],
    ['text', 'not JSON', /text\/run\.json: not JSON/],
    ['empty', '{"schemaVersion":1,"jobs":[]}', /empty\/run\.json: no list of missing/],
    [
      'half',
      serializeRun({ ...run, jobs: [{ ...run.jobs[0]!, time: null as never }] }),
      /half\/run\.json: holds no whole/,
    ],
    [
      'odd',
      serializeRun({ ...run, jobs: [{ ...run.jobs[0]!, spanPs: 'x' as never }] }),
      /odd\/run\.json: holds no whole run: cases\.0\.headline\.span_ns: /,
    ],
  ])('that is none (%s) is refused with file and reason', (name, content, message) => {
    const folder = content === undefined ? join(scratch, name) : folderOf(name, content);
    expect(() => loadReport(folder)).toThrow(message);
    expect(() => loadReport(folder)).toThrow(expect.objectContaining({ exitCode: 3 }));
  });

  test('is a folder, not one of its files', () => {
    const file = join(folderOf('with-file', serializeRun(run)), 'run.json');
    expect(() => loadReport(file)).toThrow(/run\.json: a file, not a run folder/);
  });
});
