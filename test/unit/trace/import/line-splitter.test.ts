import { describe, expect, it } from 'vitest';
import { LineSplitter } from '../../../../src/trace/import/line-splitter.ts';
import { TextCursor } from '../../../../src/trace/import/text-cursor.ts';
import { ascii, decodeText, WordTable } from '../../../../src/trace/import/word-table.ts';

function linesOf(...chunks: Uint8Array[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((bytes, start, end, lineNumber) => {
    lines.push(`${lineNumber} ${decodeText(bytes, start, end)}`);
  });
  for (const chunk of chunks) splitter.feed(chunk);
  splitter.end();
  return lines;
}

describe('the line splitter', () => {
  it('ends lines at \\n and \\r\\n, keeps empty ones, and counts a last line without end', () => {
    expect(linesOf(Buffer.from('a\r\n\nb\rc\nd'))).toEqual(['1 a', '2 ', '3 b\rc', '4 d']);
  });

  it('leaves out a byte-order mark, wherever the first chunk is cut', () => {
    const bytes = Buffer.from('\uFEFFone\n\uFEFFtwo\n');
    const whole = ['1 one', '2 \uFEFFtwo'];
    expect(linesOf(bytes)).toEqual(whole);
    for (let at = 1; at < bytes.length; at++) {
      expect(linesOf(bytes.subarray(0, at), bytes.subarray(at))).toEqual(whole);
    }
    expect(linesOf(Buffer.from('\uFEFF'))).toEqual([]);
  });

  it('does not depend on the chunk after the call', () => {
    const chunk = Buffer.from('un');
    const lines: string[] = [];
    const splitter = new LineSplitter((bytes, start, end) => lines.push(decodeText(bytes, start, end)));
    splitter.feed(chunk);
    chunk.fill(0);
    splitter.feed(Buffer.from('cut\n'));
    expect(lines).toEqual(['uncut']);
  });
});

describe('the word table', () => {
  it('gives the word that stands there, also when it holds no more', () => {
    const table = new WordTable();
    for (let round = 0; round < 2; round++) {
      for (let word = 0; word < 10_000; word++) {
        const bytes = Buffer.from(`<word${word}>`);
        expect(table.text(bytes, 1, bytes.length - 1)).toBe(`word${word}`);
      }
    }
  });
});

describe('the text cursor', () => {
  it('reads nothing beyond the end of its line', () => {
    const bytes = Buffer.from('iova=0x12 size=34\nsize=56 0x789');
    const cursor = new TextCursor();
    cursor.set(bytes, 0, 8);
    expect(cursor.hexAfter(ascii('iova='))).toBe(1);
    expect(cursor.seek(ascii('size='))).toBe(false);
    expect(cursor.decimal()).toBeNaN();
    cursor.set(bytes, 0, 17);
    expect(cursor.decimalAfter(ascii('size='))).toBe(34);
    expect(cursor.word()).toBe('');
  });

  it('reads 64-bit numbers exactly', () => {
    const cursor = new TextCursor();
    const bytes = Buffer.from('0xfedcba9876543211 20000000000001 0x');
    cursor.set(bytes, 0, bytes.length);
    expect(cursor.hex64()).toBe(0xfedc_ba98_7654_3211n);
    cursor.skipSpaces();
    expect(cursor.hex64()).toBe(0x20_0000_0000_0001n);
    cursor.skipSpaces();
    expect(cursor.hex64()).toBeUndefined();
  });
});
