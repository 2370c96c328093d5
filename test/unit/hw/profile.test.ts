import { describe, expect, test } from 'vitest';
import { resolveHardwareProfile } from '../../../src/hw/profile.ts';
import { HARDWARE_PROFILE_NAMES, hardwareProfile } from '../../../src/hw/profiles/registry.ts';
import { VTD_BDW } from '../../../src/hw/profiles/vtd-bdw.ts';

describe.each(HARDWARE_PROFILE_NAMES)('%s', (name) => {
  test('resolves to frozen integers', () => {
    const { config } = hardwareProfile(name);
    for (const part of [config.translation, config.queue]) {
      for (const value of Object.values(part)) {
        if (typeof value === 'number') expect(Number.isInteger(value)).toBe(true);
      }
      expect(Object.isFrozen(part)).toBe(true);
    }
    expect(Number.isInteger(config.link.memoryReadTicks)).toBe(true);
  });

  test('gives every number a source; assumptions say so', () => {
    for (const { path, basis, source } of hardwareProfile(name).numbers) {
      expect(source, path).not.toBe('');
      if (basis === 'A') expect(source, path).toMatch(/^ASSUMPTION: /);
      else expect(source, path).not.toContain('ASSUMPTION');
    }
  });
});

test('an override changes the value, its basis and the digest', () => {
  const plain = hardwareProfile('vtd-bdw');
  const changed = hardwareProfile('vtd-bdw', ['iotlb.entries=64']);
  expect(changed.config.iotlb.entries).toBe(64);
  expect(changed.numbers.find((number) => number.path === 'iotlb.entries')).toMatchObject({ value: 64, basis: 'A' });
  expect(changed.sha256).not.toBe(plain.sha256);
  expect(hardwareProfile('vtd-bdw').sha256).toBe(plain.sha256);
});

test.each([
  ['iotlb.entrys=64', /iotlb\.entrys: unknown key, did you mean 'entries'/],
  ['iotlb.entries=-1', /iotlb\.entries/],
  ['iotlb.entries=0', /iotlb\.entries: the IOTLB has at least one entry/],
  ['iotlb.ways=7', /iotlb\.ways: 113 entries are no multiple of 7 ways/],
  ['iotlb.entries.vale=64', /iotlb\.entries/],
  ['iotlb.policy=mru', /iotlb\.policy/],
  ['device.readWindow=[1,2]', /device\.readWindow: as many values as requestBytes/],
  ['link.maxPayloadBytes=300', /link\.maxPayloadBytes\.value: a power of two/],
])('%s is refused with its path', (override, message) => {
  expect(() => hardwareProfile('vtd-bdw', [override])).toThrow(message);
});

test('an unknown profile is refused with the nearest name', () => {
  expect(() => hardwareProfile('vtd-bwd')).toThrow(/vtd-bdw/);
});

test('legacy64 is vtd-bdw with 64 entries', () => {
  const { iotlb, ...rest } = hardwareProfile('legacy64').config;
  const { iotlb: reference, ...expected } = hardwareProfile('vtd-bdw').config;
  expect({ ...rest, name: '' }).toEqual({ ...expected, name: '' });
  expect([iotlb.entries, reference.entries]).toEqual([64, 113]);
});

test('a user profile is plain JSON', () => {
  const json = JSON.parse(JSON.stringify({ ...VTD_BDW, name: 'mine' }));
  expect(resolveHardwareProfile(json).config.translation).toEqual(hardwareProfile('vtd-bdw').config.translation);
});
