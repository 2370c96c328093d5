/**
 * Hardware profiles as data: what a profile file may say, how it is decoded, and how it becomes the frozen integers a
 * unit is built from. Every value carries the basis it rests on: M measured by others, P stated in a publication,
 * D documented, S specification, X derived, A an assumption.
 *
 * A value is written `{ "value": ..., "basis": "M", "source": "..." }`; a bare value, as an override gives it, counts as
 * an assumption of the user.
 */
import * as z from 'zod';
import { canonicalSha256 } from '../canonical-json.ts';
import { applyOverrides, decodeStrict, deepFreeze } from '../decode.ts';
import { ticksFromNs } from '../units.ts';
import type { LinkTiming } from './device-link.ts';
import { flightAndWireTicks } from './link-round-trip.ts';
import type { CacheGeometry } from './set-assoc.ts';
import { type EndpointTiming, MAX_PAGE_REQUEST_WINDOW, type VtdConfig } from './vtd/config.ts';

const BASIS = z.enum(['M', 'P', 'D', 'S', 'X', 'A']);

/** A value and what it rests on. */
export interface Sourced<T> {
  readonly value: T;
  readonly basis: z.output<typeof BASIS>;
  readonly source: string;
}

function sourced<T>(value: z.ZodType<T>) {
  const leaf = z.strictObject({ value, basis: BASIS, source: z.string().min(1) });
  return z.preprocess(withSource, leaf) as unknown as z.ZodType<Sourced<T>>;
}

/** A bare value, as an override gives it, is an assumption. */
function withSource(given: unknown): unknown {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given;
  return { value: given, basis: 'A', source: 'ASSUMPTION: set by the user' };
}

const count = sourced(z.int().min(1));
const countOrNone = sourced(z.int().min(0));
const nanoseconds = sourced(z.number().min(0));
const register = sourced(z.string().regex(/^[0-9a-f]{1,16}$/, 'a register is up to 16 hex digits'));
const powerOfTwo = sourced(z.int().refine((bytes) => bytes >= 64 && (bytes & (bytes - 1)) === 0, 'a power of two'));
const perSize = sourced(z.array(z.number().min(0)).min(1));
const perSizeCount = sourced(z.array(z.int().min(1)).min(1));

const cacheShape = {
  /** 0 = there is no such cache. */
  entries: countOrNone,
  /** 0 = fully associative. */
  ways: countOrNone,
  policy: sourced(z.enum(['lru', 'tree-plru', 'fifo', 'random', 'reset-when-full'])),
  indexing: sourced(z.enum(['hash', 'low-bits'])),
};
const cache = z.object(cacheShape).check(checkGeometry);

