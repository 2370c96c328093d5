/**
 * Self-test operations that look inside: translations, pins, pretended caches, reserved ranges, dirty marks, and events
 * raised by hand (IOMMU_TEST_OP_* of Linux drivers/iommu/iommufd/selftest.c).
 */
import { PAGE_SIZE, type Pasid, U64_MAX } from '../../../../address.ts';
import { assert } from '../../../../assert.ts';
import { Errno } from '../../../../errno.ts';
import { IopfDevice } from '../../../iommu/iopf.ts';
import type { IommufdContext } from '../../../iommufd/context.ts';
import { IommufdDevice } from '../../../iommufd/device.ts';
import { HwptNested } from '../../../iommufd/hwpt-nested.ts';
import { HwptPaging } from '../../../iommufd/hwpt-paging.ts';
import { Ioas } from '../../../iommufd/ioas.ts';
import type { AddressSpace } from '../../../kernel/address-space.ts';
import type { KernelTask } from '../../../kernel/task.ts';
import { MOCK_DEVICE_CACHE_COUNT, MOCK_NESTED_IOTLB_COUNT } from '../constants.ts';
import { MockDevice } from '../mock-device.ts';
import { MockPagingDomain } from '../mock-domain.ts';
import { MockNestedDomain } from '../mock-nested.ts';

const PAGE = BigInt(PAGE_SIZE);

/** Owner of the ranges user space reserves by hand: they last as long as the IOAS. */
const RESERVED_BY_HAND = {};

/** IOMMU_TEST_OP_ADD_RESERVED: ENOENT, EINVAL empty range, EADDRINUSE. */
export function* addReserved(
  context: IommufdContext,
  ioasId: number,
  start: bigint,
  lengthBytes: bigint,
): KernelTask<number> {
  const ioas = context.objects.acquire(ioasId, Ioas);
  if (ioas === undefined) return -Errno.ENOENT;
  if (!ioas.iovaLock.tryAcquireExclusive()) yield ioas.iovaLock.exclusiveQueue;
  const last = start + lengthBytes - 1n;
  const valid = last >= start && last <= U64_MAX;
  const error = valid ? ioas.reserveIova(start, last, RESERVED_BY_HAND) : -Errno.EINVAL;
  ioas.iovaLock.releaseExclusive();
  context.objects.release(ioas);
  return error;
}

function mockDomainOf(context: IommufdContext, hwptId: number): MockPagingDomain | number {
  const hwpt = context.objects.peek(hwptId, HwptPaging);
  if (hwpt === undefined) return -Errno.ENOENT;
  return hwpt.domain instanceof MockPagingDomain ? hwpt.domain : -Errno.EINVAL;
}

/**
 * IOMMU_TEST_OP_MD_CHECK_MAP: every IOVA must translate to the page behind the user address. ENOENT no such page table,
 * EINVAL misaligned or another translation, EFAULT.
 */
export function checkMap(
  context: IommufdContext,
  memory: AddressSpace,
  hwptId: number,
  range: { readonly iova: bigint; readonly lengthBytes: bigint; readonly userAddress: bigint },
): number {
  const domain = mockDomainOf(context, hwptId);
  if (typeof domain === 'number') return domain;
  const { iova, lengthBytes, userAddress } = range;
  const mask = domain.minPageSize - 1n;
  if (((iova | lengthBytes | userAddress) & mask) !== 0n) return -Errno.EINVAL;
  for (let at = 0n; at < lengthBytes; at += domain.minPageSize) {
    const frame = memory.frameAt(userAddress + at, false);
    if (frame === undefined) return -Errno.EFAULT;
    const expected = BigInt(frame) * PAGE + ((userAddress + at) % PAGE);
    if (domain.iovaToPhys(iova + at) !== expected) return -Errno.EINVAL;
  }
  return 0;
}

/** IOMMU_TEST_OP_MD_CHECK_REFS: EIO unless every page has `pins` pins. EINVAL misaligned, EFAULT. */
export function checkRefs(memory: AddressSpace, userAddress: bigint, lengthBytes: bigint, pins: number): number {
  if (lengthBytes % PAGE !== 0n || userAddress % PAGE !== 0n || userAddress + lengthBytes > U64_MAX) {
    return -Errno.EINVAL;
  }
  for (let at = 0n; at < lengthBytes; at += PAGE) {
    const frame = memory.frameAt(userAddress + at, false);
    if (frame === undefined) return -Errno.EFAULT;
    if (memory.frames.pinCount(frame) !== pins) return -Errno.EIO;
  }
  return 0;
}

