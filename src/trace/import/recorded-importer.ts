/**
 * Merges a recording directory into one bundle: guest text, device-model log, control log, device list and table dumps.
 */
import { PAGE_SIZE } from '../../address.ts';
import { InputError } from '../../input-error.ts';
import { RESULT_UNKNOWN } from '../schema/control-stream.ts';
import { AccessResolver, type WindowAccess } from './access-resolution.ts';
import { AccessShapes } from './access-shape.ts';
import type { BundleDraft } from './bundle-draft.ts';
import type { ControlCall } from './control-call.ts';
import { alignByDescriptors, alignByPages, matchDescriptors } from './descriptor-matching.ts';
import type { DeviceEvent, FaultEvent, TranslateEvent } from './device-event.ts';
import { DeviceIndex } from './device-index.ts';
import { DiagnosticCounts } from './diagnostics.ts';
import { DecidedAccesses } from './dma-rows.ts';
import { callsBySubmit, recoverCalls } from './guest-calls.ts';
import type { GuestEvent } from './guest-event.ts';
import { findInitialState, type InitialPage, type InitialState, type PageUse } from './initial-mappings.ts';
import { type MappingInterval, MappingTimeline } from './mapping-timeline.ts';
import { eventTimes, MergeBounds, type MergedRanks, mergeRanks, preferredRanks } from './merge-order.ts';
import { dumpedPages, recordedDraft } from './recorded-draft.ts';
import { type RecordedFiles, readRecordedFiles } from './recorded-files.ts';
import { layOutRows, type MergedRecording } from './recorded-rows.ts';

/** Options of {@link importRecorded}. */
export interface RecordedOptions {
  /** Anomalies other than informative ones are errors. */
  readonly strict: boolean;
}

/** Clock offset and how it was found. */
export interface FoundOffset {
  readonly offsetNs: number;
  readonly method: 'descriptors' | 'pages';
  readonly pairs: number;
  readonly samples: number;
}

/** Imports a recording directory. @throws InputError when it is none, or damaged. */
export async function importRecorded(directory: string, options: RecordedOptions): Promise<BundleDraft> {
  const diagnostics = new DiagnosticCounts(options);
  return mergeRecording(await readRecordedFiles(directory, diagnostics), diagnostics);
}

/** Merges decoded files. */
export function mergeRecording(files: RecordedFiles, diagnostics: DiagnosticCounts): BundleDraft {
  const devices = new DeviceIndex();
  devices.addListed(files.listed);
  const guest = files.guest.events;
  const device = files.device.events;
  const offset = findOffset(files, guest, device);
  const window = windowOf(files, device, offset.offsetNs);
  const clock = {
    guestTimesNs: eventTimes(guest, offset.offsetNs),
    deviceTimesNs: eventTimes(device),
  };
  const preferred = preferredRanks(clock.guestTimesNs, clock.deviceTimesNs);
  const uses = pageUses(device, devices, window.first, window.end);
  const calls = recoverCalls({
    guest: files.guest,
    control: files.control,
    devices,
    evidence: ownerEvidence(files, devices, uses),
    diagnostics,
  });
  const matches = matchDescriptors(guest, device, offset.offsetNs);
  const bounds = new MergeBounds(guest.length, device.length);
  boundByDescriptors(guest, matches.executionOf, bounds);
  const groupOf = (index: number): number => devices.group(index);
  const touched = new Set(uses.map(({ iovaPfn }) => iovaPfn));
  const initial = findInitial(files, { devices, device, calls, uses, window, preferred, touched });
  const timeline = new MappingTimeline(groupOf, touched);
  addInitialPages(timeline, initial.pages);
  timeline.apply(calls);
  const resolver = new AccessResolver(timeline, calls, { preferred, ...clock }, bounds);
  const resolved = uses.map((use) => resolver.resolve(use));
  diagnostics.count('translation_unexplained', 'data-loss', { file: files.device.file }, resolver.unexplained);
  const merged = mergeRanks(preferred, bounds);
  diagnostics.count('order_contradiction', 'info', { file: files.guest.file }, merged.conflicts);
  const shapes = new AccessShapes();
  const decided = decideAccesses({ device, uses, resolved, calls, initial, shapes, offsetNs: offset.offsetNs });
  diagnostics.count('dma_size_unknown', 'info', { file: files.device.file }, shapes.unknown.size);
  diagnostics.count('dma_direction_unknown', 'info', { file: files.device.file }, shapes.unknown.direction);
  const recording: MergedRecording = {
    calls,
    afterDma: dependOnDma(calls, uses, resolved, merged, groupOf),
    guest,
    device,
    ranks: merged.ranks,
    accesses: decided,
    window,
    submissionOf: matches.submissionOf,
    callOfSubmit: callsBySubmit(calls, guest.length),
    originNs: files.guest.firstNs,
    offsetNs: offset.offsetNs,
  };
  return recordedDraft({
    files,
    devices,
    initial,
    offset,
    matches,
    merged,
    rows: layOutRows(recording),
    window,
    diagnostics,
  });
}

