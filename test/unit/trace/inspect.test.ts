import { expect, test } from 'vitest';
import { formatInspection, inspectBundle } from '../../../src/trace/inspect.ts';
import { writeTestBundle } from '../../support/replay-bundle.ts';

test('an inspection counts rows and ops and says what can be answered', async () => {
  const path = await writeTestBundle({
    devices: [{ name: '0000:01:00.0' }],
    rows: [
      { kind: 'control', op: 'driver_bind', device: 0, recordedResult: 0 },
      { kind: 'control', op: 'marker' },
      { kind: 'control', op: 'marker' },
      { kind: 'dma', device: 0, iova: 4096, timeNs: 70 },
    ],
  });
  const inspection = inspectBundle(path);
  expect(inspection).toMatchObject({
    dmaRows: 1,
    controlOps: { driver_bind: 1, marker: 2 },
    window_ns: { start: 0, end: 70, span: 70 },
    provenance: { measured: 0, inferred: 0, synthetic: 1 },
  });
  const answerable = inspection.answers.filter((answer) => answer.answerable).map(({ question }) => question);
  expect(answerable).toContain('What throughput can the devices reach (closed pacing)?');
  expect(answerable).toContain('Does the modelled stack return what was recorded?');
  expect(answerable).not.toContain('What latency would the recorded arrivals see?');
  expect(formatInspection(inspection)).toContain('  0: 0000:01:00.0 test group 0 unit 0 physical');
});
