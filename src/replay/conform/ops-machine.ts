/**
 * Operations on the machine around VFIO: device DMA, what the kernel logs and dumps, groups, driver binding. Argument and
 * output names follow the recorded test program.
 */
import { Errno } from '../../errno.ts';
import { forEachTableLeaf, type InstalledTable, readInstalledTable } from '../../hw/vtd/table-reader.ts';
import { type LoggedFault, takeFaultRecords } from '../../stack/drivers/intel/fault-log.ts';
import { unuseDefaultDomain, useDefaultDomain } from '../../stack/iommu/dma-owner.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import type { VfioDevice } from '../../stack/vfio/device.ts';
import { checkAccess, VfioDeviceFile } from '../../stack/vfio/device-file.ts';
import type { VfioBuild } from '../../stack/vfio/profile.ts';
import { unregisterDevice } from '../../stack/vfio/unregistration.ts';
import { UNSPECIFIED } from './compare.ts';
import { fakeGroupOf, installDeviceNodes } from './device-nodes.ts';
import { inKernfsOrder } from './kernfs-order.ts';
import { type ConformMachine, type ConformModule, hex, type Operation } from './machine.ts';
import { NoIommuMachine } from './no-iommu-machine.ts';
import { vfioCdevOperations } from './ops-vfio-cdev.ts';
import { installVfioLegacy } from './ops-vfio-legacy.ts';
import { installVfioReset } from './ops-vfio-reset.ts';
import type { StepArguments } from './step-arguments.ts';
import { pciName } from './topology.ts';
import { VtdMachine, type VtdSetup } from './vtd-machine.ts';

/** Permissions of a leaf as the dump writes them, by prot bits. */
const PERMISSIONS = ['', 'r', 'w', 'rw'] as const;

/** Requester, table and log of one machine as operations. */
function machineOperations(vtd: VtdMachine): Readonly<Record<string, Operation>> {
  let log: LoggedFault[] = [];
  let handlerPending = false;
  vtd.unit.onFaultEvent(() => {
    handlerPending = true;
  });
  const runFaultHandler = (): void => {
    if (!handlerPending) return;
    handlerPending = false;
    log.push(...takeFaultRecords(vtd.unit, vtd.kernel.now));
  };
  return {
    edu_dma: ({ machine, process, args }) => {
      const file = process.files.getAs(args.i32('fd'), VfioDeviceFile);
      if (file === undefined) return { rc: -Errno.EBADF };
      const refused = checkAccess(file);
      if (refused !== 0) return { rc: refused };
      const edu = vtd.edus.get(transcriptName(vtd, file.device));
      if (edu === undefined) return { rc: -Errno.EINVAL };
      const toMemory = args.text('dir') === 'to_ram';
      const { now, timeline } = machine.kernel;
      const doneTick = edu.transfer(machine.frames, toMemory, args.u64('iova'), args.u32('length'), now);
      timeline.runUntil(doneTick);
      runFaultHandler();
      return { rc: 0, out: { done: true } };
    },
    dmar_faults: () => {
      const faults = log.map((fault) => describeFault(vtd, fault));
      log = [];
      return { rc: 0, out: { n: faults.length, faults } };
    },
    pt_dump: ({ args }) => {
      const table = installedTable(vtd, args);
      if (table === undefined) return { rc: 0, out: { present: false, leaves: 0, runs: [] } };
      return { rc: 0, out: { present: true, ...dumpTable(vtd, table) } };
    },
    peek: ({ process, args }) => {
      const address = args.u64('va');
      const bytes = process.memory.read(address, args.u32('length'));
      if (bytes === undefined) return { rc: -Errno.EFAULT };
      let text = '';
      bytes.forEach((byte, index) => {
        const at = address + BigInt(index);
        const frame = process.memory.frameAt(at, false) ?? -1;
        const unknown = vtd.unspecified.has(frame, Number(at & 4095n), byte);
        text += unknown ? UNSPECIFIED : byte.toString(16).padStart(2, '0');
      });
      return { rc: 0, out: { bytes: text } };
    },
    group_of: ({ args }) => groupOf(vtd, args.text('dev') ?? ''),
    bind_driver: ({ machine, args }) => ({
      rc: machine.run(bindDriver(vtd, args.text('dev') ?? '', args.text('driver') ?? 'none')),
    }),
  };
}

function transcriptName(vtd: VtdMachine, device: VfioDevice): string {
  for (const [name, each] of vtd.vfioDevices) if (each === device) return name;
  return '';
}

