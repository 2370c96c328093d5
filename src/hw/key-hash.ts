/** A 32-bit mix of two key words; a weak one (h * 31 + k) changes hit rates, not only speed. @hot */
export function keyHash(key0: number, key1: number): number {
  let hash = Math.imul(key0, 0x9e3779b1) ^ Math.imul(key1, 0x85ebca6b);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d);
}
