import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openInputBytes, readInputText } from '../../../../src/trace/import/input-bytes.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'input-bytes-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const TEXT = Array.from({ length: 20_000 }, (_, line) => `line ${line * 7919}\n`).join('');

function file(name: string, bytes: Uint8Array): string {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
}

describe('input bytes', () => {
  it('are the same from plain, gzip and zstd files, whatever their names', async () => {
    expect(await readInputText(file('a', Buffer.from(TEXT)))).toBe(TEXT);
    expect(await readInputText(file('b', gzipSync(TEXT)))).toBe(TEXT);
    expect(await readInputText(file('c', zstdCompressSync(TEXT)))).toBe(TEXT);
    expect(await readInputText(file('empty', Buffer.alloc(0)))).toBe('');
  });

  it('come from standard input for a dash, compressed or not', async () => {
    const { name, chunks } = await openInputBytes('-', Readable.from([gzipSync(TEXT)]));
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    expect(name).toBe('<stdin>');
    expect(Buffer.concat(parts).toString()).toBe(TEXT);
  });

  it('of a truncated or damaged file are an error that names file and reason', async () => {
    const whole = gzipSync(TEXT);
    await expect(readInputText(file('cut.gz', whole.subarray(0, whole.length / 2)))).rejects.toThrow(
      'cut.gz: compressed data ends too early (truncated file)',
    );
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, 2000, 2100);
    await expect(readInputText(file('bad.gz', damaged))).rejects.toThrow(/bad.gz: compressed data is damaged/);
    await expect(readInputText(join(folder, 'none'))).rejects.toThrow('none: no such file');
  });
});
