// Bundles: how long opening takes, what reading a DMA row costs, and what replaying from the bundle costs over replaying
// columns that are in memory already. The ratio is the median over interleaved rounds of CPU time.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { allocateColumns, copyColumns } from '../../dist/trace/columns.js';
import { BundleReader } from '../../dist/trace/reader.js';
import { DMA_SCHEMA } from '../../dist/trace/schema/dma-stream.js';
import { synthesize } from '../../dist/trace/synth/synthesize.js';
import { writeBundle } from '../../dist/trace/writer.js';
import { NEVER } from '../../dist/units.js';
import { generateTrace } from './roofline/gen-trace.mjs';
import { BATCH, unitMaker } from './translate.mjs';

const RING = fileURLToPath(new URL('../../workloads/recipes/ring.json', import.meta.url));
const KIND = 'mixed';

/** Runs the bench; returns plain data. `bundleRows`: size of the bundle that is opened. */
export async function run({ rows, rounds, bundleRows }) {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-replay-bench-'));
  try {
    const small = join(folder, 'small');
    await synthesize(RING, small, { rows: 1000 });
    const manifest = manifestOf(small);
    const large = join(folder, 'large');
    await writeBundle(large, {}, (writer) => {
      fill(writer.dma(0), bundleRows, () => {});
      return manifest;
    });
    const { records, tables } = generateTrace(KIND, rows);
    const trace = join(folder, 'trace');
    await writeBundle(trace, {}, (writer) => {
      fill(writer.dma(0), rows, (columns, row, index) => setRow(columns, row, records, index));
      return manifest;
    });
    return {
      name: 'bundle',
      unit: 'ms; ns/row; ratio of CPU time',
      bundleRows,
      rows,
      open: openTimes(large, rounds),
      readNsPerRow: median(Array.from({ length: rounds }, () => readTime(large, bundleRows))),
      ...replayRatio(trace, tables, rows, rounds),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines of the report. */
export function format({ bundleRows, rows, open, readNsPerRow, arrow, memory, ratio }) {
  return [
    `opening ${bundleRows} rows: first ${open.first.toFixed(1)} ms, then ${open.warm.toFixed(2)} ms`,
    `reading a DMA row in chunks of ${BATCH}, every column touched: ${readNsPerRow.toFixed(1)} ns of CPU time`,
    `replaying ${rows} rows: bundle ${arrow.toFixed(2)}, memory ${memory.toFixed(2)} M DMA/s; bundle takes ${ratio.toFixed(3)} x`,
  ];
}

function manifestOf(path) {
  const reader = BundleReader.open(path);
  const { streams, formatVersion, ...content } = reader.manifest;
  reader.close();
  return content;
}

/** Writes `count` rows batch by batch; what `set` leaves alone keeps the content of the batch before. */
function fill(writer, count, set) {
  for (let index = 0; index < count; ) {
    const filled = Math.min(writer.room, count - index);
    for (let at = 0; at < filled; at++) set(writer.columns, writer.row + at, index + at);
    writer.commit(filled);
    index += filled;
  }
}

function setRow(columns, row, records, index) {
  columns.sequence[row] = index;
  columns.timeNs[2 * row] = index * 4;
  columns.device[row] = records[4 * index + 1] >>> 16;
  columns.iova[2 * row] = records[4 * index];
  columns.iova[2 * row + 1] = records[4 * index + 1] & 0xffff;
  columns.bytes[row] = records[4 * index + 2] & 0x7fffffff;
  columns.flags[row] = records[4 * index + 2] >>> 31;
}

/** [ms] of wall time: manifest, footers and the batch table of the DMA stream. Just written, so from the page cache. */
function openTimes(path, rounds) {
  const times = Array.from({ length: rounds + 1 }, () => {
    const before = performance.now();
    const reader = BundleReader.open(path);
    reader.dma(0);
    const spent = performance.now() - before;
    reader.close();
    return spent;
  });
  return { first: times[0], warm: median(times.slice(1)) };
}

/** [ns] of CPU time a row. */
function readTime(path, rowCount) {
  const reader = BundleReader.open(path);
  const before = process.cpuUsage();
  let sum = 0;
  for (const { rowCount: count, columns } of reader.dma(0).chunks(BATCH)) {
    for (let row = 0; row < count; row++) sum += columns.iova[2 * row] + columns.timeNs[2 * row] + columns.device[row];
    sum += columns.pasid[0] + columns.bytes[0] + columns.flags[0] + columns.afterControl[0];
  }
  const spent = process.cpuUsage(before);
  reader.close();
  if (sum < 0) throw new Error('never');
  return ((spent.user + spent.system) * 1000) / rowCount;
}

function replayRatio(path, tables, rows, rounds) {
  const newUnit = unitMaker(tables);
  const held = hold(path);
  const pass = (chunks) => {
    const unit = newUnit();
    const { input, results } = unit.columns(BATCH);
    const before = process.cpuUsage();
    for (const { rowCount, columns } of chunks()) {
      const { timeNs } = columns;
      for (let row = 0; row < rowCount; row++) {
        input.notBefore[row] = (timeNs[2 * row] + timeNs[2 * row + 1] * 4294967296) * 1000;
      }
      input.device.set(columns.device);
      input.pasid.set(columns.pasid);
      input.iova.set(columns.iova);
      input.bytes.set(columns.bytes);
      input.flags.set(columns.flags);
      unit.translate(input, 0, rowCount, NEVER, results);
    }
    const spent = process.cpuUsage(before);
    return rows / (spent.user + spent.system);
  };
  const fromMemory = () => held;
  function* fromBundle() {
    const reader = BundleReader.open(path);
    yield* reader.dma(0).chunks(BATCH);
    reader.close();
  }
  pass(fromMemory);
  pass(fromBundle);
  const pairs = Array.from({ length: Math.max(rounds, 5) }, () => [pass(fromMemory), pass(fromBundle)]);
  return {
    memory: median(pairs.map(([memory]) => memory)),
    arrow: median(pairs.map(([, arrow]) => arrow)),
    ratio: median(pairs.map(([memory, arrow]) => memory / arrow)),
  };
}

/** All chunks, copied. */
function hold(path) {
  const reader = BundleReader.open(path);
  const held = [];
  for (const { rowCount, columns } of reader.dma(0).chunks(BATCH)) {
    const copy = allocateColumns(DMA_SCHEMA, rowCount);
    copyColumns(DMA_SCHEMA, columns, 0, copy, 0, rowCount);
    held.push({ rowCount, columns: copy });
  }
  reader.close();
  return held;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
