/**
 * Kernel profiles as data: what a profile file may say, how it is decoded and how it becomes a
 * {@link KernelProfile}. Every cost is a number of nanoseconds with the basis it rests on: M measured by others, P stated
 * in a publication, D documented, X derived, A an assumption.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { applyOverrides, decodeStrict } from '../../decode.ts';
import { ticksFromNs } from '../../units.ts';
import {
  KERNEL_VERSIONS,
  type KernelCosts,
  type KernelProfile,
  NESTED_DOMAIN_IDS,
  OMITTED_FLUSHES,
  PASID_MODELS,
  PASID_REPLACE_POLICIES,
  RID_REPLACE_POLICIES,
} from '../kernel/profile.ts';

/** A cost: [ns] value, basis tag and the source in words. */
const sourced = z.object({
  value: z.number().min(0),
  basis: z.enum(['M', 'P', 'D', 'S', 'X', 'A']),
  source: z.string().min(1),
});

const count = z.int().min(1);

const COST_KEYS = [
  'ioctl',
  'objectAlloc',
  'pinPage',
  'unpinPage',
  'iovaAlloc',
  'iovaFree',
  'mapCall',
  'mapLeaf',
  'unmapCall',
  'unmapLeaf',
  'entryFlush',
  'tablePageAlloc',
  'tablePageFree',
  'entryWrite',
  'cacheTag',
  'qiSubmit',
  'qiDescriptor',
  'mmioWrite',
  'atsConfigure',
  'attachCall',
  'interrupt',
  'pageRequest',
  'userWake',
  'userFault',
  'flushQueueAdd',
  'flushQueueTimeout',
  'singleFlushQueueTimeout',
  'jiffy',
] as const satisfies readonly (keyof KernelCosts)[];

const costs = z.object(
  Object.fromEntries(COST_KEYS.map((key) => [key, sourced])) as Record<(typeof COST_KEYS)[number], typeof sourced>,
);

/** A profile file. */
export const KERNEL_PROFILE_SCHEMA = z.object({
  name: z.string().min(1),
  description: z.string(),
  version: z.enum(KERNEL_VERSIONS),
  behaviours: z.object({
    pasidReplace: z.enum(PASID_REPLACE_POLICIES),
    ridReplace: z.enum(RID_REPLACE_POLICIES),
    pasidModel: z.enum(PASID_MODELS),
    omitsFlush: z.enum(OMITTED_FLUSHES).optional(),
    nestedDomainIds: z.enum(NESTED_DOMAIN_IDS).optional(),
    ssIhIgnored: z.boolean(),
    qiMaxBatch: count.max(250),
    unmapBatchRuns: count,
    disableAtsBeforeTeardown: z.boolean(),
    writeOnlyLeafBecomesReadWrite: z.boolean(),
    gatherSyncsOnSizeChange: z.boolean(),
    mapOverPresentFails: z.boolean(),
    firstStageUserDomains: z.boolean(),
    flushQueueEntries: count.min(2),
    singleFlushQueueEntries: count.min(2),
  }),
  costsNs: costs,
});

/** A profile as it is written. */
export type KernelProfileSource = z.output<typeof KERNEL_PROFILE_SCHEMA>;

/** One number of the profile and what it rests on, as a report's model card prints it. */
export interface ProfileNumber {
  readonly path: string;
  readonly value: number | string | boolean;
  readonly unit: string;
  readonly basis: string;
  readonly source: string;
}

/** A decoded profile with its identity. */
export interface ResolvedKernelProfile {
  readonly profile: KernelProfile;
  readonly description: string;
  /** Hex digest of the profile after overrides. */
  readonly sha256: string;
  readonly overrides: readonly string[];
  readonly numbers: readonly ProfileNumber[];
}

/**
 * Applies `overrides` (`costsNs.qiSubmit.value=90`, `behaviours.ssIhIgnored=true`), decodes and resolves. An overridden
 * cost keeps its basis unless that is overridden too. Throws ConfigError for unknown keys and bad values.
 */
export function resolveKernelProfile(
  source: unknown,
  overrides: readonly string[] = [],
  sourceName = 'kernel profile',
): ResolvedKernelProfile {
  const decoded = decodeStrict(KERNEL_PROFILE_SCHEMA, applyOverrides(source, overrides), sourceName);
  const ticks = {} as Record<keyof KernelCosts, number>;
  for (const key of COST_KEYS) ticks[key] = ticksFromNs(decoded.costsNs[key].value);
  const profile: KernelProfile = Object.freeze({
    name: decoded.name,
    version: decoded.version,
    behaviours: decoded.behaviours,
    costs: Object.freeze(ticks),
  });
  return {
    profile,
    description: decoded.description,
    sha256: createHash('sha256').update(JSON.stringify(decoded)).digest('hex'),
    overrides,
    numbers: listNumbers(decoded),
  };
}

function listNumbers(decoded: KernelProfileSource): ProfileNumber[] {
  const present = Object.entries(decoded.behaviours).filter(([, value]) => value !== undefined);
  const behaviours = present.map(([key, value]) => ({
    path: `behaviours.${key}`,
    value: value as number | string | boolean,
    unit: typeof value === 'number' ? 'count' : '',
    basis: 'D',
    source: `Linux, behaviour of version ${decoded.version}`,
  }));
  const numbers = COST_KEYS.map((key) => {
    const { value, basis, source } = decoded.costsNs[key];
    return { path: `costsNs.${key}`, value, unit: 'ns', basis, source };
  });
  return [...behaviours, ...numbers];
}
