// Speed of the full replay core (VtdUnit: device window and link, bindings, IOTLB, paging-structure caches, walker, fault
// path, counters, result columns) against the C++ yardstick on the same records at equal geometry: 1024 x 8 IOTLB,
// 64/32/16 x 4 paging-structure caches, 4 walkers. Interleaved rounds, CPU time, medians of per-round ratios.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PhysicalMemory } from '../../dist/hw/memory.js';
import { hardwareProfile } from '../../dist/hw/profiles/registry.js';
import { VtdUnit } from '../../dist/hw/vtd/unit.js';
import { Histogram } from '../../dist/stats/histogram.js';
import { Timeline } from '../../dist/timeline.js';
import { NEVER } from '../../dist/units.js';
import { generateTrace, TRACE_DOMAINS, TRACE_KINDS } from './roofline/gen-trace.mjs';

const OVERRIDES = [
  'iotlb.entries=1024',
  'iotlb.ways=8',
  'pagingCaches.region2m.entries=64',
  'pagingCaches.region2m.ways=4',
  'pagingCaches.region1g.entries=32',
  'pagingCaches.region1g.ways=4',
  'pagingCaches.region512g.entries=16',
  'pagingCaches.region512g.ways=4',
  'translation.walkers=4',
];
/** [rows] Rows of one call: what fits in a core's second cache with all its columns, and the default of a run. */
export const BATCH = 4096;
const CPP_SOURCE = new URL('./roofline/roof.cpp', import.meta.url).pathname;

