/** The command of VFIO_DEVICE_FEATURE and the checks all features share (vfio_check_feature of Linux include/linux/vfio.h). */
import { Errno } from '../../errno.ts';
import type { Process } from '../kernel/process.ts';

/** Bits of the flags word. */
export const FeatureFlag = { indexMask: 0xffff, get: 1 << 16, set: 1 << 17, probe: 1 << 18 } as const;
/** [bytes] argsz and flags. */
export const FEATURE_HEADER_BYTES = 8;

/** VFIO_DEVICE_FEATURE_* of include/uapi/linux/vfio.h. */
export const DeviceFeature = {
  pciVfToken: 0,
  migration: 1,
  migDeviceState: 2,
  lowPowerEntry: 3,
  lowPowerEntryWithWakeup: 4,
  lowPowerExit: 5,
  dmaLoggingStart: 6,
  dmaLoggingStop: 7,
  dmaLoggingReport: 8,
  migDataSize: 9,
} as const;

/** Memory and descriptors of the process that calls. */
export type FeatureCaller = Pick<Process, 'memory' | 'files'>;

/** The command; the data follows its header in user memory. */
export interface DeviceFeatureCommand {
  /** [bytes] Header and data. */
  readonly argsz: number;
  readonly flags: number;
  /** Reads data bytes; undefined = EFAULT. */
  readonly readData: (lengthBytes: number) => Uint8Array | undefined;
  /** Writes data bytes back; 0 or -EFAULT. */
  readonly writeData: (bytes: Uint8Array) => number;
}

/**
 * 1 = go on, else the result: EINVAL direction not supported; 0 for a probe; EINVAL no direction, no room for the data.
 */
export function checkFeature(command: DeviceFeatureCommand, supported: number, minDataBytes: number): number {
  const { get, set, probe } = FeatureFlag;
  if ((command.flags & (get | set) & ~supported) !== 0) return -Errno.EINVAL;
  if ((command.flags & probe) !== 0) return 0;
  if ((command.flags & (get | set)) === 0) return -Errno.EINVAL;
  return command.argsz - FEATURE_HEADER_BYTES < minDataBytes ? -Errno.EINVAL : 1;
}