/** A profile file. */
export const HARDWARE_PROFILE_SCHEMA = z.object({
  name: z.string().min(1),
  description: z.string(),
  kind: z.enum(['vtd', 'bypass']),
  registers: z.object({ cap: register, ecap: register }),
  iotlb: z
    .object({
      ...cacheShape,
      tag: sourced(z.enum(['domain', 'source'])),
      pageMaskBits: countOrNone,
      hitChecksPermission: sourced(z.boolean()),
      /** Acts where CAP.CM = 1. */
      cachesNotPresent: sourced(z.boolean()),
    })
    .check(checkGeometry, checkIotlb),
  contextCache: cache,
  pasidCache: cache,
  pagingCaches: z.object({ region2m: cache, region1g: cache, region512g: cache, region256t: cache }),
  translation: z.object({
    hitNs: nanoseconds,
    walkFixedNs: nanoseconds,
    walkReadNs: nanoseconds,
    walkers: count,
    /** How much longer than its latency a walk occupies its walker. */
    busyExtraNs: sourced(z.number()),
    /** Between the starts of two walks at least: what a walk takes of the port to memory. */
    walkIntervalNs: nanoseconds,
    serialiseRegion: sourced(z.boolean()),
    releaseInOrder: sourced(z.boolean()),
    clockNs: nanoseconds,
  }),
  queue: z.object({ doorbellNs: nanoseconds, fetchNs: nanoseconds, executeNs: nanoseconds, statusNs: nanoseconds }),
  link: z.object({
    pcieGeneration: sourced(z.int().min(1).max(6)),
    lanes: count,
    maxPayloadBytes: powerOfTwo,
    maxReadRequestBytes: powerOfTwo,
    requestHeaderBytes: count,
    completionHeaderBytes: count,
    dllpBytes: countOrNone,
    oneWayNs: nanoseconds,
    /** Read of 64 bytes at the device, no translation, nothing else under way. */
    readRoundTripNs: nanoseconds,
    memoryWriteNs: nanoseconds,
    /** What a read of a device takes of the port to memory that walks wait for: for each 64-byte line, and at least. */
    readPortLineNs: nanoseconds,
    readPortLeastNs: nanoseconds,
    /** How long reads keep a walk from the port at most. */
    readPortDelayNs: nanoseconds,
  }),
  /** The device in front of the link; rows by request size. */
  device: z
    .object({
      requestBytes: perSize,
      readWindow: perSizeCount,
      writeWindow: perSizeCount,
      readIntervalNs: perSize,
      writeIntervalNs: perSize,
      /** From the last data of a read at the device to its tag being free. */
      readHoldNs: perSize,
    })
    .check(checkRows),
  /** Endpoints with ATS and PRI. */
  endpoint: z.object({
    deviceTlb: cache,
    lookupNs: nanoseconds,
    translationWindow: count,
    /** What a translation request takes besides wire, flight and translation. */
    translationExtraNs: nanoseconds,
    invalidateQueueDepth: sourced(z.int().min(1).max(32)),
    /** Arrival of an invalidation to its answer leaving, requests under way aside. */
    invalidationNs: nanoseconds,
    invalidationTimeoutNs: nanoseconds,
    pageRequestWindow: sourced(z.int().min(1).max(MAX_PAGE_REQUEST_WINDOW)),
    pageRequestRetries: countOrNone,
    pageRequestWriteNs: nanoseconds,
  }),
  faultCodes: z.object({
    pasidEntryNotPresent: count,
    scalableContextNotPresent: count,
    scalableSsRead: count,
    scalableSsWrite: count,
    scalableSsBeyondWidth: count,
    walkFaultsCarryRidPasid: sourced(z.boolean()),
  }),
});

type Check<T> = z.core.ParsePayload<T>;

/** What {@link SetAssoc} can build. */
function checkGeometry(
  payload: Check<{ entries: Sourced<number>; ways: Sourced<number>; policy: Sourced<string> }>,
): void {
  const { entries, ways, policy } = payload.value;
  const setWays = ways.value === 0 ? entries.value : ways.value;
  if (entries.value % Math.max(setWays, 1) !== 0) {
    issue(payload, 'ways', `${entries.value} entries are no multiple of ${ways.value} ways`);
  }
  if (policy.value === 'tree-plru' && ((setWays & (setWays - 1)) !== 0 || setWays > 32)) {
    issue(payload, 'policy', 'tree-plru needs 2, 4, ... 32 ways');
  }
  if (policy.value === 'reset-when-full' && setWays !== entries.value) {
    issue(payload, 'policy', 'reset-when-full needs a fully associative cache');
  }
}

function checkIotlb(payload: Check<{ entries: Sourced<number> }>): void {
  if (payload.value.entries.value === 0) issue(payload, 'entries', 'the IOTLB has at least one entry');
}

function checkRows(payload: Check<Record<string, Sourced<readonly number[]>>>): void {
  const rows = payload.value['requestBytes']?.value.length;
  for (const [key, leaf] of Object.entries(payload.value)) {
    if (leaf.value.length !== rows) issue(payload, key, 'as many values as requestBytes');
  }
}

function issue(payload: Check<unknown>, key: string, message: string): void {
  payload.issues.push({ code: 'custom', input: payload.value, path: [key], message });
}

/** A decoded profile. */
export type HardwareProfileSource = z.output<typeof HARDWARE_PROFILE_SCHEMA>;

