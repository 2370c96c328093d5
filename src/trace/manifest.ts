/** Reads, checks and writes `manifest.json`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { canonicalSha256 } from '../canonical-json.ts';
import { decodeStrict } from '../decode.ts';
import { ConfigError, InputError } from '../input-error.ts';
import type { Manifest } from './schema/manifest.ts';
import { REQUIRED_STREAMS, streamSchema } from './schema/streams.ts';
import { upgradeManifest } from './upgrade.ts';

/** File name of the manifest inside a bundle. */
export const MANIFEST_FILE = 'manifest.json';

const count = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'not a hex SHA-256');
const hex = z.string().regex(/^[0-9a-f]+$/, 'not a lower-case hex number without 0x');

const unit = z.strictObject({
  name: z.string(),
  cap: hex.optional(),
  ecap: hex.optional(),
  mode: z.enum(['legacy', 'scalable']),
  stage: z.enum(['first', 'second']),
});

const device = z.strictObject({
  name: z.string(),
  sourceId: z.int().min(0).max(0xffff),
  aliasIds: z.array(z.int().min(0).max(0xffff)).optional(),
  group: z.int(),
  unit: z.int().min(-1),
  kind: z.enum(['physical', 'mediated']),
  driver: z.string(),
  pciClass: z.string().optional(),
  defaultDomain: z.enum(['dma', 'dma-fq', 'identity', 'blocked', 'none']),
  defaultDomainId: z.int().min(0).max(0xffff).optional(),
  ats: z.boolean(),
  pasidBits: z.int().min(0).max(20),
  pri: z.boolean(),
});

/** Schema of `manifest.json` at the current format version. */
export const MANIFEST_SCHEMA = z.strictObject({
  formatVersion: z.int().positive(),
  name: z.string(),
  description: z.string(),
  origin: z.strictObject({
    importer: z.string(),
    tool: z.string(),
    kernel: z.string(),
    kernelProfile: z.string().optional(),
    recorderProfile: z.string().optional(),
    clock: z.string(),
    commandLine: z.string().optional(),
  }),
  time: z.strictObject({
    originNs: z.string().regex(/^\d+$/, 'not a decimal number'),
    windowStartNs: count,
    windowEndNs: count,
  }),
  dmaPolicy: z.strictObject({ flushMode: z.enum(['strict', 'lazy']) }),
  pacing: z.strictObject({ default: z.enum(['recorded', 'closed']), reason: z.string() }),
  topology: z.strictObject({ units: z.array(unit), devices: z.array(device) }),
  provenance: z.strictObject({
    dma: z.strictObject({ measured: count, inferred: count, synthetic: count }),
    inferredColumns: z.strictObject({ size: count, direction: count, time: count }).optional(),
  }),
  lostEvents: count,
  streams: z.record(
    z.string().refine((name) => streamSchema(name) !== undefined, 'no stream of this format'),
    z.strictObject({
      file: z.string().regex(/^[a-z0-9-]+\.arrow$/, 'not a plain .arrow file name'),
      rows: count,
      sha256,
    }),
  ),
  diagnostics: z.array(
    z.strictObject({
      code: z.string(),
      severity: z.enum(['info', 'data-loss', 'error']),
      count,
      first: z.string(),
    }),
  ),
}) satisfies z.ZodType<Manifest>;

/** Reads the manifest of the bundle in folder `path`, upgraded to the current version; throws {@link InputError}. */
export function readManifest(path: string): { readonly manifest: Manifest; readonly sha256: string } {
  const file = join(path, MANIFEST_FILE);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError({ file, reason: `cannot be read (${(error as NodeJS.ErrnoException).code}): not a bundle?` });
  }
  const manifest = parseManifest(text, file);
  return { manifest, sha256: canonicalSha256(manifest) };
}

/** Decodes the text of a manifest; `file` is named in the {@link InputError}. */
export function parseManifest(text: string, file: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError({ file, reason: `not JSON: ${(error as Error).message}` });
  }
  const upgraded = upgradeManifest(json, file);
  let manifest: Manifest;
  try {
    manifest = decodeStrict(MANIFEST_SCHEMA, upgraded, file);
  } catch (error) {
    if (error instanceof ConfigError) {
      throw new InputError({ file, reason: error.path === '' ? error.reason : `${error.path}: ${error.reason}` });
    }
    throw error;
  }
  checkReferences(manifest, file);
  return manifest;
}

function checkReferences(manifest: Manifest, file: string): void {
  for (const name of REQUIRED_STREAMS) {
    if (manifest.streams[name] === undefined) throw new InputError({ file, reason: `streams: '${name}' is missing` });
  }
  const unitCount = manifest.topology.units.length;
  for (const [index, { unit: unitIndex }] of manifest.topology.devices.entries()) {
    if (unitIndex >= unitCount) {
      throw new InputError({ file, reason: `topology.devices.${index}.unit: there is no unit ${unitIndex}` });
    }
  }
  for (const name of Object.keys(manifest.streams)) {
    const unitOfStream = /^(?:observed-)?dma-(\d+)$/.exec(name)?.[1];
    if (unitOfStream !== undefined && Number(unitOfStream) >= unitCount) {
      throw new InputError({ file, reason: `streams.${name}: there is no unit ${unitOfStream}` });
    }
  }
}
