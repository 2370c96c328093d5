/**
 * The order in which a sysfs directory lists its names: by hash (kernfs_name_hash, Linux fs/kernfs/dir.c). Recorded
 * group members come in this order.
 */

/** GOLDEN_RATIO_64 of include/linux/hash.h. */
const GOLDEN_RATIO = 0x61c8_8646_80b5_83ebn;
const INT_MAX = 0x7fff_ffff;

/** Hash of one name in a directory without namespace. */
export function kernfsNameHash(name: string): number {
  let hash = 0n;
  for (let at = 0; at < name.length; at++) {
    const byte = BigInt(name.charCodeAt(at));
    hash = BigInt.asUintN(64, (hash + (byte << 4n) + (byte >> 4n)) * 11n);
  }
  const folded = Number((BigInt.asUintN(64, hash * GOLDEN_RATIO) >> 32n) & 0x7fff_ffffn);
  if (folded < 2) return folded + 2;
  return folded >= INT_MAX ? INT_MAX - 1 : folded;
}

/** `items` in the order in which a directory with their names lists them. */
export function inKernfsOrder<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  return [...items].sort((a, b) => kernfsNameHash(nameOf(a)) - kernfsNameHash(nameOf(b)));
}
