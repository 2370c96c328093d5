import { beforeAll, describe, expect, test } from 'vitest';
import type { RunResult } from '../../../src/replay/protocol.ts';
import { type StudyDocument, studyDocument } from '../../../src/report/study/document.ts';
import { studyFiles } from '../../../src/report/study/writer.ts';
import { studyRun, switchLoad } from '../../support/switch-study.ts';

describe('the files of a study', () => {
  let run: RunResult;
  let study: StudyDocument;
  let files: Map<string, string>;
  beforeAll(async () => {
    run = await studyRun(await switchLoad({ failEvery: 5 }), { sensitivity: true });
    study = studyDocument(run);
    files = await studyFiles(run, study);
  });
  const textOf = (name: string): string => files.get(name)!;

  test('are page, text, Markdown, JSON, and each chart as specification, data and picture', () => {
    const charts = ['throughput', 'latency', 'unit-throughput', 'blackout', 'refill', 'sequence', 'sensitivity'];
    const expected = charts.flatMap((name) => ['vl.json', 'csv', 'svg'].map((ending) => `charts/${name}.${ending}`));
    const documents = ['index.html', 'study.txt', 'study.md', 'study.json'];
    expect([...files.keys()].sort()).toEqual([...documents, ...expected].sort());
  });

  test('the text fits 72 columns and says that nothing validates it', () => {
    for (const line of textOf('study.txt').split('\n')) expect([...line].length).toBeLessThanOrEqual(72);
    expect(textOf('study.txt')).toContain('no public measurement validates this');
  });

  test('the page has no script, links its other forms and names every policy', () => {
    const page = textOf('index.html');
    expect(page).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
    expect(page).toContain('study.json');
    for (const { policy } of study.cases[0]!.policies) expect(page).toContain(policy);
  });

  test('refused switches have a section of their own', () => {
    expect(textOf('study.md')).toContain('## Refused switches');
    expect(textOf('study.md')).toContain('EADDRINUSE');
  });

  test('the JSON holds a verdict, the summary and every switch of each policy, with units in its names', () => {
    const document = JSON.parse(textOf('study.json'));
    expect(document.schemaVersion).toBe(1);
    const [only] = document.cases;
    expect(only.policies).toHaveLength(6);
    for (const policy of only.policies) {
      expect(policy.verdict.startsWith(`${policy.policy}:`)).toBe(true);
      expect(policy.switches).toHaveLength(policy.summary?.switches ?? 32);
      const faulted = policy.switches.reduce((sum: number, each: { faulted: number }) => sum + each.faulted, 0);
      expect(faulted).toBe(policy.faulted);
    }
    expect(only.sensitivity).toHaveLength(18);
    expect(document.limits.length).toBeGreaterThan(3);
  });
});

test('a workload without switches says what to do about it', async () => {
  const bundle = await switchLoad({ switches: 1, rows: 1000 });
  const run = await studyRun(bundle, { policies: ['entry-sync'] });
  const empty = { ...run.jobs[0]!.disruption!, switches: [], sequences: [] };
  const none = { ...run, jobs: run.jobs.map((job) => ({ ...job, disruption: empty })) };
  const text = (await studyFiles(none, studyDocument(none), ['text'])).get('study.txt');
  expect(text).toContain('--inject-switch');
});
