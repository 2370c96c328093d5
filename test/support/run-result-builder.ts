/**
 * Builds a {@link RunResult} as a replay would leave it, from a seeded imitation of a device that rings through pages,
 * misses now and then and is moved between two domains. The numbers are plausible, not modelled.
 */
import { hardwareProfile } from '../../src/hw/profiles/registry.ts';
import { jobKey } from '../../src/replay/plan.ts';
import type {
  ControlMarker,
  DeviceLatency,
  JobResult,
  ProfileCard,
  RunResult,
  WorkloadIdentity,
} from '../../src/replay/protocol.ts';
import { RUN_SCHEMA_VERSION } from '../../src/replay/protocol.ts';
import { emptyHistogram, Histogram, mergeHistograms } from '../../src/stats/histogram.ts';
import { Series } from '../../src/stats/series.ts';
import type { Manifest } from '../../src/trace/schema/manifest.ts';

const PS_PER_NS = 1000;
const THROUGHPUT_BIN_PS = 1_000_000;
const LATENCY_BIN_PS = 16_000_000;

/** Small generator with full period (Marsaglia xorshift32), so that a fixture never depends on a library's stream. */
export function xorshift32(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}

/** One device's requests and the domain changes during them. */
export interface JobShape {
  readonly workload?: string;
  readonly shard?: number;
  readonly devices?: readonly string[];
  readonly requests?: number;
  readonly faults?: number;
  readonly divergences?: number;
  readonly seed?: number;
}

/** A job of `requests` DMAs, spread over the devices, with six replaces on the way. */
export function jobResult(shape: JobShape = {}): JobResult {
  const { workload = 'nvme-live-replace', shard = 0, requests = 6000, faults = 0, divergences = 0, seed = 7 } = shape;
  const names = shape.devices ?? ['0000:01:00.0'];
  const random = xorshift32(seed + shard);
  const throughput = new Series(THROUGHPUT_BIN_PS);
  const bins: Histogram[] = [];
  const devices = names.map((device) => ({
    device,
    dma: new Histogram(),
    translation: new Histogram(),
    reads: 0,
    writes: 0,
    bytes: 0,
    faults: 0,
    miss: 0,
    merged: 0,
  }));
  let nowPs = 0;
  let walkPs = 0;
  let queuePs = 0;
  let linkPs = 0;
  let memoryPs = 0;
  for (let i = 0; i < requests; i++) {
    nowPs += Math.round((150 + 500 * random()) * PS_PER_NS);
    const device = devices[Math.floor(random() * random() * devices.length)]!;
    const isMiss =
      random() < 0.12 + (Math.floor(i / (requests / 7)) !== Math.floor((i - 60) / (requests / 7)) ? 0.5 : 0);
    const queue = isMiss && random() < 0.3 ? Math.round(random() * 240_000) : 0;
    const walk = isMiss ? 290_000 + Math.round(random() * 120_000) : 0;
    const link = 16_000;
    const memory = 395_000 + Math.round(random() * random() * 160_000);
    const translation = 2_000 + queue + walk;
    const latency = link + translation + memory;
    const bytes = 4096;
    device.dma.record(latency);
    device.translation.record(translation);
    if (random() < 0.6) device.reads++;
    else device.writes++;
    device.bytes += bytes;
    if (isMiss) device.miss++;
    if (queue > 0) device.merged++;
    walkPs += walk;
    queuePs += queue;
    linkPs += link;
    memoryPs += memory;
    throughput.add(nowPs + latency, bytes);
    const bin = Math.floor((nowPs + latency) / LATENCY_BIN_PS);
    while (bins.length <= bin) bins.push(new Histogram());
    bins[bin]!.record(latency);
  }
  devices[0]!.faults = faults;
  const control = controlPlane(nowPs, random);
  const misses = devices.reduce((sum, device) => sum + device.miss, 0);
  return {
    key: jobKey(workload, shard, 'vtd-bdw', 'v6.12', 'closed'),
    workload,
    shard,
    hardwareProfile: 'vtd-bdw',
    kernelProfile: 'v6.12',
    pacing: { mode: 'closed' },
    dmaRows: requests,
    controlRows: control.calls,
    spanPs: nowPs + 600_000,
    devices: devices.map(
      (device): DeviceLatency => ({
        device: device.device,
        reads: device.reads,
        writes: device.writes,
        bytes: device.bytes,
        faults: device.faults,
        dmaLatency: device.dma.toState(),
        translationLatency: device.translation.toState(),
        outcomes: {
          hit: device.reads + device.writes - device.miss,
          miss: device.miss - device.merged,
          mergedMiss: device.merged,
          passThrough: 0,
          walkReads: device.miss * 2,
        },
        pageShifts: { 12: device.reads + device.writes - device.miss, 21: device.miss },
      }),
    ),
    time: {
      windowPs: Math.round(linkPs / 2),
      linkPs,
      iotlbHitPs: requests * 2000,
      contextWalkPs: Math.round(walkPs / 40),
      pageWalkPs: walkPs - Math.round(walkPs / 40),
      walkQueuePs: queuePs,
      memoryPs,
      control: control.time,
    },
    counters: {
      dmar0: {
        ats_blocked: 0,
        ctxt_cache_hit: misses - 6,
        ctxt_cache_lookup: misses,
        iommu_mrds: misses * 2,
        iommu_requests: requests,
        iotlb_hit: requests - misses,
        iotlb_lookup: requests,
        pw_occupancy: Math.round(walkPs / 2000),
        ss_nonleaf_hit: misses - 40,
        ss_nonleaf_lookup: misses,
      },
    },
    invalidation: control.invalidation,
    throughput: throughput.toState(),
    latencyOverTime: { binPs: LATENCY_BIN_PS, bins: bins.map((bin) => bin.toState()) },
    controlLatency: control.latency,
    markers: control.markers,
    markersOmitted: 0,
    faults:
      faults === 0
        ? []
        : [
            {
              device: names[0]!,
              reason: 5,
              count: faults,
              firstTick: Math.round(nowPs / 3),
              lastTick: Math.round(nowPs / 2),
              firstIova: '0xfffe2000',
            },
          ],
    divergences: {
      compared: control.calls,
      count: divergences,
      first: Array.from({ length: Math.min(divergences, 20) }, (_, i) => ({
        controlRow: 17 + i,
        op: 'IOMMU_IOAS_MAP',
        recorded: 'ENOSPC',
        modelled: '0',
      })),
    },
    diagnostics: { 'rows-out-of-order': 3 },
  };
}

