/**
 * Dirty logging by the device itself: VFIO_DEVICE_FEATURE_DMA_LOGGING_* (Linux drivers/vfio/vfio_main.c). Whether logging
 * is on is the driver's business; it has nothing to do with the dirty tracking of type1 or iommufd.
 */
import { U64_MAX } from '../../address.ts';
import { Errno } from '../../errno.ts';
import type { VfioDevice } from './device.ts';
import { checkFeature, type DeviceFeatureCommand, type FeatureCaller, FeatureFlag } from './feature-command.ts';

/** A range of IOVAs to log, last byte included [bytes]. */
export interface LoggedRange {
  readonly start: bigint;
  readonly last: bigint;
}

/**
 * What a driver that can log offers (struct vfio_log_ops).
 *
 * APPROX: no time passes in these calls; what they cost is the device's firmware.
 */
export interface DmaLogging {
  /** The page size in use [bytes], or a negative errno. */
  start(device: VfioDevice, ranges: readonly LoggedRange[], pageSize: bigint): bigint;
  stop(device: VfioDevice): number;
  /** Reports and clears: calls `mark` for every dirty range. */
  report(
    device: VfioDevice,
    iova: bigint,
    lengthBytes: bigint,
    mark: (iova: bigint, lengthBytes: bigint) => void,
  ): number;
}

/** [bytes] Structures; ranges that fit into a page (LOG_MAX_RANGES). */
const CONTROL_BYTES = 24;
const REPORT_BYTES = 32;
const RANGE_BYTES = 16;
const MAX_RANGES = 4096 / RANGE_BYTES;
const MIN_PAGE = 4096n;

/**
 * DMA_LOGGING_START. Errors in check order: ENOTTY; common checks; EFAULT; EINVAL no range; E2BIG; by range: EFAULT,
 * EINVAL alignment, EOVERFLOW, EINVAL overlap; driver errno; EFAULT (logging is stopped again).
 */
export function startLogging(device: VfioDevice, command: DeviceFeatureCommand, caller: FeatureCaller): number {
  const { logging } = device.driver;
  if (logging === undefined) return -Errno.ENOTTY;
  const checked = checkFeature(command, FeatureFlag.set, CONTROL_BYTES);
  if (checked !== 1) return checked;
  const control = command.readData(CONTROL_BYTES);
  if (control === undefined) return -Errno.EFAULT;
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  const count = view.getUint32(8, true);
  if (count === 0) return -Errno.EINVAL;
  if (count > MAX_RANGES) return -Errno.E2BIG;
  const pageSize = view.getBigUint64(0, true);
  const ranges = readRanges(caller, view.getBigUint64(16, true), count, pageSize);
  if (typeof ranges === 'number') return ranges;
  const used = logging.start(device, ranges, pageSize);
  if (used < 0n) return Number(used);
  const reply = control.slice();
  new DataView(reply.buffer).setBigUint64(0, used, true);
  const written = command.writeData(reply);
  if (written !== 0) logging.stop(device);
  return written;
}

function readRanges(
  caller: FeatureCaller,
  address: bigint,
  count: number,
  pageSize: bigint,
): readonly LoggedRange[] | number {
  const ranges: LoggedRange[] = [];
  for (let index = 0; index < count; index++) {
    const bytes = caller.memory.read(address + BigInt(index * RANGE_BYTES), RANGE_BYTES);
    if (bytes === undefined) return -Errno.EFAULT;
    const view = new DataView(bytes.buffer);
    const start = view.getBigUint64(0, true);
    const lengthBytes = view.getBigUint64(8, true);
    // IS_ALIGNED masks with page_size - 1: all ones for 0.
    const mask = BigInt.asUintN(64, pageSize - 1n);
    if (((start | lengthBytes) & mask) !== 0n) return -Errno.EINVAL;
    if (start + lengthBytes > U64_MAX) return -Errno.EOVERFLOW;
    const last = start + lengthBytes - 1n;
    if (ranges.some((range) => start <= range.last && last >= range.start)) return -Errno.EINVAL;
    ranges.push({ start, last });
  }
  return ranges;
}

/** DMA_LOGGING_STOP: ENOTTY, common checks, driver errno. */
export function stopLogging(device: VfioDevice, command: DeviceFeatureCommand): number {
  const { logging } = device.driver;
  if (logging === undefined) return -Errno.ENOTTY;
  const checked = checkFeature(command, FeatureFlag.set, 0);
  return checked === 1 ? logging.stop(device) : checked;
}

/**
 * DMA_LOGGING_REPORT: sets bits in the user's bitmap, and never clears any. Errors in check order: ENOTTY; common checks;
 * EFAULT; EINVAL page size; EOVERFLOW; driver errno; EFAULT.
 */
export function reportLogging(device: VfioDevice, command: DeviceFeatureCommand, caller: FeatureCaller): number {
  const { logging } = device.driver;
  if (logging === undefined) return -Errno.ENOTTY;
  const checked = checkFeature(command, FeatureFlag.get, REPORT_BYTES);
  if (checked !== 1) return checked;
  const report = command.readData(REPORT_BYTES);
  if (report === undefined) return -Errno.EFAULT;
  const view = new DataView(report.buffer, report.byteOffset, report.byteLength);
  const iova = view.getBigUint64(0, true);
  const lengthBytes = view.getBigUint64(8, true);
  const pageSize = view.getBigUint64(16, true);
  const bitmap = view.getBigUint64(24, true);
  if (pageSize < MIN_PAGE || (pageSize & (pageSize - 1n)) !== 0n) return -Errno.EINVAL;
  if (iova + lengthBytes > U64_MAX) return -Errno.EOVERFLOW;
  let fault = 0;
  const error = logging.report(device, iova, lengthBytes, (start, dirtyBytes) => {
    const last = (start + dirtyBytes - 1n - iova) / pageSize;
    for (let bit = (start - iova) / pageSize; bit <= last && fault === 0; bit++)
      fault = setUserBit(caller, bitmap, bit);
  });
  return error !== 0 ? error : fault;
}

function setUserBit(caller: FeatureCaller, bitmap: bigint, bit: bigint): number {
  const address = bitmap + bit / 8n;
  const byte = caller.memory.read(address, 1)?.[0];
  if (byte === undefined) return -Errno.EFAULT;
  return caller.memory.write(address, Uint8Array.of(byte | (1 << Number(bit % 8n)))) ? 0 : -Errno.EFAULT;
}
