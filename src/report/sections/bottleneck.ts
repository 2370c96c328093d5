/**
 * What limits the rate: for every limited resource the time it is in use over the span, and the throughput it would carry
 * if it were used up. This is the bound min(link, tags * size / latency, walkers * bytes a walk / walk) with what one CPU
 * can do and the invalidation queue beside it.
 *
 * APPROX: wire time and window of a device are those of requests of its mean size; tags are taken as held for its mean
 * latency without waiting for walkers, and no longer than its least latency and the mean time of walks.
 */
import { LINE_BYTES } from '../../hw/device-link.ts';
import type { DeviceLatency, HardwareTiming } from '../../replay/protocol.ts';
import type { CaseData } from '../case-data.ts';
import { formatQuotient } from '../format.ts';
import { nsFromPs, perSecond } from '../quantities.ts';
import type { BottleneckSection } from '../schema/performance.ts';
import { walkCount } from './caches.ts';

/**
 * From this share on a resource counts as used up.
 *
 * ASSUMPTION: no source gives a threshold. A resource that is tight is idle while a run fills and drains, and bursts leave
 * gaps; loads made to have one tight resource use 0.98 of it and more, runs that the trace paces far less. The share stands
 * beside the answer.
 */
const USED_UP = 0.85;

type Resource = BottleneckSection['resources'][number];

interface Use {
  readonly resource: string;
  /** [ps] */
  readonly busyPs: number;
  readonly detail: string;
}

/** The section; null without the limits of the hardware, or without DMA. */
export function bottleneckSection(data: CaseData, timing: HardwareTiming | undefined): BottleneckSection | null {
  if (timing === undefined || data.spanPs === 0 || data.dmaLatency.count === 0) return null;
  const bytes = data.devices.reduce((sum, device) => sum + device.bytes, 0);
  const throughput = perSecond(bytes, nsFromPs(data.spanPs));
  const uses = [
    linkUse(data, timing),
    windowUse(data, timing),
    walkerUse(data, timing),
    memoryPortUse(data, timing),
    queueUse(data, timing),
    controlUse(data),
  ].filter((use) => use.busyPs > 0);
  const resources = uses
    .map(({ resource, busyPs, detail }) => {
      // More than 1: calls and walks at either end reach beyond the first issue and the last completion, or an over-count.
      const share = busyPs / data.spanPs;
      return {
        resource,
        utilisation_share: share,
        bound_bytes_per_s: throughput === null ? null : throughput / share,
        detail,
      };
    })
    .sort((a, b) => b.utilisation_share - a.utilisation_share);
  const [first] = resources;
  return { limiting: first !== undefined && first.utilisation_share >= USED_UP ? first.resource : null, resources };
}

/** A use as it is shown: no more than all of a resource, and a bound no lower than what was carried. */
export function shownUse({ utilisation_share: share, bound_bytes_per_s: bound }: Resource): {
  readonly share: number;
  readonly boundBytesPerS: number | null;
} {
  const over = Math.max(1, share);
  return { share: share / over, boundBytesPerS: bound === null ? null : bound * over };
}

interface DeviceLoad {
  readonly meanBytes: number;
  readonly requests: number;
  /** Row of the tables by request size. */
  readonly row: number;
  readonly readTlps: number;
  readonly writeTlps: number;
}

function loadOf({ reads, writes, bytes }: DeviceLatency, { link }: HardwareTiming): DeviceLoad {
  const requests = reads + writes;
  const meanBytes = requests === 0 ? 0 : bytes / requests;
  const row = link.requestBytes.findIndex((limit) => meanBytes <= limit);
  return {
    meanBytes,
    requests,
    row: row < 0 ? link.requestBytes.length - 1 : row,
    readTlps: Math.max(1, Math.ceil(meanBytes / link.maxReadRequestBytes)),
    writeTlps: Math.max(1, Math.ceil(meanBytes / link.maxPayloadBytes)),
  };
}

/** The busier direction of the busiest device's link, and its pace of issue. */
function linkUse(data: CaseData, timing: HardwareTiming): Use {
  const { link } = timing;
  let busyPs = 0;
  for (const device of data.devices) {
    const { meanBytes, row, readTlps, writeTlps } = loadOf(device, timing);
    const { reads, writes } = device;
    const completions = Math.ceil(meanBytes / link.maxPayloadBytes);
    const upBytes =
      reads * readTlps * (link.requestHeaderBytes + link.dllpBytes) +
      writes * (meanBytes + writeTlps * link.requestHeaderBytes);
    const downBytes = reads * (meanBytes + completions * link.completionHeaderBytes + readTlps * link.dllpBytes);
    // Intervals are those of a request up to the row's size.
    const scale = Math.max(1, meanBytes / link.requestBytes[row]!);
    const issuePs = Math.max(reads * link.readIntervalTicks[row]!, writes * link.writeIntervalTicks[row]!) * scale;
    busyPs = Math.max(busyPs, upBytes * link.psPerByte, downBytes * link.psPerByte, issuePs);
  }
  return { resource: 'device link', busyPs, detail: 'wire time or issue interval of the busiest device' };
}

