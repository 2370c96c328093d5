/**
 * Imports ftrace text alone: devices from the names seen, control plane from `dma:*` and `iommu:*`, invalidation
 * descriptors beside them, and DMA by access synthesis.
 */
import { PAGE_SIZE } from '../../address.ts';
import { InputError } from '../../input-error.ts';
import { Random } from '../../random.ts';
import { NONE_U32 } from '../schema/column-type.ts';
import type { SynthesizedAccess } from './access-synthesis.ts';
import { type MappingLife, synthesizeAccesses } from './access-synthesis.ts';
import type { BundleDraft } from './bundle-draft.ts';
import type { ControlCall } from './control-call.ts';
import type { TranslateEvent } from './device-event.ts';
import { DeviceIndex } from './device-index.ts';
import { DiagnosticCounts } from './diagnostics.ts';
import { DecidedAccesses } from './dma-rows.ts';
import { type FtraceHeader, readFtraceHeader } from './ftrace-header.ts';
import { FtraceParser, type GuestTrace } from './ftrace-parser.ts';
import { callsBySubmit, recoverCalls } from './guest-calls.ts';
import { type ImportContext, parseInput, type StreamImporter } from './importer.ts';
import { eventTimes, MergeBounds, mergeRanks, preferredRanks } from './merge-order.ts';
import { layOutRows } from './recorded-rows.ts';
import { summarize } from './summary.ts';
import { TextCursor } from './text-cursor.ts';

/** Importer of ftrace text in its three dialects. */
export const ftraceImporter: StreamImporter = {
  kind: 'stream',
  name: 'ftrace',
  description: 'ftrace text: trace, trace-cmd report, function_graph or perf script; DMA is synthesised from mappings',
  sniff: looksLikeFtrace,
  async open(input, context) {
    const diagnostics = new DiagnosticCounts(context);
    const guest = await parseInput(input.chunks, new FtraceParser(input.name, diagnostics));
    return draftOfGuest(guest, context, diagnostics);
  },
};