/** One number of a profile as a report's model card prints it. */
export interface ProfileNumber {
  readonly path: string;
  readonly value: number | string | boolean;
  readonly unit: string;
  readonly basis: string;
  readonly source: string;
}

/** A profile with its identity: plain, frozen data. */
export interface ResolvedHardwareProfile {
  readonly name: string;
  readonly description: string;
  readonly kind: 'vtd' | 'bypass';
  readonly config: VtdConfig;
  /** Hex digest of the profile after overrides. */
  readonly sha256: string;
  readonly overrides: readonly string[];
  readonly numbers: readonly ProfileNumber[];
}

/**
 * Applies `overrides` (`iotlb.entries=64`), decodes and resolves. Throws ConfigError for unknown keys and bad values.
 */
export function resolveHardwareProfile(
  source: unknown,
  overrides: readonly string[] = [],
  sourceName = 'hardware profile',
): ResolvedHardwareProfile {
  const decoded = decodeStrict(HARDWARE_PROFILE_SCHEMA, applyOverrides(source, overrides), sourceName);
  const numbers: ProfileNumber[] = [];
  listNumbers(decoded, '', numbers);
  return deepFreeze({
    name: decoded.name,
    description: decoded.description,
    kind: decoded.kind,
    config: resolveConfig(decoded),
    sha256: canonicalSha256(decoded),
    overrides: [...overrides],
    numbers,
  });
}

function resolveConfig(from: HardwareProfileSource): VtdConfig {
  const { translation, queue, pagingCaches, faultCodes } = from;
  const ticks = (leaf: Sourced<number>): number => ticksFromNs(leaf.value);
  return {
    name: from.name,
    cap: registerWords(from.registers.cap.value),
    ecap: registerWords(from.registers.ecap.value),
    iotlb: geometry(from.iotlb) as CacheGeometry,
    iotlbRules: {
      tag: from.iotlb.tag.value,
      pageMaskBits: from.iotlb.pageMaskBits.value,
      hitChecksPermission: from.iotlb.hitChecksPermission.value,
      cachesNotPresent: from.iotlb.cachesNotPresent.value,
    },
    contextCache: geometry(from.contextCache),
    pasidCache: geometry(from.pasidCache),
    pagingCaches: [
      undefined,
      undefined,
      geometry(pagingCaches.region2m),
      geometry(pagingCaches.region1g),
      geometry(pagingCaches.region512g),
      geometry(pagingCaches.region256t),
    ],
    translation: {
      hitTicks: ticks(translation.hitNs),
      walkFixedTicks: ticks(translation.walkFixedNs),
      walkReadTicks: ticks(translation.walkReadNs),
      walkers: translation.walkers.value,
      busyExtraTicks: ticks(translation.busyExtraNs),
      walkIntervalTicks: ticks(translation.walkIntervalNs),
      serialiseRegion: translation.serialiseRegion.value,
      releaseInOrder: translation.releaseInOrder.value,
      clockTicks: ticks(translation.clockNs),
    },
    queue: {
      doorbellTicks: ticks(queue.doorbellNs),
      fetchTicks: ticks(queue.fetchNs),
      executeTicks: ticks(queue.executeNs),
      statusTicks: ticks(queue.statusNs),
    },
    link: resolveLink(from),
    endpoint: resolveEndpoint(from),
    faultCodes: {
      pasidEntryNotPresent: faultCodes.pasidEntryNotPresent.value,
      scalableContextNotPresent: faultCodes.scalableContextNotPresent.value,
      scalableSsRead: faultCodes.scalableSsRead.value,
      scalableSsWrite: faultCodes.scalableSsWrite.value,
      scalableSsBeyondWidth: faultCodes.scalableSsBeyondWidth.value,
      walkFaultsCarryRidPasid: faultCodes.walkFaultsCarryRidPasid.value,
    },
  };
}

