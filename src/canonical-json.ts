/**
 * Canonical JSON: object keys in code-unit order, no white space, as in RFC 8785 (numbers and strings are already
 * canonical in ECMAScript). Two equal values have equal digests on every machine.
 */
import { createHash } from 'node:crypto';

/** Canonical JSON text; keys whose value is undefined are left out, as `JSON.stringify` does. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (isPlainObject(inner) ? sortKeys(inner) : inner));
}

/** Hex SHA-256 of {@link canonicalJson}. */
export function canonicalSha256(value: unknown): string {
  return sha256Hex(canonicalJson(value));
}

/** Hex SHA-256 of a text's UTF-8 bytes or of bytes. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sortKeys(object: Record<string, unknown>): Record<string, unknown> {
  const sorted: [string, unknown][] = Object.keys(object)
    .sort()
    .map((key) => [key, object[key]]);
  // Integer-like keys go to the front in numeric order, whatever we do: an order too, and the same for equal values.
  return Object.fromEntries(sorted);
}
