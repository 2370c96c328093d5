/** IOMMU_GET_HW_INFO (iommufd_get_hw_info, Linux drivers/iommu/iommufd/device.c). */
import { Errno } from '../../errno.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { IommufdDevice } from './device.ts';

/** IOMMU_HW_INFO_FLAG_INPUT_TYPE (6.17): the caller asks for a data type. */
const INPUT_TYPE = 1;
/** enum iommu_hw_info_type, the type of a driver that reports nothing. */
const TYPE_NONE = 0;
/** enum iommufd_hw_capabilities. */
const HwCapability = { dirtyTracking: 1, pasidExecute: 2, pasidPrivileged: 4, atsNotSupported: 8 } as const;

/** The command and its reply. */
export interface GetHwInfoCommand {
  readonly flags: number;
  readonly reserved: number;
  readonly devId: number;
  /** [bytes] Length of the user's buffer. */
  readonly dataLength: number;
  readonly inDataType: number;
  /** Copies bytes to the user's buffer at an offset; 0 or -EFAULT. */
  readonly copyOut: (offsetBytes: number, bytes: Uint8Array) => number;
  /** Written on success. */
  outDataLength: number;
  outDataType: number;
  outCapabilities: bigint;
  outMaxPasidLog2: number;
}

function fillReply(command: GetHwInfoCommand, device: IommufdDevice, type: number, driverBytes: number): void {
  const hardware = device.device;
  const { profile } = device.context;
  command.outDataLength = driverBytes;
  command.outDataType = type;
  let capabilities = hardware.driver.capable(hardware, 'dirty-tracking') ? HwCapability.dirtyTracking : 0;
  if (profile.pasidAttach && hardware.maxPasids > 0) {
    command.outMaxPasidLog2 = 31 - Math.clz32(hardware.maxPasids);
    if (hardware.pasidExecute === true) capabilities |= HwCapability.pasidExecute;
    if (hardware.pasidPrivileged === true) capabilities |= HwCapability.pasidPrivileged;
  } else {
    command.outMaxPasidLog2 = 0;
  }
  if (profile.dmabufAndNoIommu && hardware.supportsAts !== true) capabilities |= HwCapability.atsNotSupported;
  command.outCapabilities = BigInt(capabilities);
}

function query(command: GetHwInfoCommand, device: IommufdDevice): number {
  const { profile } = device.context;
  if (device.isNoIommu) return -Errno.EOPNOTSUPP;
  const asksType = (command.flags & INPUT_TYPE) !== 0;
  const hardware = device.device;
  const info = hardware.driver.hwInfo(hardware, asksType ? command.inDataType : TYPE_NONE);
  if (typeof info === 'number') return info;
  if (info.type === TYPE_NONE && info.data.length > 0)
    return profile.dmabufAndNoIommu ? -Errno.EOPNOTSUPP : -Errno.ENODEV;
  const copied = Math.min(command.dataLength, info.data.length);
  if (copied > 0) {
    const error = command.copyOut(0, info.data.subarray(0, copied));
    if (error !== 0) return error;
  }
  // User space may pass a longer buffer: the rest reads as zero.
  if (command.dataLength > info.data.length) {
    const error = command.copyOut(info.data.length, new Uint8Array(command.dataLength - info.data.length));
    if (error !== 0) return error;
  }
  fillReply(command, device, info.type, info.data.length);
  return 0;
}

/**
 * Errors in check order: EOPNOTSUPP flags or reserved, ENOENT device, EOPNOTSUPP device without IOMMU, driver errno
 * (EOPNOTSUPP for an unknown type), EFAULT.
 */
export function* getHwInfo(context: IommufdContext, command: GetHwInfoCommand): KernelTask<number> {
  yield 0;
  const known = context.profile.hwQueue ? INPUT_TYPE : 0;
  if ((command.flags & ~known) !== 0 || command.reserved !== 0) return -Errno.EOPNOTSUPP;
  const device = context.objects.acquire(command.devId, IommufdDevice);
  if (device === undefined) return -Errno.ENOENT;
  const error = query(command, device);
  context.objects.release(device);
  return error;
}
