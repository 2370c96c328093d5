/** Invalidation wait in the kernel's latency buckets. */
import type { CaseData } from '../case-data.ts';
import { formatCount } from '../format.ts';
import { invalidationSection } from '../sections/invalidation.ts';
import type { Chart } from './chart.ts';

/** The chart; none without submissions. */
export function invalidationBars(data: CaseData): Chart[] {
  const { submissions, dmar_latency_buckets: buckets } = invalidationSection(data);
  if (submissions === 0) return [];
  const rows = buckets.map(({ bucket, count }) => ({ bucket, submissions: count, label: formatCount(count) }));
  return [
    {
      name: 'invalidation-wait',
      template: 'invalidation-wait',
      title: 'Invalidation wait',
      description: `Submissions by time from tail write to status write, in the kernel's debugfs buckets. ${rows
        .filter((row) => row.submissions > 0)
        .map((row) => `${row.bucket}: ${row.label}`)
        .join('; ')}.`,
      columns: ['bucket', 'submissions', 'label'],
      rows,
      span: 'half',
      heightPx: 240,
      params: {},
    },
  ];
}
