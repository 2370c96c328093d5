/** A disruption study has the same bytes for any number of workers and rows per call. Runs the built `dist`. */
import { beforeAll, expect, test } from 'vitest';
import type * as Policy from '../../src/replay/study/policy.ts';
import type * as StudyRun from '../../src/replay/study/study-run.ts';
import type * as Document from '../../src/report/study/document.ts';
import type * as StudyJson from '../../src/report/study/json.ts';
import { switchLoad } from '../support/switch-study.ts';

const dist = (path: string): string => new URL(`../../dist/${path}`, import.meta.url).href;

let policy: typeof Policy;
let studyRun: typeof StudyRun;
let document: typeof Document;
let json: typeof StudyJson;
let bundles: string[];

beforeAll(async () => {
  policy = (await import(dist('replay/study/policy.js'))) as typeof Policy;
  studyRun = (await import(dist('replay/study/study-run.js'))) as typeof StudyRun;
  document = (await import(dist('report/study/document.js'))) as typeof Document;
  json = (await import(dist('report/study/json.js'))) as typeof StudyJson;
  bundles = [await switchLoad(), await switchLoad({ fromStage: 'first', devices: 2, pasids: 4, failEvery: 5 })];
});

async function bytesWith(
  workers: number,
  batchRows?: number,
  options: Partial<StudyRun.StudyOptions> = {},
): Promise<string> {
  const { run, exitCode } = await studyRun.runStudy({
    bundles,
    policies: policy.SWITCH_POLICIES,
    hardware: ['vtd-emr'],
    kernels: ['v7.3'],
    workers,
    batchRows,
    toolVersion: 'test',
    sensitivity: true,
    ...options,
  });
  expect(exitCode).toBe(0);
  return json.studyJson(run, document.studyDocument(run));
}

test('study.json has the same bytes for 0, 1 and 3 workers, and for calls of 1 and 1000 rows', async () => {
  const reference = await bytesWith(0);
  expect(reference.length).toBeGreaterThan(100_000);
  expect(await bytesWith(1)).toBe(reference);
  expect(await bytesWith(3)).toBe(reference);
  expect(await bytesWith(0, 1)).toBe(reference);
  expect(await bytesWith(2, 1000)).toBe(reference);
});

test('so it has where devices stop at a fault and calls are rewritten', async () => {
  const small = { rows: 6000, devices: 4, switches: 8, regionBytes: 4_194_304 };
  const closed = await switchLoad({ ...small, pacing: 'closed' });
  const moves = await switchLoad({ ...small, call: 'container-move', gapNs: 40 });
  const policies = ['detach-attach', 'clear-then-update'] as const;
  const options = { bundles: [closed, moves], policies, sensitivity: false, onFault: 'stop', gapNs: 5000 } as const;
  const reference = await bytesWith(0, undefined, options);
  expect(reference).toMatch(/"device_stopped_ns": [1-9]/);
  expect(await bytesWith(2, 100, options)).toBe(reference);
  expect(await bytesWith(0, 1, options)).toBe(reference);
});
