/**
 * The numbers of a case by name: what comparisons, gates and histories talk about. A name is the path of the number in
 * report.json from its case on; an element of a list is named by its first text or, without one, its first number:
 *
 *     headline.throughput_bytes_per_s
 *     latency.dma_latency_ns.p99
 *     latency.devices[0000:01:00.0].dma_latency_ns.p99
 *     units[dmar0].counters.iotlb_lookup
 *
 * Left out is what identifies a case or tells of single events, and what replays with other numbers gave.
 */
import type { ReportCase } from '../schema/report.ts';

/** Numbers by name; null = the run does not say. */
export type CaseMetrics = ReadonlyMap<string, number | null>;

/** Sections of a case that hold its results, in the order of report.json. */
const SECTIONS = [
  'headline',
  'latency',
  'time',
  'units',
  'invalidation',
  'device_tlbs',
  'timeline',
  'divergences',
  'concurrency',
  'bottleneck',
  'versus_pass_through',
] as const satisfies readonly (keyof ReportCase)[];

/** Lists of single events. */
const EVENTS: readonly string[] = ['timeline.domain_changes', 'divergences.first'];

/** Texts that may be null: not numbers that the run does not say. */
const TEXTS: readonly string[] = ['bottleneck.limiting'];

/** Every number of the case, in the order of report.json. */
export function caseMetrics(one: ReportCase): CaseMetrics {
  const metrics = new Map<string, number | null>();
  // A section that the case does not have has no numbers; as a whole it is none.
  for (const section of SECTIONS) if (one[section] !== null) collect(one[section], section, metrics);
  return metrics;
}

function collect(value: unknown, path: string, into: Map<string, number | null>): void {
  if (TEXTS.includes(path)) return;
  if (typeof value === 'number' || value === null) {
    into.set(path, value);
    return;
  }
  if (typeof value !== 'object' || EVENTS.includes(path)) return;
  if (Array.isArray(value)) {
    for (const element of value) collect(element, `${path}[${label(element)}]`, into);
    return;
  }
  for (const [key, member] of Object.entries(value as object)) {
    if (!isLabel(value as object, key, path)) collect(member, `${path}.${key}`, into);
  }
}

/** What tells an element of a list from the others. */
function label(element: object): string {
  const members = Object.values(element);
  return String(members.find((member) => typeof member === 'string') ?? members[0]);
}

/** A number that names its element is no result. */
function isLabel(element: object, key: string, path: string): boolean {
  if (!path.endsWith(']')) return false;
  const [first] = Object.keys(element);
  return first === key && !Object.values(element).some((member) => typeof member === 'string');
}
