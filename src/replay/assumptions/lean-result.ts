/** What a comparison needs of a job: sums and distributions, nothing by device, time or occurrence. */
import { emptyHistogram, mergeHistograms } from '../../stats/histogram.ts';
import { Series } from '../../stats/series.ts';
import type { DeviceLatency, JobResult } from '../protocol.ts';

/** The result without what only the job's own chapter shows. */
export function leanResult(result: JobResult): JobResult {
  const { devices, throughput, invalidation } = result;
  const total = (pick: (device: DeviceLatency) => number): number =>
    devices.reduce((sum, device) => sum + pick(device), 0);
  return {
    ...result,
    devices: [
      {
        device: 'all',
        reads: total(({ reads }) => reads),
        writes: total(({ writes }) => writes),
        bytes: total(({ bytes }) => bytes),
        faults: total(({ faults }) => faults),
        dmaLatency: mergeHistograms(devices.map(({ dmaLatency }) => dmaLatency)),
        translationLatency: mergeHistograms(devices.map(({ translationLatency }) => translationLatency)),
      },
    ],
    invalidation: { ...invalidation, descriptors: {} },
    throughput: new Series(throughput.baseWidthPs, throughput.maxBins).toState(),
    latencyOverTime: { ...result.latencyOverTime, bins: [] },
    controlLatency: { all: mergeHistograms([emptyHistogram(), ...Object.values(result.controlLatency)]) },
    markers: [],
    markersOmitted: 0,
    faults: [],
    stale: [],
    divergences: { ...result.divergences, first: [] },
    diagnostics: {},
  };
}
