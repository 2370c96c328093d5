/** Imports a control log alone: the calls of a user-space driver, without DMA. */
import { InputError } from '../../input-error.ts';
import type { BundleDraft } from './bundle-draft.ts';
import { type ControlLog, ControlLogParser } from './control-log-parser.ts';
import { DeviceIndex } from './device-index.ts';
import { DiagnosticCounts } from './diagnostics.ts';
import { DecidedAccesses } from './dma-rows.ts';
import { sortCalls } from './guest-calls.ts';
import { type ImportContext, parseInput, type StreamImporter } from './importer.ts';
import { layOutRows } from './recorded-rows.ts';
import { summarize } from './summary.ts';
import { SystemCallJoiner } from './system-calls.ts';

/** Importer of `control.jsonl`. */
export const controlLogImporter: StreamImporter = {
  kind: 'stream',
  name: 'control-log',
  description: 'control log (JSON lines): the VFIO and iommufd calls of a user-space driver, without DMA',
  sniff: (prefix) => /^\s*\{/.test(prefix) && /"t_ns"\s*:/.test(prefix.split('\n', 1)[0] ?? ''),
  async open(input, context) {
    const diagnostics = new DiagnosticCounts(context);
    const log = await parseInput(input.chunks, new ControlLogParser(input.name, diagnostics));
    return draftOfControlLog(log, context, diagnostics);
  },
};

function draftOfControlLog(log: ControlLog, context: ImportContext, diagnostics: DiagnosticCounts): BundleDraft {
  const first = log.calls[0];
  const last = log.calls.at(-1);
  if (first === undefined || last === undefined) throw new InputError({ file: log.file, reason: 'holds no call' });
  const devices = new DeviceIndex();
  const joiner = new SystemCallJoiner(devices, diagnostics);
  joiner.join(log.file, log.calls, (timeNs) => timeNs, { alone: true });
  const rows = layOutRows({
    calls: sortCalls(joiner.calls),
    afterDma: [],
    guest: [],
    device: [],
    ranks: new Int32Array(0),
    accesses: new DecidedAccesses(0),
    window: { first: 0, end: 0 },
    submissionOf: new Map(),
    callOfSubmit: new Int32Array(0),
    originNs: first.timeNs,
    offsetNs: 0,
  });
  const spanNs = last.timeNs + last.durationNs - first.timeNs;
  for (const device of devices.devices) device.driver = 'vfio-pci';
  return {
    manifest: {
      name: context.name,
      description: '',
      origin: { importer: 'control-log', tool: 'control log', kernel: '', clock: 'CLOCK_MONOTONIC' },
      time: { originNs: String(first.timeNs), windowStartNs: 0, windowEndNs: spanNs },
      dmaPolicy: { flushMode: 'strict' },
      pacing: { default: 'recorded', reason: 'times are those of the recorded calls' },
      topology: { units: [{ name: 'dmar0', mode: 'legacy', stage: 'second' }], devices: devices.devices },
      provenance: { dma: { measured: 0, inferred: 0, synthetic: 0 } },
      lostEvents: 0,
      diagnostics: diagnostics.entries(),
    },
    ...rows,
    initial: [],
    units: [{ dma: rows.dma, observed: false }],
    tables: [],
    summary: summarize({
      importer: 'control-log',
      lines: log.lineCount,
      parsed: { [log.file]: log.calls.length },
      diagnostics,
      lostEvents: 0,
      spanNs,
      clock: 'CLOCK_MONOTONIC',
      devices,
      rows,
      measures: {},
    }),
  };
}
