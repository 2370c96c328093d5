/** Where time goes: DMA by station from the device to memory and back, control plane by kind of work. */
import type { CaseData } from '../case-data.ts';
import { nsFromPs, ratio } from '../quantities.ts';
import type { TimePart, TimeSection } from '../schema/performance.ts';

/** The section; parts in the order in which a request or a call meets them. */
export function timeSection(data: CaseData): TimeSection {
  const { time } = data;
  const calls = Object.values(data.controlLatency).reduce((sum, state) => sum + state.count, 0);
  return {
    dma: timeParts(
      [
        ['device window', time.windowPs],
        ['link', time.linkPs],
        ...extraParts(time),
        ['IOTLB hit', time.iotlbHitPs],
        ['context and PASID walk', time.contextWalkPs],
        ['waiting to walk', time.walkQueuePs],
        ['page walk', time.pageWalkPs],
        ['memory and return', time.memoryPs],
      ],
      data.dmaLatency.count,
    ),
    control: timeParts(
      [
        ['IOVA allocation', time.control.iovaPs],
        ['page-table work', time.control.tablePs],
        ['invalidation submit', time.control.submitPs],
        ['invalidation wait', time.control.waitPs],
        ['waiting for locks', time.control.lockPs],
        ['everything else', time.control.otherPs],
      ],
      calls,
    ),
  };
}

/** What only devices with TLBs of their own spend. */
function extraParts({ deviceTlbPs, pageRequestPs }: CaseData['time']): (readonly [string, number])[] {
  return [
    ...(deviceTlbPs === undefined ? [] : [['device TLB and translation requests', deviceTlbPs] as const]),
    ...(pageRequestPs === undefined ? [] : [['waiting for page requests', pageRequestPs] as const]),
  ];
}

function timeParts(parts: readonly (readonly [string, number])[], operations: number): TimePart[] {
  const whole = parts.reduce((sum, [, ps]) => sum + ps, 0);
  return parts.map(([part, ps]) => ({
    part,
    total_ns: nsFromPs(ps),
    share: ratio(ps, whole),
    mean_ns: operations === 0 ? null : nsFromPs(ps / operations),
  }));
}
