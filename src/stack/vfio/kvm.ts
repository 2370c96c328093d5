/**
 * What KVM keeps about VFIO files of a VM (the KVM VFIO device, Linux virt/kvm/vfio.c): they hand the VM to drivers, and
 * tell whether guests must be able to flush caches.
 */
import { Errno } from '../../errno.ts';
import type { OpenFile } from '../kernel/file-table.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import { VfioDeviceFile } from './device-file.ts';
import { VfioGroupFile } from './group-file.ts';

/** KVM_DEV_VFIO_FILE and its attributes. */
export const KvmVfioGroup = { file: 1 } as const;
export const KvmVfioAttribute = { fileAdd: 1, fileDel: 2 } as const;

/** A virtual machine as far as VFIO is concerned. */
export class VirtualMachine {
  /** Files that need cache flushes of the guest to work: at most 1 by way of VFIO. */
  noncoherentDmaCount = 0;
  assignedDeviceCount = 0;
  device: KvmVfio | undefined;

  /** KVM_CREATE_DEVICE: -EBUSY when there is one. */
  createVfioDevice(): KvmVfio | number {
    if (this.device !== undefined) return -Errno.EBUSY;
    this.device = new KvmVfio(this);
    return this.device;
  }
}

type VfioFile = VfioGroupFile | VfioDeviceFile;

/** The device. A file is known by its open-file object: a duplicated descriptor is the same file. */
export class KvmVfio {
  readonly #vm: VirtualMachine;
  readonly #files: VfioFile[] = [];
  #noncoherent = false;

  constructor(vm: VirtualMachine) {
    this.#vm = vm;
  }

  /** KVM_SET_DEVICE_ATTR with the descriptor at `address`. ENXIO unknown attribute, EFAULT, then as the attribute's. */
  *setAttribute(process: Process, group: number, attribute: number, address: bigint): KernelTask<number> {
    const known = attribute === KvmVfioAttribute.fileAdd || attribute === KvmVfioAttribute.fileDel;
    if (group !== KvmVfioGroup.file || !known) return -Errno.ENXIO;
    const bytes = process.memory.read(address, 4);
    if (bytes === undefined) return -Errno.EFAULT;
    const file = process.files.get(new DataView(bytes.buffer).getInt32(0, true));
    if (file === undefined) return -Errno.EBADF;
    return attribute === KvmVfioAttribute.fileAdd ? this.#add(file) : yield* this.#remove(file);
  }

  /** The device is closed: every file is let go. */
  *release(): KernelTask<void> {
    for (const file of this.#files.splice(0)) yield* this.#forget(file);
    this.#updateCoherency();
    this.#vm.device = undefined;
  }

  /** EINVAL no VFIO file; EEXIST listed already. */
  #add(file: OpenFile): number {
    if (!isVfioFile(file)) return -Errno.EINVAL;
    if (this.#files.includes(file)) return -Errno.EEXIST;
    file.file.get();
    this.#files.push(file);
    this.#vm.assignedDeviceCount++;
    setFileVm(file, this.#vm);
    this.#updateCoherency();
    return 0;
  }

  /** ENOENT not listed. */
  *#remove(file: OpenFile): KernelTask<number> {
    const at = this.#files.indexOf(file as VfioFile);
    if (at >= 0) {
      const [removed] = this.#files.splice(at, 1);
      if (removed !== undefined) yield* this.#forget(removed);
    }
    this.#updateCoherency();
    return at >= 0 ? 0 : -Errno.ENOENT;
  }

  *#forget(file: VfioFile): KernelTask<void> {
    this.#vm.assignedDeviceCount--;
    setFileVm(file, undefined);
    yield* file.file.put();
  }

  /** kvm_vfio_update_coherency: counts changes only. */
  #updateCoherency(): void {
    const noncoherent = this.#files.some((file) => !enforcesCoherency(file));
    if (noncoherent === this.#noncoherent) return;
    this.#noncoherent = noncoherent;
    this.#vm.noncoherentDmaCount += noncoherent ? 1 : -1;
  }
}

/** vfio_file_is_valid: a group's file or a device's, bound or not. */
export function isVfioFile(file: OpenFile): file is VfioFile {
  return file instanceof VfioGroupFile || file instanceof VfioDeviceFile;
}

/**
 * vfio_file_enforced_coherent: what the devices could guarantee, whatever is attached; emulated ones have no IOMMU that
 * could. True for files that are none of VFIO's.
 */
export function enforcesCoherency(file: OpenFile): boolean {
  if (file instanceof VfioGroupFile) return file.group.devices.every(deviceEnforcesCoherency);
  return !(file instanceof VfioDeviceFile) || deviceEnforcesCoherency(file.device);
}

function deviceEnforcesCoherency({ hardware }: VfioDevice): boolean {
  return hardware?.driver.capable(hardware, 'enforce-cache-coherency') === true;
}

/** vfio_file_set_kvm: reaches a device at its next first open through the group, or at BIND. */
function setFileVm(file: VfioFile, vm: VirtualMachine | undefined): void {
  if (file instanceof VfioGroupFile) file.group.vm = vm;
  else file.vm = vm;
}

/** vfio_file_has_dev: the group file of the device's group; never a device file. */
export function fileHasDevice(file: OpenFile, device: VfioDevice): boolean {
  return file instanceof VfioGroupFile && file.group === device.group;
}
