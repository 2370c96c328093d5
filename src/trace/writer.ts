/**
 * Writes a bundle: into a folder beside the target, renamed when whole. A target that existed is put aside first and
 * removed last; after an error nothing is left of the attempt.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { assert } from '../assert.ts';
import { InputError } from '../input-error.ts';
import { MANIFEST_FILE } from './manifest.ts';
import type { StreamSchema } from './schema/column-type.ts';
import type { CONTROL_SCHEMA } from './schema/control-stream.ts';
import type { DMA_SCHEMA } from './schema/dma-stream.ts';
import type { FRAMES_SCHEMA } from './schema/frames-stream.ts';
import type { INITIAL_SCHEMA } from './schema/initial-stream.ts';
import { FORMAT_VERSION, type Manifest, type StreamEntry } from './schema/manifest.ts';
import type { OBSERVED_DMA_SCHEMA } from './schema/observed-streams.ts';
import { REQUIRED_STREAMS, type SchemaOf, type StreamName, streamSchema } from './schema/streams.ts';
import type { USER_DATA_SCHEMA } from './schema/user-data-stream.ts';
import { DEFAULT_BATCH_ROWS, StreamWriter } from './stream-writer.ts';

/** The part of the manifest that is not known from writing. */
export type ManifestContent = Omit<Manifest, 'formatVersion' | 'streams'>;

/** How a bundle is written. */
export interface BundleWriterOptions {
  /** Replace an existing bundle at the target. */
  readonly overwrite?: boolean | undefined;
  /** [rows] Rows of a record batch. */
  readonly batchRows?: number | undefined;
}

/** A bundle being written. Prefer {@link writeBundle}, which cleans up after an error. */
export class BundleWriter {
  readonly #target: string;
  readonly #folder: string;
  readonly #batchRows: number;
  readonly #streams = new Map<StreamName, StreamWriter<StreamSchema>>();

  /** Throws {@link InputError} when `path` exists and may not be replaced, or its parent cannot be written. */
  constructor(path: string, options: BundleWriterOptions = {}) {
    this.#target = resolve(path);
    this.#batchRows = options.batchRows ?? DEFAULT_BATCH_ROWS;
    if (existsSync(this.#target)) {
      if (options.overwrite !== true) throw new InputError({ file: path, reason: 'exists already' });
      // Never remove a folder that is something else than a bundle.
      if (!existsSync(join(this.#target, MANIFEST_FILE))) {
        throw new InputError({ file: path, reason: 'exists and is no bundle; it will not be replaced' });
      }
    }
    try {
      mkdirSync(dirname(this.#target), { recursive: true });
      this.#folder = makeFolderBeside(this.#target);
    } catch (error) {
      throw new InputError({ file: path, reason: `cannot be written (${(error as NodeJS.ErrnoException).code})` });
    }
  }

  get control(): StreamWriter<typeof CONTROL_SCHEMA> {
    return this.stream('control');
  }

  get frames(): StreamWriter<typeof FRAMES_SCHEMA> {
    return this.stream('frames');
  }

  get initial(): StreamWriter<typeof INITIAL_SCHEMA> {
    return this.stream('initial');
  }

  get userData(): StreamWriter<typeof USER_DATA_SCHEMA> {
    return this.stream('user-data');
  }

  /** DMA rows of a unit, an index into `topology.units`. */
  dma(unit: number): StreamWriter<typeof DMA_SCHEMA> {
    return this.stream(`dma-${unit}`);
  }

  observedDma(unit: number): StreamWriter<typeof OBSERVED_DMA_SCHEMA> {
    return this.stream(`observed-dma-${unit}`);
  }

  /** Opens a stream, or gives the one opened before. A stream that is never asked for is not in the bundle. */
  stream<N extends StreamName>(name: N): StreamWriter<SchemaOf<N>> {
    let writer = this.#streams.get(name);
    if (writer === undefined) {
      const schema = streamSchema(name);
      assert(schema !== undefined, `the format has no stream '${name}'`);
      writer = new StreamWriter(join(this.#folder, `${name}.arrow`), schema, this.#batchRows);
      this.#streams.set(name, writer);
    }
    return writer as unknown as StreamWriter<SchemaOf<N>>;
  }

  /** Finishes every stream, writes the manifest and moves the bundle to its target. */
  finish(content: ManifestContent): Manifest {
    for (const name of REQUIRED_STREAMS) this.stream(name);
    const streams: Record<string, StreamEntry> = {};
    for (const name of [...this.#streams.keys()].sort()) {
      const written = (this.#streams.get(name) as StreamWriter<StreamSchema>).finish();
      streams[name] = { file: `${name}.arrow`, rows: written.rows, sha256: written.sha256 };
    }
    const manifest: Manifest = { formatVersion: FORMAT_VERSION, ...content, streams };
    writeFileSync(join(this.#folder, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`);
    this.#moveIntoPlace();
    return manifest;
  }

  /** Removes everything written so far. */
  abort(): void {
    for (const stream of this.#streams.values()) stream.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #moveIntoPlace(): void {
    if (!existsSync(this.#target)) {
      renameSync(this.#folder, this.#target);
      return;
    }
    const aside = `${this.#folder}.old`;
    renameSync(this.#target, aside);
    renameSync(this.#folder, this.#target);
    rmSync(aside, { recursive: true, force: true });
  }
}

/** A new hidden folder beside `target`, with the permissions that the user's umask gives. */
function makeFolderBeside(target: string): string {
  for (let attempt = process.pid; ; attempt++) {
    const folder = join(dirname(target), `.${basename(target)}.partial-${attempt}`);
    try {
      mkdirSync(folder);
      return folder;
    } catch (error) {
      // Left behind by a killed process of the same number, or in use by another thread of this one.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Writes a bundle whose rows and manifest come from `fill`; after an error nothing is left and the error goes on. */
export async function writeBundle(
  path: string,
  options: BundleWriterOptions,
  fill: (writer: BundleWriter) => ManifestContent | Promise<ManifestContent>,
): Promise<Manifest> {
  const writer = new BundleWriter(path, options);
  try {
    return writer.finish(await fill(writer));
  } catch (error) {
    writer.abort();
    throw error;
  }
}