function findOffset(files: RecordedFiles, guest: readonly GuestEvent[], device: readonly DeviceEvent[]): FoundOffset {
  const byDescriptors = alignByDescriptors(guest, device);
  // One equal pair proves nothing: whole-domain flushes are all alike.
  if (byDescriptors !== undefined && byDescriptors.pairs >= Math.min(2, byDescriptors.samples)) {
    return { method: 'descriptors', ...byDescriptors };
  }
  const byPages = alignByPages(guest, device);
  if (byPages !== undefined) return { method: 'pages', ...byPages };
  throw new InputError({
    file: files.name,
    reason: 'guest text and device-model log share no descriptor and no page: their clocks cannot be aligned',
  });
}

function windowOf(
  files: RecordedFiles,
  device: readonly DeviceEvent[],
  offsetNs: number,
): { readonly first: number; readonly end: number } {
  const startNs = files.guest.firstNs + offsetNs;
  const endNs = files.guest.lastNs + offsetNs;
  const first = device.findIndex(({ timeNs }) => timeNs >= startNs);
  const last = device.findLastIndex(({ timeNs }) => timeNs <= endNs);
  return first < 0 || last < first ? { first: device.length, end: device.length } : { first, end: last + 1 };
}

function pageUses(device: readonly DeviceEvent[], devices: DeviceIndex, first: number, end: number): PageUse[] {
  const uses: PageUse[] = [];
  for (let index = first; index < end; index++) {
    const event = device[index] as DeviceEvent;
    if (event.kind !== 'translate' && event.kind !== 'fault') continue;
    const faulted = event.kind === 'fault';
    uses.push({
      deviceEvent: index,
      device: devices.bySourceId(event.sourceId),
      iovaPfn: Math.floor(event.iova / PAGE_SIZE),
      pfn: faulted ? -1 : event.pfn,
      outcome: faulted ? 'fault' : event.outcome,
      prot: faulted ? 0 : event.leaf % 4,
      pageShift: faulted ? 0 : event.pageShift,
    });
  }
  return uses;
}

/** What tells whose a mapping is when no `dma:*` event does. */
function ownerEvidence(
  files: RecordedFiles,
  devices: DeviceIndex,
  uses: readonly WindowAccess[],
): Parameters<typeof recoverCalls>[0]['evidence'] {
  const byDomain = new Map<number, number>();
  for (const { sourceId, domainId } of files.before?.contexts ?? []) {
    const device = devices.findSourceId(sourceId);
    if (device !== undefined && !byDomain.has(domainId)) byDomain.set(domainId, device);
  }
  /** Device that reached a page, -1 for several, by IOVA page and page. */
  const byPage = new Map<number, Map<number, number>>();
  const active = new Set<number>();
  for (const { device, iovaPfn, pfn } of uses) {
    active.add(device);
    let users = byPage.get(iovaPfn);
    if (users === undefined) {
      users = new Map();
      byPage.set(iovaPfn, users);
    }
    const known = users.get(pfn);
    if (known === undefined) users.set(pfn, device);
    else if (known !== device) users.set(pfn, -1);
  }
  return {
    deviceOfDomain: (domainId) => byDomain.get(domainId),
    deviceUsingPage: (iovaPfn, pfn) => {
      const device = byPage.get(iovaPfn)?.get(pfn);
      return device === -1 ? undefined : device;
    },
    deviceOfThread: () => undefined,
    onlyDevice: () => (active.size === 1 ? [...active][0] : undefined),
  };
}

/** A descriptor runs after its submission, and the submitter goes on only when it has run (qi_submit_sync waits). */
function boundByDescriptors(
  guest: readonly GuestEvent[],
  executionOf: ReadonlyMap<number, number>,
  bounds: MergeBounds,
): void {
  const waiting = new Map<number, number>();
  guest.forEach(({ kind, cpu }, index) => {
    const execution = executionOf.get(index);
    if (kind === 'submit') {
      if (execution === undefined) return;
      bounds.before(index, execution);
      waiting.set(cpu, execution);
      return;
    }
    const waited = waiting.get(cpu);
    if (waited === undefined || kind === 'lost') return;
    bounds.after(index, waited);
    waiting.delete(cpu);
  });
}