/** IOMMU_TEST_OP_MD_CHECK_IOTLB: ENOENT no nested page table, EINVAL index or value. */
export function checkIotlb(context: IommufdContext, hwptId: number, iotlbId: number, value: number): number {
  const hwpt = context.objects.peek(hwptId, HwptNested);
  if (hwpt === undefined) return -Errno.ENOENT;
  if (!(hwpt.domain instanceof MockNestedDomain)) return -Errno.EINVAL;
  const known = iotlbId < MOCK_NESTED_IOTLB_COUNT && hwpt.domain.iotlb[iotlbId] === value;
  return known ? 0 : -Errno.EINVAL;
}

function mockDeviceOf(context: IommufdContext, id: number): MockDevice | undefined {
  const device = context.objects.peek(id, IommufdDevice);
  if (device === undefined) return undefined;
  assert(device.device instanceof MockDevice, 'self-test operation on a real device');
  return device.device;
}

/** IOMMU_TEST_OP_DEV_CHECK_CACHE: ENOENT, EINVAL index or value. */
export function checkDeviceCache(context: IommufdContext, id: number, cacheId: number, value: number): number {
  const device = mockDeviceOf(context, id);
  if (device === undefined) return -Errno.ENOENT;
  return cacheId < MOCK_DEVICE_CACHE_COUNT && device.cache[cacheId] === value ? 0 : -Errno.EINVAL;
}

/** IOMMU_TEST_OP_TRIGGER_VEVENT: ENOENT unless the device is attached under a vIOMMU with a virtual id but 0. */
export function triggerVevent(context: IommufdContext, id: number): number {
  const device = mockDeviceOf(context, id);
  if (device?.viommu === undefined || device.virtualId === 0n) return -Errno.ENOENT;
  return device.viommu.reportEvent(device.virtualId);
}

/** IOMMU_TEST_OP_TRIGGER_IOPF. */
export interface TriggerIopfCommand {
  readonly deviceId: number;
  readonly pasid: Pasid;
  readonly groupId: number;
  readonly permission: number;
  readonly address: bigint;
}

/** Injects the last page request of a group. ENOENT no such device. */
export function triggerIopf(context: IommufdContext, command: TriggerIopfCommand): number {
  const device = context.objects.peek(command.deviceId, IommufdDevice);
  if (device === undefined) return -Errno.ENOENT;
  const { groupId, permission, address } = command;
  const pasid = command.pasid === 0 ? undefined : command.pasid;
  new IopfDevice(device.device, device.igroup.group).report({ pasid, groupId, last: true, permission, address });
  return 0;
}

/** IOMMU_TEST_OP_DIRTY. */
export interface MarkDirtyCommand {
  readonly hwptId: number;
  readonly iova: bigint;
  readonly lengthBytes: bigint;
  readonly pageSize: bigint;
  /** Bits of the range to mark, or undefined when the bitmap cannot be read. */
  readonly bitmap: Uint8Array | undefined;
  /** Written on success: marks made. */
  outCount: number;
}

/** ENOENT, EINVAL (sizes, tracking off), EFAULT. */
export function markDirty(context: IommufdContext, command: MarkDirtyCommand): number {
  const { iova, lengthBytes, pageSize, bitmap } = command;
  if (pageSize === 0n || lengthBytes === 0n || iova % pageSize !== 0n || lengthBytes % pageSize !== 0n) {
    return -Errno.EINVAL;
  }
  const domain = mockDomainOf(context, command.hwptId);
  if (typeof domain === 'number') return domain;
  if (!domain.tracksDirty) return -Errno.EINVAL;
  if (bitmap === undefined) return -Errno.EFAULT;
  command.outCount = 0;
  for (let bit = 0n; bit < lengthBytes / pageSize; bit++) {
    const byte = bitmap[Number(bit >> 3n)] ?? 0;
    if (((byte >> Number(bit & 7n)) & 1) === 0) continue;
    domain.markDirty(iova + bit * pageSize);
    command.outCount++;
  }
  return 0;
}