function controlPlane(spanPs: number, random: () => number) {
  const markers: ControlMarker[] = [];
  const histograms = new Map<string, Histogram>();
  const wait = new Histogram();
  const buckets = [0, 0, 0, 0, 0, 0, 0];
  let submissions = 0;
  let calls = 0;
  const call = (op: string, at: number, durationPs: number) => {
    calls++;
    // As the replay does: map and unmap are the load itself and get no marker each.
    if (!/MAP$/.test(op)) {
      markers.push({ op, startTick: Math.round(at), endTick: Math.round(at + durationPs), device: '0000:01:00.0' });
    }
    const histogram = histograms.get(op) ?? new Histogram();
    histogram.record(Math.round(durationPs));
    histograms.set(op, histogram);
  };
  const submit = () => {
    const waitPs = Math.round((690 + 900 * random() * random()) * PS_PER_NS);
    wait.record(waitPs);
    buckets[waitPs < 1_000_000 ? 1 : 2]!++;
    submissions++;
    return waitPs;
  };
  for (let i = 0; i < 240; i++) {
    const at = (spanPs * (i + 0.3)) / 241;
    call('IOMMU_IOAS_MAP', at, (380 + 200 * random()) * PS_PER_NS);
    call('IOMMU_IOAS_UNMAP', at + 4_000_000, 400_000 + submit());
  }
  for (let i = 1; i <= 6; i++) {
    call('VFIO_DEVICE_ATTACH_IOMMUFD_PT', (spanPs * i) / 7, submit() + submit() + 900_000);
  }
  call('VFIO_DEVICE_DETACH_IOMMUFD_PT', (spanPs * 6.8) / 7, submit() + submit() + submit() + 700_000);
  markers.sort((a, b) => a.startTick - b.startTick);
  const waitPs = Number(wait.toState().sum);
  return {
    calls,
    markers,
    latency: Object.fromEntries([...histograms].map(([op, histogram]) => [op, histogram.toState()])),
    time: {
      iovaPs: 0,
      tablePs: 487 * 62_000,
      submitPs: submissions * 120_000,
      waitPs,
      lockPs: 3_400_000,
      otherPs: 487 * 210_000,
    },
    invalidation: {
      descriptors: { iotlb_domain: 12, iotlb_pages: 240, context_device: 7, wait: submissions },
      submissions,
      waitLatency: wait.toState(),
      dmarLatencyBuckets: buckets,
      peakOccupancy: 4,
    },
  };
}

/** A job that replayed nothing: every section has to cope with it. */
export function emptyJobResult(): JobResult {
  const job = jobResult({ requests: 1 });
  return {
    ...job,
    dmaRows: 0,
    controlRows: 0,
    spanPs: 0,
    devices: [],
    time: {
      windowPs: 0,
      linkPs: 0,
      iotlbHitPs: 0,
      contextWalkPs: 0,
      pageWalkPs: 0,
      walkQueuePs: 0,
      memoryPs: 0,
      control: { iovaPs: 0, tablePs: 0, submitPs: 0, waitPs: 0, lockPs: 0, otherPs: 0 },
    },
    counters: {},
    invalidation: {
      descriptors: {},
      submissions: 0,
      waitLatency: emptyHistogram(),
      dmarLatencyBuckets: [0, 0, 0, 0, 0, 0, 0],
      peakOccupancy: 0,
    },
    throughput: new Series(THROUGHPUT_BIN_PS).toState(),
    latencyOverTime: { binPs: LATENCY_BIN_PS, bins: [] },
    controlLatency: {},
    markers: [],
    divergences: { compared: 0, count: 0, first: [] },
    diagnostics: {},
  };
}

