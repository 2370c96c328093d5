/**
 * ioctl(2) on a device file: what every driver shares, then vfio-pci's own calls (vfio_device_fops_unl_ioctl of Linux
 * drivers/vfio/vfio_main.c, vfio_pci_core_ioctl). Structures lie in the caller's memory.
 */
import { Errno } from '../../errno.ts';
import { decodeStruct, u32, u64 } from '../iommufd/user-struct.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import { attachPt, bindIommufd, detachPt } from './cdev.ts';
import { checkAccess, type VfioDeviceFile } from './device-file.ts';
import { getDeviceInfo, getIrqInfo, getRegionInfo } from './device-info.ts';
import { FEATURE_HEADER_BYTES } from './feature-command.ts';
import { deviceFeature } from './features.ts';
import { getHotResetInfo, hotReset } from './hot-reset.ts';
import type { VfioProfile } from './profile.ts';
import { setIrqs } from './set-irqs.ts';

/** _IO(';', n) of include/uapi/linux/vfio.h. 112 to 117 mean other things on a container. */
export const DeviceRequest = {
  getInfo: 0x3b6b,
  getRegionInfo: 0x3b6c,
  getIrqInfo: 0x3b6d,
  setIrqs: 0x3b6e,
  reset: 0x3b6f,
  getPciHotResetInfo: 0x3b70,
  pciHotReset: 0x3b71,
  feature: 0x3b75,
  bindIommufd: 0x3b76,
  attachIommufdPt: 0x3b77,
  detachIommufdPt: 0x3b78,
} as const;

const BIND = { argsz: u32(0), flags: u32(4), iommufd: u32(8) };
const BIND_TOKEN = { pointer: u64(16) };
const PT = { argsz: u32(0), flags: u32(4), ptId: u32(8) };
const HEADER = { argsz: u32(0), flags: u32(4), index: u32(8) };
/** [bytes] */
const BIND_BYTES = 16;
const BIND_KNOWN_BYTES = 24;
const OUT_DEVICE_ID_OFFSET = 12n;
const TOKEN_BYTES = 16;
const ATTACH_BYTES = 12;
const ATTACH_PASID_BYTES = 16;
const PT_ID_OFFSET = 8n;
const DETACH_BYTES = 8;
const DETACH_PASID_BYTES = 12;
const INFO_BYTES = 16;
const REGION_BYTES = 32;
const IRQ_BYTES = 16;
/** [bytes] Largest user structure looked at past its known end. */
const MAX_STRUCT_BYTES = 4096;

/** What a call is made on. */
interface DeviceCall {
  readonly kernel: Kernel;
  readonly profile: VfioProfile;
  readonly file: VfioDeviceFile;
  readonly process: Process;
  readonly address: bigint;
}

/**
 * The call: 0 or more, or errno. EINVAL for everything but BIND before access is granted; ENOTTY for numbers nobody knows,
 * among them ATTACH and DETACH on a file that a group made.
 */
export function* deviceIoctl(
  kernel: Kernel,
  profile: VfioProfile,
  file: VfioDeviceFile,
  process: Process,
  request: number,
  address: bigint,
): KernelTask<number> {
  yield kernel.costs.ioctl;
  const call: DeviceCall = { kernel, profile, file, process, address };
  if (request === DeviceRequest.bindIommufd) return yield* bind(call);
  const refused = checkAccess(file);
  if (refused !== 0) return refused;
  if (file.group === undefined) {
    if (request === DeviceRequest.attachIommufdPt) return yield* attach(call);
    if (request === DeviceRequest.detachIommufdPt) return yield* detach(call);
  }
  if (request === DeviceRequest.feature) return feature(call);
  return yield* driverIoctl(call, request);
}

/** vfio_pci_core_ioctl and its like in other drivers: EINVAL without one, ENOTTY unknown. */
function* driverIoctl({ file, process, address }: DeviceCall, request: number): KernelTask<number> {
  const { device } = file;
  const { information } = device.driver;
  if (information === undefined) return -Errno.EINVAL;
  switch (request) {
    case DeviceRequest.getInfo:
      return reply(process, address, INFO_BYTES, ({ argsz }) => {
        const info = getDeviceInfo(information, argsz);
        return typeof info === 'number' ? info : [argsz, info.flags, info.regionCount, info.irqCount];
      });
    case DeviceRequest.getRegionInfo:
      return reply(process, address, REGION_BYTES, ({ argsz, index }) => {
        const region = getRegionInfo(information, argsz, index);
        if (typeof region === 'number') return region;
        const { flags, sizeBytes, offsetBytes } = region;
        return [argsz, flags, index, 0, ...halves(sizeBytes), ...halves(offsetBytes)];
      });
    case DeviceRequest.getIrqInfo:
      return reply(process, address, IRQ_BYTES, ({ argsz, index }) => {
        const irq = getIrqInfo(information, argsz, index);
        return typeof irq === 'number' ? irq : [argsz, irq.flags, index, irq.count];
      });
    case DeviceRequest.setIrqs:
      return setIrqs(information, process, address);
    case DeviceRequest.reset:
      return information.resettable ? 0 : -Errno.EINVAL;
    case DeviceRequest.getPciHotResetInfo:
      return device.driver.resetScope === undefined ? -Errno.ENOTTY : yield* getHotResetInfo(device, process, address);
    case DeviceRequest.pciHotReset:
      return device.driver.resetScope === undefined ? -Errno.ENOTTY : yield* hotReset(device, process, address);
    default:
      return -Errno.ENOTTY;
  }
}

