/** What an importer is: a source it recognises, and how it turns that into a bundle's content. */
import type { BundleDraft } from './bundle-draft.ts';
import type { InputBytes } from './input-bytes.ts';

/** Options of one import. */
export interface ImportContext {
  /** Name the bundle gets. */
  readonly name: string;
  /** Anomalies other than informative ones are errors. */
  readonly strict: boolean;
  /** Seed of the access synthesis. */
  readonly seed: number;
}

/** An importer of one text stream. */
export interface StreamImporter {
  readonly kind: 'stream';
  readonly name: string;
  readonly description: string;
  /** True when the beginning of the input looks like this source. */
  sniff(prefix: string): boolean;
  /** Reads the whole input. Chunks may be cut anywhere. @throws InputError when it cannot be read. */
  open(input: InputBytes, context: ImportContext): Promise<BundleDraft>;
}

/** An importer of a directory of files that belong together. */
export interface DirectoryImporter {
  readonly kind: 'directory';
  readonly name: string;
  readonly description: string;
  /** True when the directory holds this source. */
  sniff(directory: string): boolean;
  /** Reads the files. @throws InputError when one is missing or damaged. */
  open(directory: string, context: ImportContext): Promise<BundleDraft>;
}

/** Either kind. */
export type Importer = StreamImporter | DirectoryImporter;

/** Feeds a whole input to a push parser. */
export async function parseInput<T>(
  chunks: AsyncIterable<Uint8Array>,
  parser: { feed(chunk: Uint8Array): void; end(): T },
): Promise<T> {
  for await (const chunk of chunks) parser.feed(chunk);
  return parser.end();
}
