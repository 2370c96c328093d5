/** Opens an input as a stream of plain bytes: a file or standard input, plain, gzip or zstd. */
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { InputError } from '../../input-error.ts';

/** [bytes] What sniffing gets to see at most. */
export const SNIFF_BYTES = 65536;

/** [bytes] Size of the pieces that are read and decompressed: large enough to amortise a turn of the event loop. */
const CHUNK_BYTES = 1 << 18;

/** An opened input. */
export interface InputBytes {
  /** Name for messages: the path's last part, or `<stdin>`. */
  readonly name: string;
  /** The first bytes, decompressed; also the beginning of {@link chunks}. */
  readonly prefix: Uint8Array;
  /** All bytes from the beginning. May be iterated once. @throws InputError when reading or decompressing fails. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Opens `path`, or standard input for `-`.
 * @throws InputError when the file cannot be read or its compression is damaged.
 */
export async function openInputBytes(path: string, stdin: Readable = process.stdin): Promise<InputBytes> {
  const name = path === '-' ? '<stdin>' : basename(path);
  const source: AsyncIterable<Uint8Array> =
    path === '-' ? stdin : createReadStream(path, { highWaterMark: CHUNK_BYTES });
  const raw = source[Symbol.asyncIterator]();
  const head = await readAtLeast(raw, 4, name);
  const plain = decompress(head, raw, name)[Symbol.asyncIterator]();
  const prefix = await readAtLeast(plain, SNIFF_BYTES, name);
  return { name, prefix: prefix.subarray(0, SNIFF_BYTES), chunks: rejoin(prefix, plain, name) };
}

/** Whole decompressed text of a small file. @throws InputError when it cannot be read. */
export async function readInputText(path: string): Promise<string> {
  const { chunks } = await openInputBytes(path);
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new TextDecoder('utf-8').decode(Buffer.concat(parts));
}

async function readAtLeast(from: AsyncIterator<Uint8Array>, byteCount: number, name: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  while (total < byteCount) {
    const next = await nextChunk(from, name);
    if (next === undefined) break;
    parts.push(next);
    total += next.byteLength;
  }
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
}

async function nextChunk(from: AsyncIterator<Uint8Array>, name: string): Promise<Uint8Array | undefined> {
  try {
    const next = await from.next();
    return next.done === true ? undefined : next.value;
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError({ file: name, reason: reasonOf(error) });
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EISDIR') return 'is a directory';
  if (code === 'Z_BUF_ERROR') return 'compressed data ends too early (truncated file)';
  if (typeof code === 'string' && code.startsWith('Z')) return `compressed data is damaged: ${error.message}`;
  return error.message;
}

async function* rejoin(
  head: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array, void> {
  if (head.byteLength > 0) yield head;
  for (;;) {
    const chunk = await nextChunk(rest, name);
    if (chunk === undefined) return;
    yield chunk;
  }
}

function decompress(head: Uint8Array, rest: AsyncIterator<Uint8Array>, name: string): AsyncIterable<Uint8Array> {
  const whole = rejoin(head, rest, name);
  const magic = head.byteLength < 4 ? 0 : new DataView(head.buffer, head.byteOffset).getUint32(0);
  if (magic >>> 16 === 0x1f8b) return through(whole, createGunzip({ chunkSize: CHUNK_BYTES }));
  if (magic === 0x28b52ffd) return through(whole, createZstdDecompress({ chunkSize: CHUNK_BYTES }));
  return whole;
}

/** Pipes by hand, so that an error of the source and one of the decompressor both surface at the reader. */
function through(source: AsyncIterable<Uint8Array>, transform: NodeJS.ReadWriteStream & Readable): Readable {
  const pump = async (): Promise<void> => {
    for await (const chunk of source) {
      if (transform.destroyed) return;
      if (!transform.write(chunk)) await drained(transform);
    }
    transform.end();
  };
  pump().catch((error: unknown) => transform.destroy(error instanceof Error ? error : new Error(String(error))));
  return transform;
}

function drained(transform: NodeJS.ReadWriteStream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      transform.off('drain', done);
      transform.off('close', done);
      resolve();
    };
    transform.once('drain', done);
    transform.once('close', done);
  });
}
