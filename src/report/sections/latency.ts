/** Latency percentiles, overall and by device, with what each device's requests met in the caches. */
import type { DeviceLatency } from '../../replay/protocol.ts';
import type { CaseData } from '../case-data.ts';
import { distributionNs, ratio } from '../quantities.ts';
import type { DeviceSection, LatencySection } from '../schema/performance.ts';

/** The section; devices by DMA count, then by name. */
export function latencySection(data: CaseData): LatencySection {
  const misses = data.devices.reduce((sum, device) => sum + (device.outcomes?.miss ?? 0), 0);
  return {
    dma_latency_ns: distributionNs(data.dmaLatency),
    translation_latency_ns: distributionNs(data.translationLatency),
    devices: devicesByLoad(data).map((device) => deviceSection(device, misses)),
  };
}

/** Devices with most requests first. */
export function devicesByLoad(data: CaseData): DeviceLatency[] {
  return [...data.devices].sort((a, b) => b.reads + b.writes - a.reads - a.writes || (a.device < b.device ? -1 : 1));
}

function deviceSection(device: DeviceLatency, misses: number): DeviceSection {
  const { outcomes } = device;
  return {
    device: device.device,
    reads: device.reads,
    writes: device.writes,
    dma_bytes: device.bytes,
    faults: device.faults,
    dma_latency_ns: distributionNs(device.dmaLatency),
    translation_latency_ns: distributionNs(device.translationLatency),
    hits: outcomes?.hit ?? null,
    misses: outcomes?.miss ?? null,
    merged_misses: outcomes?.mergedMiss ?? null,
    pass_through: outcomes?.passThrough ?? null,
    ...(outcomes?.deviceHit === undefined ? {} : { device_tlb_hits: outcomes.deviceHit }),
    walk_memory_reads: outcomes?.walkReads ?? null,
    miss_share: outcomes === undefined ? null : ratio(outcomes.miss, misses),
    page_sizes: Object.entries(device.pageShifts ?? {})
      .map(([shift, requests]) => ({ page_bytes: 2 ** Number(shift), requests }))
      .sort((a, b) => a.page_bytes - b.page_bytes),
  };
}
