/** All control-plane calls of a guest trace, with the control log where there is one, in order of effect. */
import { type ControlCall, controlCall } from './control-call.ts';
import type { ControlLog } from './control-log-parser.ts';
import type { DeviceIndex } from './device-index.ts';
import type { DiagnosticCounts } from './diagnostics.ts';
import { DmaApiJoiner } from './dma-api-calls.ts';
import type { GuestTrace } from './ftrace-parser.ts';
import { OrphanResolver, type OwnerEvidence } from './orphan-attribution.ts';
import { SystemCallJoiner } from './system-calls.ts';

/** Where the calls come from. */
export interface GuestCallSources {
  readonly guest: GuestTrace;
  readonly control: ControlLog | undefined;
  readonly devices: DeviceIndex;
  readonly evidence: OwnerEvidence;
  readonly diagnostics: DiagnosticCounts;
}

/** Recovers the calls. Row `i` of `control.arrow` is call `i`. */
export function recoverCalls(sources: GuestCallSources): ControlCall[] {
  const { guest, control, devices, evidence, diagnostics } = sources;
  const orphans = new OrphanResolver(evidence);
  const dmaApi = new DmaApiJoiner(devices, orphans);
  const systemCalls = new SystemCallJoiner(devices, diagnostics);
  const calls: ControlCall[] = [];
  // Without a control log nothing tells the arguments of an ioctl: its maps are then those of an unknown caller.
  const joinSystemCalls = control !== undefined;
  guest.events.forEach((event, index) => {
    const { timeNs, cpu, thread } = event;
    if (event.kind === 'marker')
      calls.push(controlCall({ op: 'marker', position: index, timeNs, cpu, thread, text: event.text }));
    if (event.kind === 'lost') {
      calls.push(controlCall({ op: 'lost_events', position: index, timeNs, cpu, thread, length: event.count }));
    }
    if (joinSystemCalls) {
      if (
        event.kind === 'dma_map' ||
        event.kind === 'dma_alloc' ||
        event.kind === 'dma_unmap' ||
        event.kind === 'dma_free'
      ) {
        for (const released of systemCalls.release(event)) dmaApi.push(released.event, released.index);
      }
      if (systemCalls.push(event, index)) return;
    }
    dmaApi.push(event, index);
  });
  dmaApi.end();
  if (control !== undefined) {
    systemCalls.join(control.file, control.calls, (timeNs) => positionOf(guest, timeNs), { alone: false });
  }
  diagnostics.count('mapping_without_dma_event', 'info', { file: guest.file }, orphans.attributed);
  diagnostics.count('mapping_of_unknown_device', 'data-loss', { file: guest.file }, orphans.unattributed);
  return sortCalls(calls.concat(dmaApi.calls, systemCalls.calls));
}

/** Orders calls by position; calls at one position by time, then as they were found. */
export function sortCalls(calls: readonly ControlCall[]): ControlCall[] {
  return [...calls].sort((a, b) => a.position - b.position || a.timeNs - b.timeNs);
}

/** Position between the last event before `timeNs` and the first one not before it. */
function positionOf(guest: GuestTrace, timeNs: number): number {
  let low = 0;
  let high = guest.events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((guest.events[middle]?.timeNs ?? 0) < timeNs) low = middle + 1;
    else high = middle;
  }
  return low - 0.5;
}

/** For each guest event 1 + the control call of which it is a descriptor; 0 = none. */
export function callsBySubmit(calls: readonly ControlCall[], guestCount: number): Int32Array {
  const owner = new Int32Array(guestCount);
  for (let call = 0; call < calls.length; call++) {
    const { submits } = calls[call] as ControlCall;
    for (let at = 0; at < submits.length; at++) owner[submits[at]!] = call + 1;
  }
  return owner;
}
