import { expect, test } from 'vitest';
import type { DashboardStatus } from '../../../src/history/dashboard/schema.ts';
import { statusSentence } from '../../../src/history/dashboard/status-sentence.ts';

const MOMENT = { entry: '000002', date: '2026-01-02' };
const GATE: DashboardStatus['failed_gates'][number] = {
  case: 'ring',
  text: 'headline.faulted_dma == 0',
  required: true,
  metric: 'headline.faulted_dma',
  value: 1,
  base: null,
  base_entry: null,
  observed: 1,
  verdict: 'breach',
  since: MOMENT,
};

function sentence(verdict: DashboardStatus['verdict'], pass: number, breach = 0, first = 0): string {
  const status = {
    ...MOMENT,
    label: null,
    commit: null,
    tool_version: '0.1.0',
    verdict,
    since: MOMENT,
    last_pass: null,
    gates: { pass, breach, unknown: 0, first },
    failed_gates: Array<typeof GATE>(breach).fill(GATE),
    failures: [{ run: 'ring', job: 'ring/0', error: 'worker exited' }],
    tool_changed_from: null,
    configuration_changes: [],
    unexplained: [],
  };
  return statusSentence(status, new Map());
}

test.each([
  [sentence('pass', 0), 'PASS: entry 2 (2026-01-02) is complete; the plan has no thresholds.'],
  [sentence('pass', 1), 'PASS: entry 2 (2026-01-02) passes its only gate.'],
  [sentence('pass', 8), 'PASS: entry 2 (2026-01-02) passes all 8 gates.'],
  [
    sentence('pass', 1, 0, 1),
    'PASS: entry 2 (2026-01-02) passes 1 of 2 gates. 1 more gate about a change has no earlier entry to be held against.',
  ],
  [
    sentence('pass', 0, 0, 2),
    'PASS: entry 2 (2026-01-02) is complete. 2 gates about a change have no earlier entry to be held against.',
  ],
  [
    sentence('fail', 0, 1),
    'FAIL: entry 2 (2026-01-02) fails its only gate: headline.faulted_dma == 0 in ring (1, since entry 2). No entry has passed.',
  ],
  [
    sentence('fail', 1, 1),
    'FAIL: entry 2 (2026-01-02) fails 1 of 2 gates: headline.faulted_dma == 0 in ring (1, since entry 2). No entry has passed.',
  ],
  [
    sentence('incomplete', 0, 1),
    'INCOMPLETE: 1 job of entry 2 (2026-01-02) failed, and its only gate: headline.faulted_dma == 0 in ring (1, since entry 2). No entry has passed.',
  ],
])('%s', (text, expected) => {
  expect(text).toBe(expected);
});
