import { expect, test } from 'vitest';
import { canonicalJson, canonicalSha256 } from '../../src/canonical-json.ts';

test('the order of keys does not matter', () => {
  expect(canonicalJson({ b: [{ y: 1, x: 2 }], a: 'z' })).toBe('{"a":"z","b":[{"x":2,"y":1}]}');
  expect(canonicalSha256({ b: 1, a: 2 })).toBe(canonicalSha256({ a: 2, b: 1 }));
});

test('the digest is SHA-256 of the text', () => {
  // printf '{}' | sha256sum
  expect(canonicalSha256({})).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
});
