/**
 * Opens a bundle: the manifest at once, each stream when it is first asked for. Reading is synchronous and by record
 * batch; a bundle larger than memory reads as well as a small one.
 */
import { join } from 'node:path';
import { InputError } from '../input-error.ts';
import { readManifest } from './manifest.ts';
import type { StreamSchema } from './schema/column-type.ts';
import type { DMA_SCHEMA } from './schema/dma-stream.ts';
import type { Manifest } from './schema/manifest.ts';
import type { OBSERVED_DMA_SCHEMA } from './schema/observed-streams.ts';
import type { SchemaOf, StreamName } from './schema/streams.ts';
import { streamSchema } from './schema/streams.ts';
import { StreamReader } from './stream-reader.ts';

/** A bundle open for reading. */
export class BundleReader {
  /** Folder of the bundle, as given. */
  readonly path: string;
  readonly manifest: Manifest;
  /** Hex SHA-256 of the canonical JSON of the manifest: identifies the bundle, streams included. */
  readonly manifestSha256: string;

  readonly #streams = new Map<string, StreamReader<StreamSchema>>();

  private constructor(path: string, manifest: Manifest, manifestSha256: string) {
    this.path = path;
    this.manifest = manifest;
    this.manifestSha256 = manifestSha256;
  }

  /** Reads the manifest of the bundle in folder `path`; throws {@link InputError}. */
  static open(path: string): BundleReader {
    const { manifest, sha256 } = readManifest(path);
    return new BundleReader(path, manifest, sha256);
  }

  /** True when the manifest lists the stream. */
  has(name: StreamName): boolean {
    return Object.hasOwn(this.manifest.streams, name);
  }

  /**
   * Opens a stream, or gives the one opened before. Throws {@link InputError} when the bundle has no such stream, the
   * file is missing or damaged, or its rows are not as many as the manifest says.
   */
  stream<N extends StreamName>(name: N): StreamReader<SchemaOf<N>> {
    const known = this.#streams.get(name);
    if (known !== undefined) return known as unknown as StreamReader<SchemaOf<N>>;
    const entry = this.manifest.streams[name];
    const schema = streamSchema(name);
    if (entry === undefined || schema === undefined) {
      throw new InputError({ file: this.path, reason: `the bundle has no stream '${name}'` });
    }
    const reader = new StreamReader(join(this.path, entry.file), schema);
    if (reader.rowCount !== entry.rows) {
      reader.close();
      const reason = `has ${reader.rowCount} rows, the manifest says ${entry.rows}`;
      throw new InputError({ file: reader.file, row: Math.min(reader.rowCount, entry.rows), reason });
    }
    this.#streams.set(name, reader);
    return reader as unknown as StreamReader<SchemaOf<N>>;
  }

  /** Opens a stream that a bundle need not have; undefined when the manifest does not list it. */
  optionalStream<N extends StreamName>(name: N): StreamReader<SchemaOf<N>> | undefined {
    return this.has(name) ? this.stream(name) : undefined;
  }

  /** DMA rows of a unit (index into `topology.units`); undefined when it has none. */
  dma(unit: number): StreamReader<typeof DMA_SCHEMA> | undefined {
    return this.optionalStream(`dma-${unit}`);
  }

  /** What the recorder did with the DMA rows of a unit; undefined when that was not recorded. */
  observedDma(unit: number): StreamReader<typeof OBSERVED_DMA_SCHEMA> | undefined {
    return this.optionalStream(`observed-dma-${unit}`);
  }

  /** Closes every open stream. */
  close(): void {
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }
}
