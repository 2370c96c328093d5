// Speed of the text importers, the writing of the bundle included: events of the input a second of CPU time (of all
// threads of the process, so garbage collection counts). Texts are unpacked first; a recording is read as it is shipped.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { importTrace } from '../../dist/trace/import/registry.js';

const RECORDED = fileURLToPath(new URL('../../workloads/recorded/', import.meta.url));
/** Importer, recording, file of it (none: the recording as a whole). */
const INPUTS = [
  ['ftrace', 'nvme-randread4k-strict', 'ftrace.txt'],
  ['ftrace', 'virtio-blk-platform-lazy', 'ftrace.txt'],
  ['qemu', 'nvme-randread4k-strict', 'qemu-trace.log'],
  ['qemu', 'virtio-blk-platform-lazy', 'qemu-trace.log'],
  ['control-log', 'vfio-nvme-live-replace', 'control.jsonl'],
  ['recorded', 'nvme-randread4k-strict', undefined],
  ['recorded', 'virtio-blk-platform-lazy', undefined],
];
/** Imports before the measured ones: the compiler has seen the code. */
const WARM_UP = 4;

/** Runs the bench; returns plain data. */
export async function run({ rounds }) {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-replay-bench-'));
  try {
    const results = [];
    for (const [importer, recording, file] of INPUTS) {
      const input = file === undefined ? join(RECORDED, recording) : unpack(folder, recording, file);
      results.push({ importer, recording, ...(await measure(importer, input, join(folder, 'bundle'), rounds)) });
    }
    return { name: 'importers', unit: 'M events/s of CPU time', results };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of the report. */
export function format({ results }) {
  const lines = [
    'importer      recording                     events   first    warm   (M events/s of CPU time, bundle written)',
  ];
  for (const { importer, recording, events, first, warm } of results) {
    const rates = `${first.toFixed(2).padStart(6)}  ${warm.toFixed(2).padStart(6)}`;
    lines.push(`${importer.padEnd(12)}  ${recording.padEnd(26)}  ${String(events).padStart(7)}  ${rates}`);
  }
  return lines;
}

async function measure(importer, input, output, rounds) {
  const rates = [];
  let events = 0;
  for (let round = 0; round < WARM_UP + rounds; round++) {
    const before = process.cpuUsage();
    const request = { from: importer, inputs: [input], output, strict: false, overwrite: true };
    const summary = await importTrace(request);
    const spent = process.cpuUsage(before);
    events = Object.values(summary.parsed).reduce((sum, count) => sum + count, 0);
    rates.push(events / (spent.user + spent.system));
  }
  const warm = rates.slice(WARM_UP).sort((a, b) => a - b);
  return { events, first: rates[0], warm: warm[warm.length >> 1] };
}

function unpack(folder, recording, file) {
  mkdirSync(join(folder, recording), { recursive: true });
  const path = join(folder, recording, file);
  writeFileSync(path, gunzipSync(readFileSync(join(RECORDED, recording, `${file}.gz`))));
  return path;
}
