/** Where time goes, as bars in the order in which a request or a call meets them. */
import type { CaseData } from '../case-data.ts';
import { formatDuration, formatShare } from '../format.ts';
import type { TimePart } from '../schema/performance.ts';
import { timeSection } from '../sections/time.ts';
import type { Chart } from './chart.ts';

/** The charts; one that would be empty is left out. */
export function timeParts(data: CaseData): Chart[] {
  const time = timeSection(data);
  return [
    ...bars('time-dma', 'Time per DMA request', 'DMA request', time.dma),
    ...bars('time-control', 'Time per control-plane call', 'control-plane call', time.control),
  ];
}

function bars(name: string, title: string, per: string, parts: readonly TimePart[]): Chart[] {
  if (parts.every((part) => part.mean_ns === null || part.total_ns === 0)) return [];
  const rows = parts.map((part) => ({
    part: part.part,
    mean_ns: part.mean_ns ?? 0,
    share: part.share ?? 0,
    label: `${formatDuration(part.mean_ns)} · ${formatShare(part.share)}`,
  }));
  return [
    {
      name,
      template: 'time-parts',
      title,
      description: `Mean time per ${per}. ${rows.map((row) => `${row.part} ${row.label}`).join('; ')}.`,
      columns: ['part', 'mean_ns', 'share', 'label'],
      rows,
      span: 'half',
      heightPx: 28 * rows.length + 40,
      params: { meanMax: Math.max(...rows.map((row) => row.mean_ns)) },
    },
  ];
}