function halves(value: bigint): [number, number] {
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}

/** Reads a header, and writes the words of the answer over the structure: EFAULT, or what `answer` refuses with. */
function reply(
  process: Process,
  address: bigint,
  lengthBytes: number,
  answer: (header: { readonly argsz: number; readonly index: number }) => number[] | number,
): number {
  const bytes = process.memory.read(address, lengthBytes);
  if (bytes === undefined) return -Errno.EFAULT;
  const words = answer(decodeStruct(HEADER, bytes));
  if (typeof words === 'number') return words;
  const out = new Uint8Array(Uint32Array.from(words).buffer);
  return process.memory.write(address, out) ? 0 : -Errno.EFAULT;
}

function writeWord(process: Process, address: bigint, value: number): number {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return process.memory.write(address, bytes) ? 0 : -Errno.EFAULT;
}

function* bind({ profile, file, process, address }: DeviceCall): KernelTask<number> {
  const bytes = process.memory.read(address, BIND_BYTES);
  if (bytes === undefined) return -Errno.EFAULT;
  const { argsz, flags, iommufd } = decodeStruct(BIND, bytes);
  const tail =
    profile.token && argsz > BIND_KNOWN_BYTES && argsz <= MAX_STRUCT_BYTES
      ? process.memory.read(address + BigInt(BIND_KNOWN_BYTES), argsz - BIND_KNOWN_BYTES)
      : undefined;
  const command = {
    argsz,
    flags,
    iommufd: iommufd | 0,
    canUseRawIo: process.canUseRawIo,
    token: readToken(process, address, argsz),
    hasUnknownTail: tail?.some((byte) => byte !== 0) === true,
    copyOut: (id: number) => writeWord(process, address + OUT_DEVICE_ID_OFFSET, id),
  };
  return yield* bindIommufd(file, profile, command, process.files);
}

/** The token behind its pointer; a structure without the field reads as a null pointer. */
function readToken(process: Process, address: bigint, argsz: number): Uint8Array | undefined {
  if (argsz < BIND_KNOWN_BYTES) return undefined;
  const bytes = process.memory.read(address, BIND_KNOWN_BYTES);
  if (bytes === undefined) return undefined;
  const { pointer } = decodeStruct(BIND_TOKEN, bytes);
  return pointer === 0n ? undefined : process.memory.read(pointer, TOKEN_BYTES);
}

/** The PASID word behind the known part; 0 where the structure ends before it. */
function readPasid(call: DeviceCall, argsz: number, endBytes: number): number | undefined {
  if (!call.profile.pasid || argsz < endBytes) return 0;
  const bytes = call.process.memory.read(call.address + BigInt(endBytes - 4), 4);
  return bytes === undefined ? undefined : new DataView(bytes.buffer).getUint32(0, true);
}

function* attach(call: DeviceCall): KernelTask<number> {
  const { profile, file, process, address } = call;
  const bytes = process.memory.read(address, ATTACH_BYTES);
  if (bytes === undefined) return -Errno.EFAULT;
  const { argsz, flags, ptId } = decodeStruct(PT, bytes);
  const pasid = readPasid(call, argsz, ATTACH_PASID_BYTES);
  if (pasid === undefined) return -Errno.EFAULT;
  const copyOut = (id: number): number => writeWord(process, address + PT_ID_OFFSET, id);
  return yield* attachPt(file, profile, { argsz, flags, ptId, pasid, copyOut });
}

function* detach(call: DeviceCall): KernelTask<number> {
  const { profile, file, process, address } = call;
  const bytes = process.memory.read(address, DETACH_BYTES);
  if (bytes === undefined) return -Errno.EFAULT;
  const { argsz, flags } = decodeStruct({ argsz: PT.argsz, flags: PT.flags }, bytes);
  const pasid = readPasid(call, argsz, DETACH_PASID_BYTES);
  if (pasid === undefined) return -Errno.EFAULT;
  return yield* detachPt(file, profile, { argsz, flags, pasid });
}

function feature({ file, process, address }: DeviceCall): number {
  const bytes = process.memory.read(address, FEATURE_HEADER_BYTES);
  if (bytes === undefined) return -Errno.EFAULT;
  const { argsz, flags } = decodeStruct({ argsz: PT.argsz, flags: PT.flags }, bytes);
  const dataAddress = address + BigInt(FEATURE_HEADER_BYTES);
  const command = {
    argsz,
    flags,
    readData: (lengthBytes: number) => process.memory.read(dataAddress, lengthBytes),
    writeData: (data: Uint8Array) => (process.memory.write(dataAddress, data) ? 0 : -Errno.EFAULT),
  };
  return deviceFeature(file.device, command, process);
}
