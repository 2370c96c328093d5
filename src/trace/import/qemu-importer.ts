/**
 * Imports a device-model log alone: DMA and observations are measured, the control plane is not in it. Every page is
 * learned from its first use.
 */
import { PAGE_SIZE } from '../../address.ts';
import { InputError } from '../../input-error.ts';
import { DmaProvenance } from '../schema/dma-stream.ts';
import { InitialOrigin } from '../schema/initial-stream.ts';
import { AccessShapes } from './access-shape.ts';
import type { BundleDraft, InitialRow } from './bundle-draft.ts';
import { isUntracedDescriptor } from './descriptor-matching.ts';
import type { DeviceEvent } from './device-event.ts';
import { DeviceIndex } from './device-index.ts';
import { DiagnosticCounts } from './diagnostics.ts';
import { coveredRange } from './dma-api-calls.ts';
import { DecidedAccesses } from './dma-rows.ts';
import { type ImportContext, parseInput, type StreamImporter } from './importer.ts';
import { type DeviceLog, QemuLogParser } from './qemu-log-parser.ts';
import { layOutRows } from './recorded-rows.ts';
import { summarize } from './summary.ts';

/** Importer of QEMU's trace log. */
export const qemuImporter: StreamImporter = {
  kind: 'stream',
  name: 'qemu',
  description: 'QEMU trace log (vtd_*, device models): measured DMA and observations, no control plane',
  sniff: (prefix) =>
    prefix
      .split('\n', 50)
      .some((line) =>
        /^(\d+@\d+\.\d+:|\d{4}-\d\d-\d\dT\S+ )?(vtd|pci_nvme|virtio|e1000e|vfio)_[a-z0-9_]+( |$)/.test(line),
      ),
  async open(input, context) {
    const diagnostics = new DiagnosticCounts(context);
    const log = await parseInput(input.chunks, new QemuLogParser(input.name, diagnostics));
    return draftOfLog(log, context, diagnostics);
  },
};

function draftOfLog(log: DeviceLog, context: ImportContext, diagnostics: DiagnosticCounts): BundleDraft {
  const timed = !Number.isNaN(log.baseSeconds);
  // Without times order is all there is.
  const events = timed ? log.events : log.events.map((event) => ({ ...event, timeNs: 0 }));
  const first = events.find(({ kind }) => kind === 'translate' || kind === 'fault');
  if (first === undefined) throw new InputError({ file: log.file, reason: 'holds no translation and no fault' });
  const devices = new DeviceIndex();
  const { decided, initial, changed } = learn(events, devices, timed, diagnostics, log.file);
  // Without unmaps nothing invalidates: what caches do afterwards is better than it was.
  diagnostics.count('control_plane_not_in_source', 'info', { file: log.file, text: 'nothing is unmapped or flushed' });
  diagnostics.count('page_changed_without_map', 'info', { file: log.file }, changed);
  const rows = layOutRows({
    calls: [],
    afterDma: [],
    guest: [],
    device: events,
    ranks: new Int32Array(0),
    accesses: decided,
    window: { first: 0, end: events.length },
    submissionOf: new Map(),
    callOfSubmit: new Int32Array(0),
    originNs: first.timeNs,
    offsetNs: 0,
  });
  const spanNs = Math.max(0, (events.at(-1)?.timeNs ?? 0) - first.timeNs);
  const originNs = timed ? BigInt(log.baseSeconds) * 1_000_000_000n + BigInt(Math.round(first.timeNs)) : 0n;
  const clock = timed ? 'wall clock of the host' : 'none: order only';
  return {
    manifest: {
      name: context.name,
      description: '',
      origin: { importer: 'qemu', tool: 'QEMU trace log', kernel: '', clock },
      time: { originNs: String(originNs), windowStartNs: 0, windowEndNs: spanNs },
      dmaPolicy: { flushMode: flushModeOf(events) },
      pacing: { default: 'closed', reason: 'recorded under an emulator: order and addresses are real, times are not' },
      topology: { units: [unitOf(events)], devices: devices.devices },
      provenance: { dma: { measured: rows.dma.length, inferred: 0, synthetic: 0 } },
      lostEvents: 0,
      diagnostics: diagnostics.entries(),
    },
    ...rows,
    initial,
    units: [{ dma: rows.dma, observed: true }],
    tables: [],
    summary: summarize({
      importer: 'qemu',
      lines: log.lineCount,
      parsed: { [log.file]: log.eventCount },
      diagnostics,
      lostEvents: 0,
      spanNs,
      clock,
      devices,
      rows,
      measures: { pagesLearned: initial.length, pagesChanged: changed },
    }),
  };
}

/** Decides every access; pages are learned from first uses, and changes of a page counted. */
function learn(
  events: readonly DeviceEvent[],
  devices: DeviceIndex,
  timed: boolean,
  diagnostics: DiagnosticCounts,
  file: string,
): { readonly decided: DecidedAccesses; readonly initial: InitialRow[]; readonly changed: number } {
  const shapes = new AccessShapes();
  const decided = new DecidedAccesses(events.length);
  const initial: InitialRow[] = [];
  /** Page behind each IOVA page, by device. */
  const pages: Map<number, number>[] = [];
  let changed = 0;
  events.forEach((event, index) => {
    if (event.kind === 'hint') shapes.hint(event);
    if (event.kind !== 'translate' && event.kind !== 'fault') return;
    const device = devices.bySourceId(event.sourceId);
    const inferred = event.kind === 'fault' ? shapes.ofFault(event) : shapes.ofTranslation(event, undefined, undefined);
    const shape = timed ? inferred : { ...inferred, provenance: inferred.provenance | DmaProvenance.timeInferred };
    let learned = false;
    if (event.kind === 'translate') {
      const iovaPfn = Math.floor(event.iova / PAGE_SIZE);
      pages[device] ??= new Map();
      const known = pages[device].get(iovaPfn);
      learned = known !== event.pfn;
      if (known === undefined) {
        const prot = event.leaf % 4;
        const { pfn, pageShift: leafShift } = event;
        initial.push({ device, pasid: 0, iovaPfn, pfn, pageCount: 1, prot, leafShift, origin: InitialOrigin.learned });
      } else if (learned) changed++;
      if (learned) pages[device].set(iovaPfn, event.pfn);
    }
    decided.set(index, device, shape, -1, learned);
  });
  diagnostics.count('dma_size_unknown', 'info', { file }, shapes.unknown.size);
  diagnostics.count('dma_direction_unknown', 'info', { file }, shapes.unknown.direction);
  return { decided, initial, changed };
}

/** Page-selective descriptors are those of strict unmaps. */
function flushModeOf(events: readonly DeviceEvent[]): 'strict' | 'lazy' {
  let pages = 0;
  let whole = 0;
  for (const event of events) {
    if (event.kind !== 'descriptor' || isUntracedDescriptor(event.low)) continue;
    if (coveredRange([event.low, event.high]) === undefined) whole++;
    else pages++;
  }
  return pages >= whole ? 'strict' : 'lazy';
}

/** PASID-based descriptors (types 6 and 7, VT-d spec 6.5.2) occur in scalable mode only. */
function unitOf(events: readonly DeviceEvent[]): BundleDraft['manifest']['topology']['units'][number] {
  const types = new Set<number>();
  for (const event of events) if (event.kind === 'descriptor') types.add(Number(event.low & 15n));
  const first = types.has(6);
  return { name: 'dmar0', mode: first || types.has(7) ? 'scalable' : 'legacy', stage: first ? 'first' : 'second' };
}
