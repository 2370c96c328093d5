/** A disruption study: the same bundles once per policy and per timing of the invalidation queue. */
import { ConfigError } from '../../input-error.ts';
import { nearestName } from '../../nearest-name.ts';
import { type RunOptions, type RunOutcome, runReplay } from '../run.ts';
import { SWITCH_POLICIES, type SwitchPolicy } from './policy.ts';
import { INJECT_KINDS, type Injection, ON_FAULT, type QueueVariant, type StudySpec } from './protocol.ts';

/** The queue as the hardware profile has it. */
export const PROFILE_QUEUE: QueueVariant = { name: 'profile', factor: 1, trapNs: 0 };

/**
 * What the result is held against. The trap is the cost of a tail write in a nested guest: 7.0 to 9.6 us for a
 * submission against 2.7 to 3.3 us without the write (xlab-uiuc Fast-and-Safe fork, results of October 2025, Emerald
 * Rapids): about 5.5 us.
 */
export const SENSITIVITY_QUEUES: readonly QueueVariant[] = [
  { name: 'half', factor: 0.5, trapNs: 0 },
  { name: 'double', factor: 2, trapNs: 0 },
  { name: 'nested-guest', factor: 1, trapNs: 5500 },
];

/** [ns] Shown on each side of a switch unless told otherwise. */
export const DEFAULT_WINDOW_NS = 20_000;

/** What to study. */
export interface StudyOptions extends Omit<RunOptions, 'studies' | 'defaultDomain'> {
  readonly policies: readonly SwitchPolicy[];
  /** [ns] Of user space between detach and attach; as recorded when absent. */
  readonly gapNs?: number | undefined;
  readonly inject?: Injection | undefined;
  readonly onFault?: StudySpec['onFault'];
  /** [ns] */
  readonly windowNs?: number | undefined;
  /** Also with other latencies of the invalidation queue. */
  readonly sensitivity: boolean;
}

/** Runs a study; throws InputError and ConfigError before the first job starts. */
export function runStudy(options: StudyOptions): Promise<RunOutcome> {
  return runReplay({ ...options, studies: studySpecs(options) });
}

/** The scenarios of a study: every policy under every queue. */
export function studySpecs(options: StudyOptions): StudySpec[] {
  const { gapNs, inject, onFault, sensitivity } = options;
  const windowNs = options.windowNs ?? DEFAULT_WINDOW_NS;
  const queues = sensitivity ? [PROFILE_QUEUE, ...SENSITIVITY_QUEUES] : [PROFILE_QUEUE];
  const policies = SWITCH_POLICIES.filter((policy) => options.policies.includes(policy));
  return queues.flatMap((queue) => policies.map((policy) => ({ policy, gapNs, inject, onFault, queue, windowNs })));
}

/** Policies by name; throws ConfigError. */
export function parsePolicies(names: readonly string[]): SwitchPolicy[] {
  return names.map((name) => {
    const policy = SWITCH_POLICIES.find((known) => known === name);
    if (policy !== undefined) return policy;
    const near = nearestName(name, SWITCH_POLICIES);
    const hint = near === undefined ? `known: ${SWITCH_POLICIES.join(', ')}` : `did you mean '${near}'?`;
    throw new ConfigError({ source: '--policy', reason: `no switching policy '${name}', ${hint}` });
  });
}

/** `continue` or `stop`; throws ConfigError. */
export function parseOnFault(text: string): StudySpec['onFault'] {
  const known = ON_FAULT.find((name) => name === text);
  if (known === undefined)
    throw new ConfigError({ source: '--on-fault', reason: `${ON_FAULT.join(' or ')}, not '${text}'` });
  return known;
}

const UNIT_NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

/** [ns] of `250us`, `10ms` ...; throws ConfigError. */
export function parseDuration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ns|us|ms|s)$/.exec(text);
  if (match === null)
    throw new ConfigError({ source: option, reason: `'${text}' is no duration such as 10ms or 250us` });
  return Number(match[1]) * (UNIT_NS[match[2] as string] as number);
}

/** `every=10ms,kind=rid`; throws ConfigError. */
export function parseInjection(text: string): Injection {
  const source = '--inject-switch';
  let everyNs: number | undefined;
  let kind: Injection['kind'] = 'rid';
  for (const part of text.split(',')) {
    const [key, value = ''] = part.split('=', 2);
    if (key === 'every') {
      everyNs = parseDuration(source, value);
    } else if (key === 'kind') {
      const known = INJECT_KINDS.find((name) => name === value);
      if (known === undefined)
        throw new ConfigError({ source, reason: `kind is one of ${INJECT_KINDS.join(', ')}, not '${value}'` });
      kind = known;
    } else {
      throw new ConfigError({ source, reason: `'${part}' is neither every=DURATION nor kind=NAME` });
    }
  }
  if (everyNs === undefined || everyNs <= 0) throw new ConfigError({ source, reason: 'every=DURATION is missing' });
  return { everyNs, kind };
}
