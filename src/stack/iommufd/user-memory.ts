/** Helpers on user memory that ioctl handlers share: arrays of unknown readability and bitmaps. */
import { PAGE_SIZE } from '../../address.ts';
import type { UserData } from '../iommu/ops.ts';
import type { AddressSpace } from '../kernel/address-space.ts';

/** As many of `lengthBytes` bytes as are readable from `address` on; undefined when none is. */
export function readReadable(memory: AddressSpace, address: bigint, lengthBytes: number): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let done = 0;
  while (done < lengthBytes) {
    const at = address + BigInt(done);
    const part = memory.read(at, Math.min(lengthBytes - done, PAGE_SIZE - Number(at & 4095n)));
    if (part === undefined) break;
    parts.push(part);
    done += part.length;
  }
  if (done === 0) return undefined;
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * Driver data of an allocation. No driver's structure is larger than a page, so no more is read; the declared length
 * is kept.
 */
export function readUserData(memory: AddressSpace, type: number, lengthBytes: number, address: bigint): UserData {
  const bytes = lengthBytes > 0 ? memory.read(address, Math.min(lengthBytes, PAGE_SIZE)) : undefined;
  return { type, lengthBytes, bytes };
}

/** ORs bits [first, last] into the bitmap at `address`; stops silently where it cannot be written. */
export function setUserBits(memory: AddressSpace, address: bigint, first: bigint, last: bigint): void {
  for (let byte = first >> 3n; byte <= last >> 3n; byte++) {
    const low = byte === first >> 3n ? Number(first & 7n) : 0;
    const high = byte === last >> 3n ? Number(last & 7n) : 7;
    const old = memory.read(address + byte, 1);
    if (old === undefined) return;
    const mask = (0xff << low) & (0xff >> (7 - high));
    if (!memory.write(address + byte, Uint8Array.of((old[0] as number) | mask))) return;
  }
}