/**
 * Little's law: requests that the rate needs under way, at the latency they would have without waiting for anything, over
 * what the window holds. (What waits for another resource fills the window too, but it is not the window that limits.)
 */
function windowUse(data: CaseData, timing: HardwareTiming): Use {
  const { link } = timing;
  const { walkQueuePs } = data.time;
  const translatedPs = Number(data.translationLatency.sum);
  const walkPs = (data.time.contextWalkPs + data.time.pageWalkPs) / data.dmaLatency.count;
  let best: Use = { resource: 'device window', busyPs: 0, detail: '' };
  for (const device of data.devices) {
    const { requests, row, readTlps, writeTlps } = loadOf(device, timing);
    if (requests === 0) continue;
    const { reads, writes } = device;
    const { count, min, sum } = device.dmaLatency;
    const waited = translatedPs === 0 ? 0 : (walkQueuePs * Number(device.translationLatency.sum)) / translatedPs;
    const unhindered = Math.min(Number(sum) - waited, count * (min + walkPs));
    const held = unhindered + reads * link.readHoldTicks[row]! + writes * link.oneWayTicks;
    const tlps = (reads * readTlps + writes * writeTlps) / requests;
    const window = (reads * link.readWindow[row]! + writes * link.writeWindow[row]!) / requests;
    const busyPs = (held * tlps) / window;
    if (busyPs <= best.busyPs) continue;
    const inFlight = formatQuotient((held * tlps) / data.spanPs);
    best = { ...best, busyPs, detail: `${inFlight} of ${Math.round(window)} requests of ${device.device} needed` };
  }
  return best;
}

function walkerUse(data: CaseData, { translation }: HardwareTiming): Use {
  const { walkers, clockTicks } = translation;
  const occupied = Math.max(0, ...Object.values(data.counters).map((counters) => counters['pw_occupancy'] ?? 0));
  const busyPs = (occupied * clockTicks) / walkers;
  const busy = formatQuotient((occupied * clockTicks) / data.spanPs);
  return { resource: 'page walkers', busyPs, detail: `${busy} of ${walkers} busy` };
}

/** Walks, and the lines that devices read, leave for memory one after the other. */
function memoryPortUse(data: CaseData, timing: HardwareTiming): Use {
  const { walkIntervalTicks } = timing.translation;
  const walks = walkCount(data);
  const walksPs = walks * walkIntervalTicks;
  const { readPortLineTicks, readPortLeastTicks, readPortDelayTicks } = timing.link;
  const readsPs = data.devices.reduce((sum, device) => {
    const { meanBytes, readTlps } = loadOf(device, timing);
    const lines = Math.ceil(meanBytes / LINE_BYTES) * readPortLineTicks;
    return sum + device.reads * Math.max(lines, readTlps * readPortLeastTicks);
  }, 0);
  const units = Math.max(1, Object.keys(data.counters).length);
  return {
    resource: 'memory port of walks',
    // Reads never wait for it themselves: they count as far as they can keep walks waiting.
    busyPs: (walksPs + Math.min(readsPs, walks * readPortDelayTicks)) / units,
    detail: `${formatQuotient(nsFromPs(walkIntervalTicks))} ns a walk, shared with reads`,
  };
}

function queueUse(data: CaseData, { queue }: HardwareTiming): Use {
  const { descriptors, submissions } = data.invalidation;
  const executed = Object.entries(descriptors).reduce((sum, [kind, count]) => sum + (kind === 'wait' ? 0 : count), 0);
  const units = Math.max(1, Object.keys(data.counters).length);
  return {
    resource: 'invalidation queue',
    busyPs: (submissions * queue.fetchTicks + executed * queue.executeTicks) / units,
    detail: 'fetching and executing descriptors',
  };
}

/** Calls may come long before the first DMA: their share is that of the whole time, here told as time of the span. */
function controlUse(data: CaseData): Use {
  const { busiestCpuPs = 0, activePs = 0 } = data.time.control;
  return {
    resource: 'control plane',
    busyPs: activePs === 0 ? 0 : (busiestCpuPs / activePs) * data.spanPs,
    detail: 'in calls, of the CPU that is in calls longest',
  };
}
