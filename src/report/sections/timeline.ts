/** Throughput over time and the control plane beside it. */
import type { CaseData } from '../case-data.ts';
import { distributionNs, nsFromPs, perSecond } from '../quantities.ts';
import type { TimelineSection } from '../schema/events.ts';
import { CONTROL_CLASSES, controlClass } from './control-class.ts';

/** The section. Idle time is read off the bins, so its resolution is one bin. */
export function timelineSection(data: CaseData): TimelineSection {
  const { binWidthPs, bins } = data.throughput;
  const binNs = nsFromPs(binWidthPs);
  const first = bins.findIndex((bytes) => bytes > 0);
  let idleBins = 0;
  let run = 0;
  let longestRun = 0;
  for (const bytes of first < 0 ? [] : bins.slice(first)) {
    run = bytes === 0 ? run + 1 : 0;
    if (bytes === 0) idleBins++;
    longestRun = Math.max(longestRun, run);
  }
  const total = bins.reduce((sum, bytes) => sum + bytes, 0);
  return {
    bin_ns: binNs,
    peak_bytes_per_s: perSecond(Math.max(0, ...bins), binNs),
    mean_bytes_per_s: perSecond(total, nsFromPs(data.spanPs)),
    idle_bins: idleBins,
    longest_idle_ns: first < 0 ? null : longestRun * binNs,
    domain_changes: data.markers
      .filter(({ op }) => controlClass(op) === 'domain change')
      .map(({ startTick, endTick, op, device }) => ({
        start_ns: nsFromPs(startTick),
        duration_ns: nsFromPs(endTick - startTick),
        op,
        device,
      })),
    markers: data.markers.length,
    markers_omitted: data.markersOmitted,
    control: Object.entries(data.controlLatency)
      .map(([op, state]) => ({ op, class: controlClass(op), duration_ns: distributionNs(state) }))
      .sort(
        (a, b) =>
          CONTROL_CLASSES.indexOf(a.class) - CONTROL_CLASSES.indexOf(b.class) ||
          b.duration_ns.count - a.duration_ns.count ||
          (a.op < b.op ? -1 : 1),
      ),
  };
}
