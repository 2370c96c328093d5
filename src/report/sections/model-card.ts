/** Model card: every number of the profiles, what it rests on, and what the model leaves out. */
import type { ProfileCard } from '../../replay/protocol.ts';
import { ratio } from '../quantities.ts';
import type { ModelCardSection } from '../schema/model-card.ts';

/** Basis tags, most solid first. */
const BASES: readonly (readonly [basis: string, meaning: string])[] = [
  ['M', 'measured by others, raw data re-reduced'],
  ['P', 'published, text read'],
  ['D', 'documented: driver source, commit message, specification text'],
  ['S', 'specification, from knowledge of it'],
  ['X', 'derived from measured, published or documented data'],
  ['R', 'recalled from a publication'],
  ['A', 'assumption'],
];

/** What every replay leaves out; specific simplifications are marked APPROX in the model's sources. */
const LIMITS: readonly string[] = [
  'Devices do not react: a faulted request is not retried, and under closed pacing requests go on while a call switches tables, so faults may occur that the recording does not have.',
  'Memory reads of walks take a constant time: no DRAM bank contention, no contents of the last-level cache.',
  'PCIe ordering between posted and non-posted requests is not modelled.',
  'Software time comes from a cost table; convoys of CPUs on one lock are modelled only as waiting in order.',
  'Device think time is what the trace shows under recorded pacing, and nothing under closed pacing.',
];

/** What a basis tag means; a number with several counts as its weakest. */
export function basisMeaning(basis: string): string {
  return BASES.find(([tag]) => tag === basisTag(basis))?.[1] ?? basis;
}

/** The card of all profiles that the run used. */
export function modelCardSection(
  profiles: readonly ProfileCard[],
  assumptions: ModelCardSection['assumptions'] = null,
  resultShare: number | null = null,
): ModelCardSection {
  const numbers = profiles.flatMap((profile) => profile.numbers);
  const bases = new Map<string, number>();
  for (const { basis } of numbers) bases.set(basisTag(basis), (bases.get(basisTag(basis)) ?? 0) + 1);
  const order = [...BASES.map(([basis]) => basis), ...[...bases.keys()].sort()];
  const used = [...new Set(order)].filter((basis) => bases.has(basis));
  return {
    profiles: profiles.map((profile) => ({
      name: profile.name,
      kind: profile.kind,
      description: profile.description,
      sha256: profile.sha256,
      overrides: [...profile.overrides],
      number_count: profile.numbers.length,
      assumption_count: profile.numbers.filter(({ basis }) => basisTag(basis) === 'A').length,
      numbers: profile.numbers.map(({ path, value, unit, basis, source }) => ({ path, value, unit, basis, source })),
    })),
    number_count: numbers.length,
    by_basis: used.map((basis) => ({
      basis,
      meaning: BASES.find(([name]) => name === basis)?.[1] ?? 'other',
      count: bases.get(basis) ?? 0,
      share: ratio(bases.get(basis) ?? 0, numbers.length),
    })),
    assumption_share: ratio(bases.get('A') ?? 0, numbers.length),
    assumption_result_share: resultShare,
    assumptions,
    limits: [...LIMITS],
  };
}

/** A number with several bases (`M/A`) counts as its weakest: an assumption anywhere makes it one. */
export function basisTag(basis: string): string {
  if (/assumption/i.test(basis)) return 'A';
  const tags = basis.split(/[^A-Z]+/).filter((tag) => tag !== '');
  const rank = (tag: string) => BASES.findIndex(([name]) => name === tag);
  return tags.sort((a, b) => rank(b) - rank(a))[0] ?? basis;
}
