import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ConfigError, InputError } from '../../../../src/input-error.ts';
import { conformFiles, conformText } from '../../../../src/replay/conform/conform.ts';

const BEGIN = { seq: 's', step: 0, op: 'begin', setup: 'mock' };
const OPEN = { seq: 's', step: 1, op: 'open', args: { path: '/dev/iommu' }, as: ['ictx'], ret: 0, errno: null };
const ALLOC = { seq: 's', step: 2, op: 'IOMMU_IOAS_ALLOC', args: { fd: 'ictx' }, as: ['ioas'], ret: 0, errno: null };

const lines = (...records: object[]): string => records.map((record) => JSON.stringify(record)).join('\n');

describe('conform', () => {
  it('counts a step as matched only when return value, errno and every output field are equal', () => {
    const wrongId = { ...ALLOC, out: { ioas: 7 } };
    const missing = { ...ALLOC, step: 3, as: null };
    const wrongErrno = { ...ALLOC, step: 4, args: { fd: 'ictx', flags: '1' }, ret: -1, errno: 'EINVAL' };
    const right = { ...ALLOC, step: 5, out: { ioas: 3 } };
    const result = conformText('t.jsonl', lines(BEGIN, OPEN, wrongId, missing, wrongErrno, right), 'v7.3');
    expect(result).toMatchObject({ sequences: 1, steps: 5, matched: 2 });
    expect(result.mismatches).toEqual([
      { seq: 's', step: 2, op: 'IOMMU_IOAS_ALLOC', field: 'out.ioas', expected: 7, actual: 1 },
      { seq: 's', step: 3, op: 'IOMMU_IOAS_ALLOC', field: 'out.ioas', expected: undefined, actual: 2 },
      { seq: 's', step: 4, op: 'IOMMU_IOAS_ALLOC', field: 'errno', expected: 'EINVAL', actual: 'EOPNOTSUPP' },
    ]);
  });

  it('takes the kernel from the folder, from its kernel file, or from the option, and asks for it otherwise', () => {
    const root = mkdtempSync(join(tmpdir(), 'conform-'));
    const text = lines(BEGIN, OPEN, { ...ALLOC, out: { ioas: 1 } });
    const place = (folder: string, name = 't.jsonl'): string => {
      mkdirSync(join(root, folder), { recursive: true });
      const file = join(root, folder, name);
      writeFileSync(file, name.endsWith('.gz') ? gzipSync(text) : text);
      return file;
    };
    writeFileSync(join(root, 'kernel'), 'ignored: it belongs to another folder\n');
    expect(conformFiles([place('conformance')]).files[0]?.kernel).toBe('v6.12');
    expect(conformFiles([place('conformance-v7', 't.jsonl.gz')]).files[0]?.kernel).toBe('v7.3');
    const marked = place('marked');
    writeFileSync(join(root, 'marked', 'kernel'), 'v6.12\n');
    expect(conformFiles([marked]).files[0]?.kernel).toBe('v6.12');
    expect(conformFiles([place('other')], { kernel: 'v7.3' }).totals.matched).toBe(2);
    expect(() => conformFiles([place('other')])).toThrow(ConfigError);
    expect(() => conformFiles([place('other')], { kernel: 'v9.9' })).toThrow(ConfigError);
  });

  it('refuses what is no transcript, naming file and line', () => {
    const refuse = (text: string, reason: RegExp): void => {
      const run = () => conformText('t.jsonl', text, 'v7.3');
      expect(run).toThrow(InputError);
      expect(run).toThrow(reason);
    };
    refuse(`${lines(BEGIN)}\n{"seq":`, /row 2.*not JSON/);
    refuse(lines(BEGIN, { seq: 's', step: 1 }), /row 2/);
    refuse(lines(OPEN), /outside that sequence/);
    refuse('', /no sequence/);
    refuse(lines({ ...BEGIN, setup: 'toaster' }), /unknown setup toaster/);
    refuse(
      lines(BEGIN, { ...OPEN, args: { path: '/dev/iommu' } }, { ...ALLOC, args: { fd: 'a b' } }),
      /cannot evaluate/,
    );
  });

  it('counts an operation the machine does not have as a mismatch and goes on', () => {
    const unknown = { ...OPEN, step: 2, op: 'frobnicate' };
    const result = conformText('t.jsonl', lines(BEGIN, OPEN, unknown, { ...ALLOC, step: 3, out: { ioas: 1 } }), 'v7.3');
    expect(result).toMatchObject({ steps: 3, matched: 2 });
    expect(result.mismatches).toMatchObject([{ step: 2, op: 'frobnicate', field: 'op' }]);
  });

  it('gives every sequence a fresh process and keeps symbols of closed files', () => {
    const text = lines(
      BEGIN,
      OPEN,
      { ...ALLOC, out: { ioas: 1 } },
      { seq: 's', step: 3, op: 'close', args: { fd: 'ictx' }, ret: 0, errno: null },
      { ...ALLOC, step: 4, ret: -1, errno: 'EBADF' },
      { ...BEGIN, seq: 't' },
      { ...ALLOC, seq: 't', step: 1, ret: -1, errno: 'ENOTTY' },
    );
    expect(conformText('t.jsonl', text, 'v7.3').mismatches).toEqual([]);
  });
});