function resolveEndpoint({ endpoint }: HardwareProfileSource): EndpointTiming {
  return {
    deviceTlb: geometry(endpoint.deviceTlb),
    lookupTicks: ticksFromNs(endpoint.lookupNs.value),
    translationWindow: endpoint.translationWindow.value,
    translationExtraTicks: ticksFromNs(endpoint.translationExtraNs.value),
    invalidateQueueDepth: endpoint.invalidateQueueDepth.value,
    invalidationTicks: ticksFromNs(endpoint.invalidationNs.value),
    invalidationTimeoutTicks: ticksFromNs(endpoint.invalidationTimeoutNs.value),
    pageRequestWindow: endpoint.pageRequestWindow.value,
    pageRequestRetries: endpoint.pageRequestRetries.value,
    pageRequestWriteTicks: ticksFromNs(endpoint.pageRequestWriteNs.value),
  };
}

/** [GT/s] per lane by PCIe generation. */
const LANE_RATE = [0, 2.5, 5, 8, 16, 32, 64] as const;

function resolveLink(from: HardwareProfileSource): LinkTiming {
  const { link, device } = from;
  const generation = link.pcieGeneration.value;
  // 8b/10b up to generation 2, 128b/130b after; one skip ordered set of 4 symbols in 1538 (pcie-model, model/pcie.py).
  const encoding = generation <= 2 ? 10 / 8 : 130 / 128;
  const psPerByte = ((8000 / (LANE_RATE[generation]! * link.lanes.value)) * encoding * 1542) / 1538;
  const wire = {
    psPerByte,
    requestHeaderBytes: link.requestHeaderBytes.value,
    completionHeaderBytes: link.completionHeaderBytes.value,
    dllpBytes: link.dllpBytes.value,
    oneWayTicks: ticksFromNs(link.oneWayNs.value),
  };
  return {
    ...wire,
    maxPayloadBytes: link.maxPayloadBytes.value,
    maxReadRequestBytes: link.maxReadRequestBytes.value,
    memoryReadTicks: Math.max(ticksFromNs(link.readRoundTripNs.value) - flightAndWireTicks(wire), 0),
    memoryWriteTicks: ticksFromNs(link.memoryWriteNs.value),
    readPortLineTicks: ticksFromNs(link.readPortLineNs.value),
    readPortLeastTicks: ticksFromNs(link.readPortLeastNs.value),
    readPortDelayTicks: ticksFromNs(link.readPortDelayNs.value),
    requestBytes: device.requestBytes.value,
    readWindow: device.readWindow.value,
    writeWindow: device.writeWindow.value,
    readIntervalTicks: device.readIntervalNs.value.map(ticksFromNs),
    writeIntervalTicks: device.writeIntervalNs.value.map(ticksFromNs),
    readHoldTicks: device.readHoldNs.value.map(ticksFromNs),
  };
}

function geometry(from: z.output<typeof cache>): CacheGeometry | undefined {
  if (from.entries.value === 0) return undefined;
  return {
    entries: from.entries.value,
    ways: from.ways.value,
    policy: from.policy.value,
    indexing: from.indexing.value,
  };
}

/** The u32 words of a register written in hex, low word first. */
export function registerWords(hex: string): readonly [number, number] {
  const value = BigInt(`0x${hex}`);
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}

function listNumbers(node: object, path: string, into: ProfileNumber[]): void {
  for (const [key, member] of Object.entries(node)) {
    if (typeof member !== 'object' || member === null) continue;
    const here = path === '' ? key : `${path}.${key}`;
    if (!('basis' in member)) {
      listNumbers(member, here, into);
      continue;
    }
    const leaf = member as Sourced<number | string | boolean | readonly number[]>;
    const value = typeof leaf.value === 'object' ? leaf.value.join('/') : leaf.value;
    into.push({ path: here, value, unit: unitOf(key), basis: leaf.basis, source: leaf.source });
  }
}

function unitOf(key: string): string {
  if (key.endsWith('Ns')) return 'ns';
  if (key.endsWith('Bytes')) return 'bytes';
  if (key.endsWith('Window')) return key === 'pageRequestWindow' ? 'requests' : 'TLPs';
  if (key.endsWith('Bits')) return 'bits';
  const units: Readonly<Record<string, string>> = {
    entries: 'entries',
    ways: 'ways',
    walkers: 'walkers',
    lanes: 'lanes',
  };
  return units[key] ?? '';
}
