/**
 * The VFIO_DEVICE_* operations: ioctls on device files, with the structures in the process's memory. Argument and output
 * names follow the recorded test program.
 */
import { Errno } from '../../errno.ts';
import type { FileTable } from '../../stack/kernel/file-table.ts';
import type { Process } from '../../stack/kernel/process.ts';
import { attachPt, bindIommufd, detachPt } from '../../stack/vfio/cdev.ts';
import { checkAccess, VfioDeviceFile } from '../../stack/vfio/device-file.ts';
import { getDeviceInfo, getIrqInfo, getRegionInfo } from '../../stack/vfio/device-info.ts';
import { deviceFeature } from '../../stack/vfio/features.ts';
import type { VfioProfile } from '../../stack/vfio/profile.ts';
import { hex, type Operation, type StepContext, type StepOutcome } from './machine.ts';

/** [bytes] Structures as the test program declares them. */
const BIND_BYTES = 24;
const ATTACH_BYTES = 16;
const DETACH_BYTES = 12;
const INFO_BYTES = 24;
const REGION_BYTES = 32;
const IRQ_BYTES = 16;
/** [bytes] What the kernel knows of BIND. */
const KNOWN_BIND_BYTES = 24;
const TOKEN_BYTES = 16;

type FileOperation = (step: StepContext, file: VfioDeviceFile) => StepOutcome;

/** An ioctl on a device file: EBADF without a file, ENOTTY on another one. */
function onFile(operation: FileOperation): Operation {
  return (step) => {
    const file = step.process.files.get(step.args.i32('fd'));
    if (file === undefined) return { rc: -Errno.EBADF };
    if (!(file instanceof VfioDeviceFile)) return { rc: -Errno.ENOTTY };
    return operation(step, file);
  };
}

/** An ioctl that needs access: EINVAL before BIND. */
function onBoundFile(operation: FileOperation): Operation {
  return onFile((step, file) => {
    const refused = checkAccess(file);
    return refused === 0 ? operation(step, file) : { rc: refused };
  });
}

/** The token behind its pointer; undefined when unreadable. A structure without the field reads as a null pointer. */
function readToken(process: Process, pointer: bigint): Uint8Array | undefined {
  return pointer === 0n ? undefined : process.memory.read(pointer, TOKEN_BYTES);
}

function bind(profile: VfioProfile): Operation {
  return onFile(({ machine, process, args }, file) => {
    const argsz = args.u32('size', BIND_BYTES);
    let devid = 0;
    const command = {
      argsz,
      flags: args.u32('flags'),
      iommufd: args.i32('iommufd'),
      token: readToken(process, argsz < KNOWN_BIND_BYTES ? 0n : args.u64('token')),
      hasUnknownTail: argsz > KNOWN_BIND_BYTES && args.u32('tail') !== 0,
      copyOut: (id: number) => {
        devid = id;
        return 0;
      },
    };
    const files: FileTable = process.files;
    const rc = machine.run(bindIommufd(file, profile, command, files));
    return rc === 0 ? { rc, out: { devid }, values: [devid] } : { rc };
  });
}

/** ATTACH and DETACH belong to device nodes; on a file made through a group vfio-pci does not know them. */
function onNode(operation: FileOperation): Operation {
  return onBoundFile((step, file) => (file.group === undefined ? operation(step, file) : { rc: -Errno.ENOTTY }));
}

function attach(profile: VfioProfile): Operation {
  return onNode(({ machine, args }, file) => {
    let pt = 0;
    const command = {
      argsz: args.u32('size', ATTACH_BYTES),
      flags: args.u32('flags'),
      ptId: args.u32('pt'),
      pasid: args.u32('pasid'),
      copyOut: (id: number) => {
        pt = id;
        return 0;
      },
    };
    const rc = machine.run(attachPt(file, profile, command));
    return rc === 0 ? { rc, out: { pt }, values: [pt] } : { rc };
  });
}

