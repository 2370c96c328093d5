import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../../src/input-error.ts';
import { parseParams } from '../../../../src/replay/sweep/param.ts';
import { parseRange } from '../../../../src/replay/sweep/range.ts';

const values = (text: string): readonly string[] => parseRange(text, '--param x').values;

describe('a list', () => {
  test.each([
    ['32,64,128', ['32', '64', '128']],
    ['lru, fifo', ['lru', 'fifo']],
    ['true,false', ['true', 'false']],
    ['[16,16],[32,8]', ['[16,16]', '[32,8]']],
    ['64.0,0.50,1e3', ['64', '0.5', '1000']],
    ['64,64.0', ['64']],
    ['19ed008c40780c66', ['19ed008c40780c66']],
    ['12345678901234567890', ['12345678901234567890']],
  ])('%s', (text, expected) => {
    expect(parseRange(text, 'test')).toEqual({ spacing: 'list', values: expected });
  });
});

describe('a range', () => {
  test.each([
    ['32..1024:x2', ['32', '64', '128', '256', '512', '1024']],
    ['32..1000:x2', ['32', '64', '128', '256', '512']],
    ['1..10:x1.5', ['1', '2', '3', '5', '8']],
    ['0.1..0.9:x3', ['0.1', '0.3', '0.9']],
    ['0.1..0.3:+0.1', ['0.1', '0.2', '0.3']],
    ['1..2:+0.25', ['1', '1.25', '1.5', '1.75', '2']],
    ['0..8:+4', ['0', '4', '8']],
    ['-2..2:+2', ['-2', '0', '2']],
    ['-0.5..0.5:+0.5', ['-0.5', '0', '0.5']],
    ['7..7:x2', ['7']],
  ])('%s', (text, expected) => {
    expect(values(text)).toEqual(expected);
  });

  test('arithmetic ranges are exact in hundredths, whatever doubles make of them', () => {
    const cents = fc.integer({ min: 0, max: 3000 });
    fc.assert(
      fc.property(cents, fc.integer({ min: 1, max: 400 }), fc.integer({ min: 0, max: 50 }), (from, step, steps) => {
        const text = (hundredths: number): string => (hundredths / 100).toFixed(2);
        const found = values(`${text(from)}..${text(from + steps * step)}:+${text(step)}`);
        expect(found.map(Number)).toEqual(
          Array.from({ length: steps + 1 }, (_, index) => Number(text(from + index * step))),
        );
      }),
    );
  });
});

test.each([
  ['', /empty value/],
  ['1,,2', /empty value/],
  ['[1,2', /brackets/],
  ['1]', /brackets/],
  ['1..8', /does not say its step/],
  ['1..8:4', /does not say its step/],
  ['1..8:x1', /factor .* above 1/],
  ['1..8:x0.5', /factor .* above 1/],
  ['0..8:x2', /cannot grow by a factor from 0/],
  ['1..8:+0', /step .* above 0/],
  ['8..1:x2', /goes down/],
  ['a..8:x2', /'a' .* not a number/],
  ['1..8:xx', /'x' .* not a number/],
  ['1,2..8:x2', /mixes a list with a range/],
  ['0..100000:+1', /more than 4096 values/],
])('%s is refused with the reason', (text, reason) => {
  expect(() => parseRange(text, '--param iotlb.entries')).toThrow(ConfigError);
  expect(() => parseRange(text, '--param iotlb.entries')).toThrow(reason);
});

describe('--param', () => {
  test('belongs to the profile that --set would change, or to the scenario', () => {
    const texts = ['iotlb.entries.value=1', 'costsNs.qiSubmit=1', 'behaviours.unmapBatchRuns=1', 'version=6.12'];
    expect(parseParams([...texts, 'pace=closed', 'mode=lazy']).map(({ path, kind }) => [path, kind])).toEqual([
      ['iotlb.entries', 'hardware'],
      ['costsNs.qiSubmit', 'kernel'],
      ['behaviours.unmapBatchRuns', 'kernel'],
      ['version', 'kernel'],
      ['pace', 'scenario'],
      ['mode', 'scenario'],
    ]);
  });

  test.each([
    [['iotlb.entries'], /not of the form PATH=RANGE/],
    [['=1'], /not of the form/],
    [['hw=vtd-bdw'], /--hw takes several names/],
    [['pace=fast'], /none of recorded, closed, scale=N/],
    [['mode=loose'], /none of strict, lazy, passthrough/],
    [['iotlb.entries=1', 'iotlb.entries.value=2'], /given twice/],
  ])('%j is refused', (texts, reason) => {
    expect(() => parseParams(texts)).toThrow(reason);
  });
});
