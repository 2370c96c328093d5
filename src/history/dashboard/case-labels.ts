/** Short names of cases: what tells them from the others of their run. */
import type { EntryCase } from '../entry.ts';

const PARTS = ['workload', 'hardware_profile', 'kernel_profile', 'scenario'] as const;

/** Labels by key of the case, `vtd-emr` or `ring vtd-emr v6.12`; hardware where nothing varies. */
export function caseLabels(cases: readonly EntryCase[]): Map<string, string> {
  const labels = new Map<string, string>();
  for (const one of cases) {
    const siblings = cases.filter(({ run }) => run === one.run);
    const varying = PARTS.filter((part) => new Set(siblings.map((other) => other[part])).size > 1);
    const parts = varying.length === 0 ? (['hardware_profile'] as const) : varying;
    labels.set(one.key, parts.map((part) => one[part]).join(' '));
  }
  return labels;
}