function detach(profile: VfioProfile): Operation {
  return onNode(({ machine, args }, file) => {
    const command = {
      argsz: args.u32('size', DETACH_BYTES),
      flags: args.u32('flags'),
      pasid: args.u32('pasid'),
    };
    return { rc: machine.run(detachPt(file, profile, command)) };
  });
}

const getInfo: Operation = onBoundFile(({ args }, { device }) => {
  const { information } = device.driver;
  if (information === undefined) return { rc: -Errno.EINVAL };
  const info = getDeviceInfo(information, args.u32('size', INFO_BYTES));
  if (typeof info === 'number') return { rc: info };
  return {
    rc: 0,
    out: { flags: hex(info.flags), num_regions: hex(info.regionCount), num_irqs: hex(info.irqCount) },
  };
});

const regionInfo: Operation = onBoundFile(({ args }, { device }) => {
  const { information } = device.driver;
  if (information === undefined) return { rc: -Errno.EINVAL };
  const region = getRegionInfo(information, args.u32('size', REGION_BYTES), args.u32('index'));
  if (typeof region === 'number') return { rc: region };
  return {
    rc: 0,
    out: { flags: hex(region.flags), region_size: hex(region.sizeBytes), offset: hex(region.offsetBytes) },
  };
});

const irqInfo: Operation = onBoundFile(({ args }, { device }) => {
  const { information } = device.driver;
  if (information === undefined) return { rc: -Errno.EINVAL };
  const irq = getIrqInfo(information, args.u32('size', IRQ_BYTES), args.u32('index'));
  if (typeof irq === 'number') return { rc: irq };
  return { rc: 0, out: { flags: hex(irq.flags), count: hex(irq.count) } };
});

/** VFIO_DEVICE_RESET: no attachment, mapping or binding changes. */
const reset: Operation = onBoundFile((_step, { device }) => ({
  rc: device.driver.information?.resettable === true ? 0 : -Errno.EINVAL,
}));

/** The feature's data are two words after the header. */
const feature: Operation = onBoundFile(({ process, args }, file) => {
  const argsz = args.u32('size', 16);
  const sent = new DataView(new ArrayBuffer(8));
  sent.setUint32(0, args.u32('data0'), true);
  sent.setUint32(4, args.u32('data1'), true);
  const bytes = new Uint8Array(sent.buffer);
  const before = bytes.slice();
  const command = {
    argsz,
    flags: args.u32('flags'),
    readData: (lengthBytes: number) => bytes.subarray(0, lengthBytes),
    writeData: (data: Uint8Array) => {
      bytes.set(data.subarray(0, bytes.length));
      return 0;
    },
  };
  const rc = deviceFeature(file.device, command, process);
  const out: Record<string, unknown> = {};
  for (const [name, at] of [
    ['data0', 0],
    ['data1', 4],
  ] as const) {
    const changed = bytes.subarray(at, at + 4).some((byte, index) => byte !== before[at + index]);
    if (rc >= 0 || changed) out[name] = hex(sent.getUint32(at, true));
  }
  return { rc, out: Object.keys(out).length > 0 ? out : undefined };
});

/** Operations by name. */
export function vfioCdevOperations(profile: VfioProfile): Readonly<Record<string, Operation>> {
  return {
    VFIO_DEVICE_BIND_IOMMUFD: bind(profile),
    VFIO_DEVICE_ATTACH_IOMMUFD_PT: attach(profile),
    VFIO_DEVICE_DETACH_IOMMUFD_PT: detach(profile),
    VFIO_DEVICE_GET_INFO: getInfo,
    VFIO_DEVICE_GET_REGION_INFO: regionInfo,
    VFIO_DEVICE_GET_IRQ_INFO: irqInfo,
    VFIO_DEVICE_RESET: reset,
    VFIO_DEVICE_FEATURE: feature,
  };
}