/** Runs the bench; returns plain data. */
export async function run({ rows, rounds }) {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-replay-bench-'));
  try {
    const binary = compile(folder);
    const results = [];
    for (const kind of TRACE_KINDS) results.push(measure(kind, rows, rounds, folder, binary));
    return { name: 'translate', unit: 'M DMA/s of CPU time', compiler: binary !== undefined, results };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of the report. */
export function format(result) {
  const lines = ['trace    replay core   C++ -O3   ratio   hits     (M DMA/s of CPU time; ratio of medians per round)'];
  for (const row of result.results) {
    const cpp = row.cpp === undefined ? '   -   ' : row.cpp.toFixed(1).padStart(7);
    const ratio = row.ratio === undefined ? '  -  ' : row.ratio.toFixed(3);
    const hits = `${(100 * row.hitRate).toFixed(1)} %`;
    lines.push(`${row.kind.padEnd(8)} ${row.replay.toFixed(2).padStart(11)}   ${cpp}   ${ratio}   ${hits}`);
  }
  if (!result.compiler) lines.push('no C++ compiler (g++) found: the yardstick was not run');
  return lines;
}

function measure(kind, rows, rounds, folder, binary) {
  const { records, tables } = generateTrace(kind, rows);
  if (binary !== undefined) {
    writeFileSync(join(folder, `${kind}.trace`), Buffer.from(records.buffer));
    writeFileSync(join(folder, `${kind}.table`), Buffer.from(tables.buffer));
  }
  const replay = [];
  const cpp = [];
  let hitRate = 0;
  const core = prepare(records, tables);
  core.pass();
  for (let round = 0; round < rounds; round++) {
    if (binary !== undefined) cpp.push(runCpp(binary, folder, kind));
    let best = 0;
    for (let pass = 0; pass < 3; pass++) {
      const one = core.pass();
      if (one.rate > best) best = one.rate;
      hitRate = one.hitRate;
    }
    replay.push(best);
  }
  const ratio = cpp.length === 0 ? undefined : median(replay.map((value, round) => value / cpp[round]));
  return { kind, rows, replay: median(replay), cpp: cpp.length === 0 ? undefined : median(cpp), ratio, hitRate };
}

/** Columns and memory of a trace; `pass` replays it on a fresh unit, loading each batch as a replay loads its chunks. */
function prepare(records, tables) {
  const rows = records.length / 4;
  const notBefore = new Float64Array(rows);
  const device = new Uint16Array(rows);
  const pasid = new Uint32Array(rows);
  const iova = new Uint32Array(rows * 2);
  const bytes = new Uint32Array(rows);
  const flags = new Uint8Array(rows);
  let tick = 1000;
  for (let i = 0; i < rows; i++) {
    tick += records[4 * i + 3] * 1000;
    notBefore[i] = tick;
    device[i] = records[4 * i + 1] >>> 16;
    iova[2 * i] = records[4 * i];
    iova[2 * i + 1] = records[4 * i + 1] & 0xffff;
    bytes[i] = records[4 * i + 2] & 0x7fffffff;
    flags[i] = records[4 * i + 2] >>> 31;
  }
  const newUnit = unitMaker(tables);
  const ticks = new Float64Array(BATCH);
  return {
    pass() {
      const unit = newUnit();
      const { input, results } = unit.columns(BATCH);
      const latency = new Histogram();
      const before = process.cpuUsage();
      for (let from = 0; from < rows; from += BATCH) {
        const to = Math.min(rows, from + BATCH);
        input.notBefore.set(notBefore.subarray(from, to));
        input.device.set(device.subarray(from, to));
        input.pasid.set(pasid.subarray(from, to));
        input.iova.set(iova.subarray(2 * from, 2 * to));
        input.bytes.set(bytes.subarray(from, to));
        input.flags.set(flags.subarray(from, to));
        unit.translate(input, 0, to - from, NEVER, results);
        recordLatency(latency, to - from, results, ticks);
      }
      const spent = process.cpuUsage(before);
      const counters = unit.counters();
      return { rate: rows / (spent.user + spent.system), hitRate: counters.iotlb_hit / counters.iotlb_lookup };
    },
  };
}

/** Loads the tables; the function returned makes a unit with cold caches over them. */
export function unitMaker(tables) {
  const memory = new PhysicalMemory();
  const root = loadTables(memory, tables);
  const { config } = hardwareProfile('vtd-bdw', OVERRIDES);
  return () => {
    const unit = new VtdUnit({
      name: 'dmar0',
      config,
      memory,
      timeline: new Timeline(),
      deviceSourceIds: Array.from({ length: TRACE_DOMAINS }, (_, device) => 0x100 + device * 8),
    });
    unit.mmioWrite(0x20, root.low, root.high, 0);
    unit.mmioWrite(0x18, 0x40000000, 0, 0);
    unit.mmioWrite(0x18, 0x80000000, 0, 0);
    return unit;
  };
}

function recordLatency(latency, rowCount, { readyTick, arriveTick }, ticks) {
  for (let i = 0; i < rowCount; i++) ticks[i] = readyTick[i] - arriveTick[i];
  latency.recordAll(ticks, rowCount);
}

/** Copies the yardstick's radix tables into modelled memory as second-stage tables, one context entry a device. */
function loadTables(memory, tables) {
  const pages = tables.length / 1024;
  const first = memory.allocContiguous(pages);
  const base = memory.slotOf(first) * 1024;
  const { words } = memory;
  for (let word = 0; word < tables.length; word += 2) {
    const low = tables[word];
    if ((low & 1) === 0) continue;
    const leaf = tables[word + 1] !== 0 || (low & 0x80) !== 0 || low >>> 12 >= 1 << 20;
    const isTable = !leaf && low >>> 12 < pages;
    const frame = isTable ? first + (low >>> 12) : (low >>> 12) + tables[word + 1] * 1048576;
    words[base + word] = ((frame % 1048576) * 4096 + (low & 0x80) + 3) | 0;
    words[base + word + 1] = Math.floor(frame / 1048576);
  }
  const root = memory.allocFrame();
  const context = memory.allocFrame();
  const address = (pfn) => [(pfn % 1048576) * 4096, Math.floor(pfn / 1048576)];
  const [low, high] = address(context);
  memory.writeQword(root, 4, low + 1, high);
  for (let device = 0; device < TRACE_DOMAINS; device++) {
    const [tableLow, tableHigh] = address(first + device);
    memory.writeQword(context, device * 8 * 4, tableLow + 1, tableHigh);
    memory.writeQword(context, device * 8 * 4 + 2, 2 | ((device + 1) << 8), 0);
  }
  const [rootLow, rootHigh] = address(root);
  return { low: rootLow, high: rootHigh };
}

function compile(folder) {
  const binary = join(folder, 'roof');
  const done = spawnSync('g++', ['-O3', '-std=c++17', '-pthread', CPP_SOURCE, '-o', binary], { encoding: 'utf8' });
  return done.status === 0 ? binary : undefined;
}

function runCpp(binary, folder, kind) {
  const text = execFileSync(binary, [folder, kind, '1024', '8', '1', '3'], { encoding: 'utf8' });
  return Math.max(...[...text.matchAll(/cpu ([\d.]+) hits/g)].map((match) => Number(match[1])));
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