function findInitial(
  files: RecordedFiles,
  at: {
    readonly devices: DeviceIndex;
    readonly device: readonly DeviceEvent[];
    readonly calls: readonly ControlCall[];
    readonly uses: readonly PageUse[];
    readonly window: { readonly first: number };
    readonly preferred: Int32Array;
    readonly touched: ReadonlySet<number>;
  },
): InitialState {
  const groupOf = (index: number): number => at.devices.group(index);
  const byTrace = new MappingTimeline(groupOf, at.touched);
  byTrace.apply(at.calls);
  return findInitialState({
    calls: at.calls,
    dumped: dumpedPages(files.before, at.devices),
    earlierUses: pageUses(at.device, at.devices, 0, at.window.first),
    uses: at.uses,
    groupOf,
    isBefore: (use, call) => (at.preferred[Math.ceil(call.position)] ?? 0) > use.deviceEvent,
    isMappedLater: ({ device, iovaPfn, pfn }) =>
      byTrace.intervals(device, iovaPfn).some((interval) => interval.pfn === pfn),
  });
}

/** Adds dumped and learned pages; a super page only where it is touched. */
function addInitialPages(timeline: MappingTimeline, pages: readonly InitialPage[]): void {
  for (const { device, iovaPfn, pfn, leafShift, origin } of pages) {
    const pageCount = origin === 0 && leafShift > 12 ? 2 ** (leafShift - 12) : 1;
    for (let page = 0; page < pageCount; page++) timeline.addInitial(device, iovaPfn + page, pfn + page);
  }
}

function decideAccesses(at: {
  readonly device: readonly DeviceEvent[];
  readonly uses: readonly PageUse[];
  readonly resolved: readonly (MappingInterval | undefined)[];
  readonly calls: readonly ControlCall[];
  readonly initial: InitialState;
  readonly shapes: AccessShapes;
  readonly offsetNs: number;
}): DecidedAccesses {
  const decided = new DecidedAccesses(at.device.length);
  const requests = at.calls.filter(({ op }) => op === 'device_dma');
  let next = 0;
  at.device.forEach((event, index) => {
    if (event.kind === 'hint') at.shapes.hint(event);
    const use = at.uses[next];
    if (use === undefined || use.deviceEvent !== index) return;
    const interval = at.resolved[next];
    if (interval !== undefined && use.outcome !== 'fault') interval.lastDmaRow = next;
    next++;
    const access = event as TranslateEvent | FaultEvent;
    const faulted = access.kind === 'fault';
    const mapping = interval === undefined ? undefined : at.calls[interval.startCall];
    const shape = faulted
      ? at.shapes.ofFault(access)
      : at.shapes.ofTranslation(access, mapping, requestFor(requests, use.device, access, at.offsetNs));
    const afterCall = (faulted ? interval?.endCall : interval?.dependsOnCall) ?? -1;
    decided.set(index, use.device, shape, afterCall, at.initial.taughtBy.has(index));
  });
  return decided;
}

/** The logged device request that `access` is part of. */
function requestFor(
  requests: readonly ControlCall[],
  device: number,
  { iova, timeNs }: TranslateEvent,
  offsetNs: number,
): ControlCall | undefined {
  if (requests.length === 0) return undefined;
  const guestNs = timeNs - offsetNs;
  return requests.find(
    (request) =>
      request.device === device &&
      iova >= Number(request.iova) &&
      iova < Number(request.iova) + Number(request.length) &&
      guestNs >= request.timeNs &&
      guestNs <= request.timeNs + request.durationNs,
  );
}

/** For each call 1 + the DMA row it comes after: the last use of what it unmaps, or the device's last request so far. */
function dependOnDma(
  calls: readonly ControlCall[],
  uses: readonly PageUse[],
  resolved: readonly (MappingInterval | undefined)[],
  merged: MergedRanks,
  groupOf: (device: number) => number,
): number[] {
  const after = calls.map(() => 0);
  for (const interval of resolved) {
    if (interval === undefined || interval.endCall < 0) continue;
    after[interval.endCall] = Math.max(after[interval.endCall] ?? 0, interval.lastDmaRow + 1);
  }
  const lastOfGroup = new Map<number, number>();
  let next = 0;
  calls.forEach((call, index) => {
    const rank = merged.ranks[Math.min(Math.ceil(call.position), merged.ranks.length - 1)] ?? 0;
    for (; next < uses.length && (uses[next] as PageUse).deviceEvent < rank; next++) {
      lastOfGroup.set(groupOf((uses[next] as PageUse).device), next + 1);
    }
    if (SWITCHES.has(call.op) && call.result !== RESULT_UNKNOWN)
      after[index] = lastOfGroup.get(groupOf(call.device)) ?? 0;
  });
  return after;
}

/** Calls that change what a whole device translates through. */
const SWITCHES = new Set<ControlCall['op']>([
  'VFIO_DEVICE_BIND_IOMMUFD',
  'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
  'VFIO_DEVICE_DETACH_IOMMUFD_PT',
]);