/** A fault as dmar_fault_do_one prints it. */
function describeFault(vtd: VtdMachine, fault: LoggedFault): Record<string, unknown> {
  const pasid = fault.pasid === undefined ? 'NO_PASID' : `PASID ${hex(fault.pasid)}`;
  return {
    type: `DMA ${fault.write ? 'Write' : 'Read'} ${pasid}`,
    dev: vtd.nameOfRequester(fault.sourceId),
    addr: hex(fault.address),
    reason: fault.reason,
  };
}

function installedTable(vtd: VtdMachine, args: StepArguments): InstalledTable | undefined {
  const { requester } = vtd.function(args.text('dev') ?? '');
  const root = vtd.driver.units[0]?.root;
  return root === undefined ? undefined : readInstalledTable(vtd.memory, root, vtd.scalable, requester);
}

/** Leaves, and runs of adjacent IOVAs with one level and permission. */
function dumpTable(vtd: VtdMachine, table: InstalledTable): Record<string, unknown> {
  const runs: { start: bigint; lengthBytes: bigint; level: number; permissions: string }[] = [];
  let leaves = 0;
  forEachTableLeaf(vtd.memory, table, (leaf) => {
    leaves++;
    const start = BigInt(leaf.iovaPfn) * 4096n;
    const lengthBytes = 4096n << BigInt(9 * (leaf.level - 1));
    const permissions = PERMISSIONS[leaf.prot] ?? '';
    const last = runs.at(-1);
    const adjacent = last !== undefined && last.start + last.lengthBytes === start;
    if (adjacent && last.level === leaf.level && last.permissions === permissions) last.lengthBytes += lengthBytes;
    else runs.push({ start, lengthBytes, level: leaf.level, permissions });
  });
  const shown = runs.map(({ start, lengthBytes, level, permissions }) => [
    hex(start),
    hex(lengthBytes),
    level,
    permissions,
  ]);
  return { leaves, runs: shown };
}

/** The IOMMU group of a device and its members as the group's sysfs directory lists them. */
function groupOf(vtd: VtdMachine, name: string): ReturnType<Operation> {
  const found = vtd.functions.get(name);
  if (found === undefined) return fakeGroupOf(vtd, name);
  const members = [...vtd.functions.values()].filter((each) => each.group === found.group);
  const names = inKernfsOrder(members, (each) => pciName(each.topology)).map((each) => each.topology.name);
  return { rc: 0, out: { group: found.group.id, members: names }, values: [found.group.id] };
}

/** Unbinds the driver of a function and binds another; `none` leaves it without. */
function* bindDriver(vtd: VtdMachine, name: string, driver: string): KernelTask<number> {
  const { group } = vtd.function(name);
  const bound = vtd.vfioDevices.get(name);
  if (bound !== undefined) {
    yield* unregisterDevice(vtd.registry, bound);
    vtd.vfioDevices.delete(name);
  } else if (vtd.kernelDrivers.delete(name)) {
    yield* unuseDefaultDomain(group);
  }
  if (driver === 'none') return 0;
  if (driver === 'vfio-pci') return vtd.registerPci(name);
  const error = yield* useDefaultDomain(group);
  if (error === 0) vtd.kernelDrivers.add(name);
  return error;
}

/** The module of a machine with a VT-d unit. */
export function vtdModule(setup: VtdSetup, build?: VfioBuild): ConformModule {
  return {
    install(machine: ConformMachine): void {
      const vtd = new VtdMachine(machine.kernel, setup, build);
      const operations = { ...machineOperations(vtd), ...vfioCdevOperations(vtd.registry.profile) };
      for (const [name, operation] of Object.entries(operations)) machine.operations.set(name, operation);
      machine.sequenceHooks.push(() => {
        for (const edu of vtd.edus.values()) edu.forget();
      });
      installDeviceNodes(machine, vtd);
      installVfioLegacy(machine, vtd);
      installVfioReset(machine);
    },
  };
}

/** The module of a machine whose IOMMU is off. */
export const NO_IOMMU_MODULE: ConformModule = {
  install(machine: ConformMachine): void {
    const vfio = new NoIommuMachine(machine.kernel);
    for (const [name, operation] of Object.entries(vfioCdevOperations(vfio.registry.profile))) {
      machine.operations.set(name, operation);
    }
    machine.operations.set('group_of', ({ args }) => fakeGroupOf(vfio, args.text('dev') ?? ''));
    installDeviceNodes(machine, vfio);
    installVfioLegacy(machine, vfio);
    installVfioReset(machine);
  },
};
