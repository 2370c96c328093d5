/**
 * Pairs invalidation descriptors as the guest submitted them with those the IOMMU executed. The queue is first in, first
 * out, and the kernel writes its trace event with the queue lock held (Linux drivers/iommu/intel/dmar.c, qi_submit_sync),
 * so both sides have the same order; the device side also has wait and interrupt-entry descriptors.
 */
import { PAGE_SIZE } from '../../address.ts';
import { alignClocks, type ClockOffset, type ClockSample } from './clock-alignment.ts';
import type { DescriptorEvent, DeviceEvent } from './device-event.ts';
import type { GuestEvent } from './guest-event.ts';
import { PairKeys } from './pair-keys.ts';

/** [ns] How long after its submission a descriptor may run, and how far clocks may be apart. */
const MATCH_WINDOW_NS = 50_000_000;
/** [ns] How far an execution may seem to precede its submission by the clocks' disagreement. */
const EARLY_NS = 1_000_000;

/** Descriptor types in bits 3:0, VT-d spec 6.5.2. */
const INTERRUPT_ENTRY = 4n;
const WAIT = 5n;

/** Which device event executed which guest event. */
export interface DescriptorMatches {
  /** Device event by guest event. */
  readonly executionOf: ReadonlyMap<number, number>;
  /** Guest event by device event. */
  readonly submissionOf: ReadonlyMap<number, number>;
  /** Submissions without an execution. */
  readonly unmatched: number;
}

/** Clock offset (device minus guest) from descriptors with equal first and second words. */
export function alignByDescriptors(
  guest: readonly GuestEvent[],
  device: readonly DeviceEvent[],
): ClockOffset | undefined {
  const keys = new PairKeys<bigint>();
  const submitted: ClockSample[] = [];
  for (const event of guest) {
    if (event.kind === 'submit')
      submitted.push({ timeNs: event.timeNs, key: keys.of(event.words[0] ?? 0n, event.words[1] ?? 0n) });
  }
  const executed: ClockSample[] = [];
  for (const event of device) {
    if (event.kind === 'descriptor') executed.push({ timeNs: event.timeNs, key: keys.of(event.low, event.high) });
  }
  return alignClocks(submitted, executed);
}

/** Clock offset from pages: the guest maps a page at an IOVA, and the device first uses it soon after. */
export function alignByPages(guest: readonly GuestEvent[], device: readonly DeviceEvent[]): ClockOffset | undefined {
  const keys = new PairKeys<number>();
  const mapped: ClockSample[] = [];
  for (const event of guest) {
    if (event.kind === 'map')
      mapped.push({ timeNs: event.timeNs, key: keys.of(event.iova / PAGE_SIZE, event.phys / PAGE_SIZE) });
  }
  const filled: ClockSample[] = [];
  for (const event of device) {
    if (event.kind === 'translate' && event.outcome !== 'hit') {
      filled.push({ timeNs: event.timeNs, key: keys.of(Math.floor(event.iova / PAGE_SIZE), event.pfn) });
    }
  }
  return alignClocks(mapped, filled);
}

/** Pairs submissions with executions, both in their order, around `offsetNs`. */
export function matchDescriptors(
  guest: readonly GuestEvent[],
  device: readonly DeviceEvent[],
  offsetNs: number,
): DescriptorMatches {
  const executed: { readonly index: number; readonly event: DescriptorEvent }[] = [];
  device.forEach((event, index) => {
    if (event.kind === 'descriptor') executed.push({ index, event });
  });
  const executionOf = new Map<number, number>();
  const submissionOf = new Map<number, number>();
  let unmatched = 0;
  let next = 0;
  guest.forEach((event, index) => {
    if (event.kind !== 'submit') return;
    const aroundNs = event.timeNs + offsetNs;
    while (next < executed.length && (executed[next]?.event.timeNs ?? 0) < aroundNs - MATCH_WINDOW_NS) next++;
    const found = findExecution(executed, next, event.words, aroundNs);
    if (found < 0) {
      unmatched++;
      return;
    }
    const execution = (executed[found] as { readonly index: number }).index;
    executionOf.set(index, execution);
    submissionOf.set(execution, index);
    next = found + 1;
  });
  return { executionOf, submissionOf, unmatched };
}

function findExecution(
  executed: readonly { readonly event: DescriptorEvent }[],
  from: number,
  words: readonly bigint[],
  aroundNs: number,
): number {
  // A descriptor of before the window may equal this one: of several, take the first that is not too early.
  let tooEarly = -1;
  for (let at = from; at < executed.length; at++) {
    const { event } = executed[at] as { readonly event: DescriptorEvent };
    if (event.timeNs > aroundNs + MATCH_WINDOW_NS) break;
    if (event.low !== words[0] || event.high !== words[1]) continue;
    if (event.timeNs >= aroundNs - EARLY_NS) return at;
    if (tooEarly < 0) tooEarly = at;
  }
  return tooEarly;
}

/** True for descriptors that have no guest event: waits and interrupt entries. */
export function isUntracedDescriptor(low: bigint): boolean {
  const type = low & 15n;
  return type === WAIT || type === INTERRUPT_ENTRY;
}