/** Manifest of the imitated recording. */
export function manifest(overrides: Partial<Manifest> = {}): Manifest {
  return {
    formatVersion: 2,
    name: 'nvme-live-replace',
    description: 'User-space NVMe driver: steady I/O while the device is replaced six times between two IOAS.',
    origin: {
      importer: 'recorded',
      tool: 'QEMU 7.2, intel-iommu',
      kernel: '6.12.117',
      kernelProfile: 'v6.12',
      recorderProfile: 'qemu-7.2',
      clock: 'mono',
      commandLine: 'console=ttyS0 intel_iommu=on iommu.strict=1',
    },
    time: { originNs: '8042589000', windowStartNs: 0, windowEndNs: 2_389_284_000 },
    dmaPolicy: { flushMode: 'strict' },
    pacing: { default: 'closed', reason: 'times come from an emulator and say nothing about hardware' },
    topology: {
      units: [{ name: 'dmar0', cap: 'd2008c222f0606', ecap: 'f00f4a', mode: 'legacy', stage: 'second' }],
      devices: [
        {
          name: '0000:01:00.0',
          sourceId: 0x100,
          group: 4,
          unit: 0,
          kind: 'physical',
          driver: 'vfio-pci',
          defaultDomain: 'dma',
          ats: false,
          pasidBits: 0,
          pri: false,
        },
      ],
    },
    provenance: { dma: { measured: 5400, inferred: 600, synthetic: 0 } },
    lostEvents: 0,
    streams: {
      control: { file: 'control.arrow', rows: 487, sha256: 'c'.repeat(64) },
      'dma-dmar0': { file: 'dma-dmar0.arrow', rows: 6000, sha256: 'd'.repeat(64) },
    },
    diagnostics: [
      { code: 'direction-unknown', severity: 'info', count: 41, first: 'qemu.log:1203: vtd_dmar_translate' },
    ],
    ...overrides,
  };
}

/** The two profile cards of the imitated run. */
export function profileCards(): ProfileCard[] {
  const number = (path: string, value: number, unit: string, basis: string, source: string) => ({
    path,
    value,
    unit,
    basis,
    source,
  });
  return [
    {
      name: 'vtd-bdw',
      kind: 'hardware',
      description: 'Broadwell server VT-d, as the pcie-bench measurements show it.',
      sha256: '4f'.repeat(32),
      overrides: ['iotlb.entries=64'],
      numbers: [
        number('iotlb.entries', 64, 'entries', 'X', 'fit to pcie-bench bandwidth sweep, BDW'),
        number('iotlb.hitNs', 2, 'ns', 'M', 'pcie-bench latency sweep: at most 3 ns added'),
        number('contextCache.entries', 64, 'entries', 'A', 'ASSUMPTION: large enough for the devices of one unit'),
        number('walk.walkers', 6, '', 'X', 'penalty over interval at saturation'),
        number('walk.readNs', 180, 'ns', 'A', 'ASSUMPTION: split of the measured 290 ns'),
        number('queue.fetchNs', 200, 'ns', 'A', 'ASSUMPTION: parts sum to the published 0.69 µs'),
      ],
      timing: hardwareProfile('vtd-bdw').config,
    },
    {
      name: 'v6.12',
      kind: 'kernel',
      description: 'Linux 6.12: batched cache tags, IH of the second stage ignored.',
      sha256: 'a1'.repeat(32),
      overrides: [],
      numbers: [
        number('cost.mapPageNs', 55, 'ns', 'P', 'iommupt cover letter, 4 KiB map'),
        number('cost.unmapPageNs', 69, 'ns', 'P', 'iommupt cover letter, 4 KiB unmap'),
        number('queue.batch', 16, 'descriptors', 'D', 'Linux drivers/iommu/intel/cache.c'),
      ],
    },
  ];
}

/** A run of the given jobs; by default one complete job. */
export function runResult(jobs: readonly JobResult[] = [jobResult()], overrides: Partial<RunResult> = {}): RunResult {
  const names = [...new Set(jobs.map((job) => job.workload))];
  return {
    schemaVersion: RUN_SCHEMA_VERSION,
    toolVersion: '0.1.0',
    complete: true,
    missing: [],
    workloads: names.map(
      (name): WorkloadIdentity => ({ name, manifestSha256: 'e3'.repeat(32), manifest: manifest({ name }) }),
    ),
    profiles: profileCards(),
    jobs,
    failures: [],
    ...overrides,
  };
}

/** All DMA latencies of a job in one histogram. */
export function allDmaLatency(job: JobResult) {
  return mergeHistograms(job.devices.map((device) => device.dmaLatency));
}