/** True when one of the first lines has an ftrace header. */
function looksLikeFtrace(prefix: string): boolean {
  if (/^# tracer:/m.test(prefix)) return true;
  const cursor = new TextCursor();
  const header: FtraceHeader = { timeNs: 0, cpu: 0, thread: 0, name: '' };
  return prefix.split('\n', 50).some((line) => {
    const bytes = Buffer.from(line);
    cursor.set(bytes, 0, bytes.length);
    return ['event', 'graph-event', 'graph-call'].includes(readFtraceHeader(cursor, header));
  });
}

/** Bundle content of a guest trace. */
export function draftOfGuest(guest: GuestTrace, context: ImportContext, diagnostics: DiagnosticCounts): BundleDraft {
  if (guest.eventCount === 0) throw new InputError({ file: guest.file, reason: 'holds no ftrace event' });
  const devices = new DeviceIndex();
  const evidence = evidenceOf(guest, devices);
  const recovered = recoverCalls({ guest, control: undefined, devices, evidence, diagnostics });
  const calls = withoutDoubleMaps(recovered);
  diagnostics.count('map_of_mapped_range', 'info', { file: guest.file }, recovered.length - calls.length);
  const accesses = synthesizeAccesses(mappingLives(calls, guest.lastNs), new Random(context.seed));
  const order = mergeAccesses(guest, calls, accesses);
  const rows = layOutRows({
    calls,
    afterDma: lastUses(accesses, calls.length),
    guest: guest.events,
    device: order.device,
    ranks: order.ranks,
    accesses: order.decided,
    window: { first: 0, end: order.device.length },
    submissionOf: new Map(),
    callOfSubmit: callsBySubmit(calls, guest.events.length),
    originNs: guest.firstNs,
    offsetNs: 0,
  });
  const spanNs = guest.lastNs - guest.firstNs;
  return {
    manifest: {
      name: context.name,
      description: '',
      origin: { importer: 'ftrace', tool: `ftrace (${guest.dialect})`, kernel: '', clock: 'trace clock' },
      time: { originNs: String(guest.firstNs), windowStartNs: 0, windowEndNs: spanNs },
      dmaPolicy: { flushMode: flushModeOf(calls) },
      pacing: { default: 'recorded', reason: 'times of mappings are the recorded ones; requests are spread over them' },
      topology: { units: [unitOf(guest)], devices: devices.devices },
      provenance: { dma: { measured: 0, inferred: rows.dma.length, synthetic: 0 } },
      lostEvents: guest.lostEvents,
      diagnostics: diagnostics.entries(),
    },
    ...rows,
    initial: [],
    units: [{ dma: rows.dma, observed: false }],
    tables: [],
    summary: summarize({
      importer: 'ftrace',
      lines: guest.lineCount,
      parsed: { [guest.file]: guest.eventCount },
      diagnostics,
      lostEvents: guest.lostEvents,
      spanNs,
      clock: 'trace clock',
      devices,
      rows,
      measures: { submissions: rows.submissions.length },
    }),
  };
}

/** Owners without a device model: the one device of all `dma:*` events, or the one a thread attached. */
function evidenceOf(guest: GuestTrace, devices: DeviceIndex): Parameters<typeof recoverCalls>[0]['evidence'] {
  const named = new Set<string>();
  const attached = new Map<number, string>();
  for (const event of guest.events) {
    if (event.kind === 'dma_map' || event.kind === 'dma_alloc' || event.kind === 'dma_unmap') named.add(event.device);
    if (event.kind === 'attach') attached.set(event.thread, event.device);
  }
  return {
    deviceOfDomain: () => undefined,
    deviceUsingPage: () => undefined,
    deviceOfThread: (thread) => {
      const device = attached.get(thread);
      return device === undefined ? undefined : devices.byName(device);
    },
    onlyDevice: () => (named.size === 1 ? devices.byName([...named][0] as string) : undefined),
  };
}

/**
 * Leaves out maps of a range that is mapped already, and as many unmaps: two domains of one user's address space hold
 * the same ranges while the device is switched from one to the other, and this source does not tell them apart.
 */
function withoutDoubleMaps(calls: readonly ControlCall[]): ControlCall[] {
  /** Holders of each IOVA page, by device. */
  const holders: Map<number, number>[] = [];
  return calls.filter((call) => {
    const maps = call.op === 'dma_map' || call.op === 'dma_alloc';
    if (!maps && call.op !== 'dma_unmap' && call.op !== 'dma_free') return true;
    const page = Math.floor(Number(call.iova) / PAGE_SIZE);
    holders[call.device] ??= new Map();
    const held = holders[call.device]?.get(page) ?? 0;
    holders[call.device]?.set(page, Math.max(0, held + (maps ? 1 : -1)));
    return maps ? held === 0 : held <= 1;
  });
}

/** Pairs map calls with the unmap calls that end them. */
function mappingLives(calls: readonly ControlCall[], endNs: number): MappingLife[] {
  const lives: { -readonly [K in keyof MappingLife]: MappingLife[K] }[] = [];
  /** Open mapping of each IOVA page, by device. */
  const openOf: Map<number, number>[] = [];
  calls.forEach((call, index) => {
    if (call.device === NONE_U32) return;
    openOf[call.device] ??= new Map();
    const open = openOf[call.device] as Map<number, number>;
    const page = Math.floor(Number(call.iova) / PAGE_SIZE);
    switch (call.op) {
      case 'dma_map':
      case 'dma_alloc': {
        const coherent = call.op === 'dma_alloc';
        const iova = Number(call.iova);
        const bytes = Number(call.length);
        const { device, flags: direction, timeNs: mapNs } = call;
        const life = { device, iova, bytes, direction, mapCall: index, unmapCall: -1, mapNs, unmapNs: endNs, coherent };
        open.set(page, lives.push(life) - 1);
        return;
      }
      case 'dma_unmap':
      case 'dma_free': {
        const life = lives[open.get(page) ?? -1];
        open.delete(page);
        if (life === undefined) return;
        life.unmapCall = index;
        life.unmapNs = Math.max(life.mapNs, call.timeNs);
        return;
      }
      default:
        return;
    }
  });
  return lives;
}

/** Puts the accesses among the guest's events: behind the map and before the unmap of what they touch. */
function mergeAccesses(
  guest: GuestTrace,
  calls: readonly ControlCall[],
  accesses: readonly SynthesizedAccess[],
): {
  readonly device: TranslateEvent[];
  readonly decided: DecidedAccesses;
  readonly ranks: Int32Array;
} {
  const bounds = new MergeBounds(guest.events.length, accesses.length);
  const decided = new DecidedAccesses(accesses.length);
  const device: TranslateEvent[] = [];
  for (let index = 0; index < accesses.length; index++) {
    const { timeNs, iova, mapping, shape } = accesses[index] as SynthesizedAccess;
    const { mapCall, unmapCall } = mapping;
    bounds.before(eventOf(calls, mapCall), index);
    if (unmapCall >= 0) bounds.after(eventOf(calls, unmapCall), index);
    decided.set(index, mapping.device, shape, mapCall, false);
    device.push(translateEvent(timeNs, iova));
  }
  const preferred = preferredRanks(eventTimes(guest.events), eventTimes(accesses));
  return { device, decided, ranks: mergeRanks(preferred, bounds).ranks };
}

/** An access as the device side of a merge; what only a device-model log shows is unknown. */
function translateEvent(timeNs: number, iova: number): TranslateEvent {
  return {
    timeNs,
    thread: 0,
    line: 0,
    kind: 'translate',
    sourceId: 0,
    iova,
    pfn: 0,
    pageShift: 0,
    outcome: 'unknown',
    leaf: 0,
    domainId: 0,
  };
}

function eventOf(calls: readonly ControlCall[], call: number): number {
  return Math.ceil((calls[call] as ControlCall).position);
}

/** For each call 1 + the last access of the mapping it ends; 0 = none. */
function lastUses(accesses: readonly SynthesizedAccess[], callCount: number): number[] {
  const last = new Array<number>(callCount).fill(0);
  for (let row = 0; row < accesses.length; row++) {
    const { unmapCall } = (accesses[row] as SynthesizedAccess).mapping;
    if (unmapCall >= 0) last[unmapCall] = row + 1;
  }
  return last;
}

/** Strict when unmaps carry their own descriptors. */
function flushModeOf(calls: readonly ControlCall[]): 'strict' | 'lazy' {
  const unmaps = calls.filter(({ op }) => op === 'dma_unmap');
  const flushed = unmaps.filter(({ submits }) => submits.length > 0);
  return flushed.length * 2 >= unmaps.length ? 'strict' : 'lazy';
}

/** PASID-based descriptors occur in scalable mode only; those of the IOTLB tell a first stage. */
function unitOf(guest: GuestTrace): BundleDraft['manifest']['topology']['units'][number] {
  const types = new Set<string>();
  for (const event of guest.events) if (event.kind === 'submit') types.add(event.type);
  const first = types.has('p_iotlb_inv');
  const scalable = first || types.has('pc_inv');
  return { name: 'dmar0', mode: scalable ? 'scalable' : 'legacy', stage: first ? 'first' : 'second' };
}
