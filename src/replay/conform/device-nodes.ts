/** Opening device nodes by transcript name, and the group a device is in. */
import { Errno } from '../../errno.ts';
import { openCdev } from '../../stack/vfio/cdev.ts';
import { deviceNode } from '../../stack/vfio/node-names.ts';
import type { ConformMachine, Operation } from './machine.ts';
import type { VfioMachine } from './vfio-machine.ts';

/** Makes `open dev=` find device nodes. A device without IOMMU has one only where the kernel offers it. */
export function installDeviceNodes(machine: ConformMachine, vfio: VfioMachine): void {
  machine.deviceNodes.set('', function* (_process, args) {
    yield 0;
    const device = vfio.vfioDevices.get(args.text('dev') ?? '');
    if (device === undefined || deviceNode(device, vfio.registry.profile) === undefined) return -Errno.ENOENT;
    return openCdev(device);
  });
}

/** Group of a device that is alone in a fake one. */
export function fakeGroupOf(vfio: VfioMachine, name: string): ReturnType<Operation> {
  const device = vfio.vfioDevices.get(name);
  if (device === undefined) return { rc: -Errno.ENODEV };
  const { id } = device.group;
  return { rc: 0, out: { group: id, members: [name] }, values: [id] };
}
