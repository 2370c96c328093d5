// Eight invariants of VFIO, checked after every call of random sequences of calls on containers, groups, device nodes,
// iommufd and KVM, by callers that follow no plan.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KernelVersion } from '../../src/stack/kernel/profile.ts';
import { Container } from '../../src/stack/vfio/container.ts';
import type { VfioDevice } from '../../src/stack/vfio/device.ts';
import { VfioDeviceFile } from '../../src/stack/vfio/device-file.ts';
import { KvmVfio, KvmVfioAttribute, KvmVfioGroup, VirtualMachine } from '../../src/stack/vfio/kvm.ts';
import { PinningDriver } from '../../src/stack/vfio/pinning-driver.ts';
import { Type1Backend } from '../../src/stack/vfio/type1/backend.ts';
import type { Type1 } from '../../src/stack/vfio/type1/type1.ts';
import { BUFFER } from '../support/container-bench.ts';
import type { TableDomain } from '../support/table-driver.ts';
import { STRUCT, VfioSystem } from '../support/vfio-system.ts';

const PAGE = 0x1000n;
const DMA_LIMIT = 6;
/** IOMMU_HWPT_ALLOC_PASID. */
const FOR_PASIDS = 8;

/** The machine, and descriptors by kind: calls pick among them by number. */
class World {
  readonly system: VfioSystem;
  readonly devices: VfioDevice[];
  readonly containers: number[] = [];
  readonly iommufds: number[] = [];
  readonly groups: number[] = [];
  readonly files: number[] = [];
  readonly ids: number[] = [99];
  readonly pinning = new PinningDriver();
  readonly vm = new VirtualMachine();
  readonly kvm: KvmVfio;

  constructor(version: KernelVersion) {
    this.system = new VfioSystem({ version, type1: { dmaEntryLimit: DMA_LIMIT } });
    const { bench } = this.system;
    const parts = { name: 'mdev', driver: this.pinning, hardware: undefined, iommuGroup: undefined };
    const mediated = bench.registry.registerEmulated(parts);
    this.devices = [
      ...bench.devices({ maxPasids: 16 }, { maxPasids: 16 }),
      bench.device({ coherent: false }),
      bench.device({ exclusive: true }),
      mediated,
    ];
    const made = this.vm.createVfioDevice();
    if (!(made instanceof KvmVfio)) throw new Error('no KVM device');
    this.kvm = made;
  }

  /** A user who has come some way already: `container` = groups in a container, `nodes` = bound and attached. */
  begin(scene: 'nothing' | 'container' | 'nodes'): void {
    if (scene === 'nothing') return;
    const { system } = this;
    const [first, , other, , mediated] = this.devices as [VfioDevice, VfioDevice, VfioDevice, VfioDevice, VfioDevice];
    this.containers.push(system.bench.openContainer());
    this.iommufds.push(system.openIommufd());
    if (scene === 'container') {
      const [container] = this.containers as [number];
      for (const device of [first, mediated]) {
        const group = system.openGroup(device);
        system.bench.setContainer(group, container);
        if (device === first) system.bench.setIommu(container);
        this.groups.push(group);
        this.files.push(system.bench.deviceFd(group, device.name));
      }
      system.bench.map(container, 0n, BUFFER, 2n * PAGE);
      return;
    }
    const [iommufd] = this.iommufds as [number];
    this.ids.push(system.ioas(iommufd));
    for (const device of [first, other]) {
      const { fd, id } = system.bound(device, iommufd);
      this.ids.push(id, system.hwpt(iommufd, id, this.ids[1] as number, device === first ? FOR_PASIDS : 0));
      this.files.push(fd);
      system.attach(fd, this.ids[1] as number);
    }
  }

  pick<T>(from: readonly T[], choice: number): T | undefined {
    return from[choice % Math.max(1, from.length)];
  }

  keep(list: number[], fd: number): void {
    if (fd >= 0) list.push(fd);
  }

  /** Device files that were not closed. */
  *deviceFiles(): Generator<VfioDeviceFile> {
    for (const fd of this.files) {
      const file = this.system.process.files.getAs(fd, VfioDeviceFile);
      if (file !== undefined) yield file;
    }
  }

  *type1s(): Generator<Type1> {
    for (const fd of this.containers) {
      const backend = this.system.process.files.getAs(fd, Container)?.backend;
      if (backend instanceof Type1Backend) yield backend.type1;
    }
  }
}

type Call = (world: World, a: number, b: number, c: number) => void;

/** Every call by name; a, b and c choose among what there is. */
const CALLS: Readonly<Record<string, Call>> = {
  openContainer: (w) => w.keep(w.containers, w.system.bench.openContainer()),
  openIommufd: (w) => w.keep(w.iommufds, w.system.openIommufd()),
  openGroup: (w, a) => w.keep(w.groups, w.system.openGroup(w.pick(w.devices, a) as VfioDevice)),
  openNode: (w, a) => w.keep(w.files, w.system.openNode(w.pick(w.devices, a) as VfioDevice)),
  setContainer(w, a, b, c) {
    const group = w.pick(w.groups, a);
    const container = w.pick(c % 3 === 0 ? w.iommufds : w.containers, b);
    if (group !== undefined && container !== undefined) w.system.bench.setContainer(group, container);
  },
  unsetContainer(w, a) {
    const group = w.pick(w.groups, a);
    if (group !== undefined) w.system.bench.unsetContainer(group);
  },
  setIommu(w, a, b) {
    const container = w.pick(w.containers, a);
    if (container !== undefined) w.system.bench.setIommu(container, [3, 3, 1, 8][b % 4]);
  },
  deviceFd(w, a, b) {
    const group = w.pick(w.groups, a);
    const device = w.pick(w.devices, b);
    if (group !== undefined && device !== undefined) w.keep(w.files, w.system.bench.deviceFd(group, device.name));
  },
  map(w, a, b, c) {
    const container = w.pick(w.containers, a);
    if (container === undefined) return;
    w.system.bench.map(container, BigInt(b % 12) * PAGE, BUFFER + BigInt(c % 7) * PAGE, BigInt(1 + (c % 3)) * PAGE);
  },
  unmap(w, a, b, c) {
    const container = w.pick(w.containers, a);
    if (container === undefined) return;
    const flags = [0, 0, 4, 2][c % 4] as number;
    const all = flags === 2;
    w.system.bench.unmap(container, all ? 0n : BigInt(b % 12) * PAGE, all ? 0n : BigInt(1 + (c % 3)) * PAGE, flags);
  },
  dirty(w, a, b) {
    const container = w.pick(w.containers, a);
    if (container !== undefined) w.system.bench.dirty(container, 1 + (b % 2));
  },
  bind(w, a, b) {
    const [fd, iommufd] = [w.pick(w.files, a), w.pick(w.iommufds, b)];
    if (fd !== undefined && iommufd !== undefined) w.keep(w.ids, w.system.bind(fd, iommufd));
  },
  ioas(w, a) {
    const iommufd = w.pick(w.iommufds, a);
    if (iommufd !== undefined) w.keep(w.ids, w.system.ioas(iommufd));
  },
  hwpt(w, a, b, c) {
    const iommufd = w.pick(w.iommufds, a);
    if (iommufd === undefined) return;
    const flags = c % 2 === 0 ? 0 : FOR_PASIDS;
    w.keep(w.ids, w.system.hwpt(iommufd, w.pick(w.ids, b) as number, w.pick(w.ids, c) as number, flags));
  },
  attach(w, a, b, c) {
    const fd = w.pick(w.files, a);
    if (fd !== undefined) w.system.attach(fd, w.pick(w.ids, b) as number, c % 3 === 0 ? 1 + (c % 4) : undefined);
  },
  detach(w, a, _b, c) {
    const fd = w.pick(w.files, a);
    if (fd !== undefined) w.system.detach(fd, c % 3 === 0 ? 1 + (c % 4) : undefined);
  },
  pin(w, _a, b, c) {
    const mediated = w.devices.at(-1) as VfioDevice;
    const iova = BigInt(b % 12) * PAGE;
    if (c % 3 === 0) w.system.bench.run(w.pinning.unpin(mediated, iova, 1));
    else w.system.bench.run(w.pinning.pin(mediated, iova, 1, 1));
  },
  kvm(w, a, b, c) {
    const fd = w.pick(c % 2 === 0 ? w.groups : w.files, a);
    if (fd === undefined) return;
    w.system.process.memory.write(STRUCT, new Uint8Array(Int32Array.of(fd).buffer));
    const attribute = b % 3 === 0 ? KvmVfioAttribute.fileDel : KvmVfioAttribute.fileAdd;
    w.system.bench.run(w.kvm.setAttribute(w.system.process, KvmVfioGroup.file, attribute, STRUCT));
  },
  close(w, a, b) {
    const list = w.pick([w.files, w.groups, w.files, w.containers, w.iommufds], b) as number[];
    const fd = w.pick(list, a);
    if (fd === undefined) return;
    list.splice(list.indexOf(fd), 1);
    w.system.close(fd);
  },
};

function checkType1(type1: Type1): void {
  let end = 0n;
  for (const dma of type1.dmas) {
    expect(dma.iova >= end).toBe(true);
    end = dma.iova + dma.sizeBytes;
    expect(dma.iommuMapped).toBe(type1.domains.length > 0);
  }
  expect(type1.dmaAvailable + type1.dmas.count).toBe(DMA_LIMIT);
  const tables = type1.domains.map(({ domain }) => [...(domain as TableDomain).pages].sort());
  for (const table of tables) expect(table).toEqual(tables[0]);
  const pinning = [...type1.domains.flatMap(({ groups }) => groups), ...type1.emulatedGroups];
  expect(type1.nonPinnedGroupCount).toBe(pinning.filter((entry) => !entry.pinnedPageDirtyScope).length);
}

function check(world: World): void {
  for (const device of world.devices) {
    const { group } = device;
    // 1: a group file and bound nodes exclude each other.
    expect(group.openedFile !== undefined && group.cdevOpenCount > 0).toBe(false);
    // 2: container or iommufd; users of the container are the group and its open devices.
    expect(group.container !== undefined && group.iommufd !== undefined).toBe(false);
    const open = group.devices.filter(({ openCount }) => openCount > 0).length;
    expect(group.containerUsers).toBe(group.container === undefined ? 0 : 1 + open);
    // 5: who may translate is owned and off its default domain.
    const bound = group.devices.some(({ iommufdDevice }) => iommufdDevice !== undefined);
    const { iommuGroup } = group;
    if (iommuGroup !== undefined && (group.container !== undefined || bound)) {
      expect(iommuGroup.ownerCount).toBeGreaterThanOrEqual(1);
      expect(iommuGroup.domain).not.toBe(iommuGroup.defaultDomain);
    }
    // 6: attachments need a binding.
    const isBound = device.iommufdDevice !== undefined || device.iommufdAccess !== undefined;
    if (device.iommufdAttached || device.pasids.size > 0) expect(isBound).toBe(true);
    if (device.cdevOpened) expect(device.openCount).toBe(1);
  }
  // 3: access means open; through a node exactly once.
  for (const file of world.deviceFiles()) {
    if (!file.accessGranted) continue;
    expect(file.device.openCount).toBeGreaterThanOrEqual(1);
    if (file.group === undefined) expect([file.device.openCount, file.device.cdevOpened]).toEqual([1, true]);
  }
  // 4 and 8: mappings of containers.
  for (const type1 of world.type1s()) checkType1(type1);
  // 7: VFIO counts at most once for a machine.
  expect([0, 1]).toContain(world.vm.noncoherentDmaCount);
}

const names = Object.keys(CALLS);
const scenes = fc.constantFrom('nothing' as const, 'container' as const, 'nodes' as const);
const calls = fc.array(fc.tuple(fc.constantFrom(...names), fc.nat(11), fc.nat(11), fc.nat(11)), {
  minLength: 10,
  size: 'max',
  maxLength: 120,
});

test.each(['L612', 'L615', 'L73'] as const)('the invariants hold after every call (%s)', (version) => {
  const outcomes = { attached: 0, opened: 0, mapped: 0, pasids: 0 };
  fc.assert(
    fc.property(scenes, calls, (scene, sequence) => {
      const world = new World(version);
      world.begin(scene);
      check(world);
      for (const [name, a, b, c] of sequence) {
        (CALLS[name] as Call)(world, a, b, c);
        check(world);
        for (const device of world.devices) {
          if (device.iommufdAttached) outcomes.attached++;
          if (device.group.containerUsers > 1) outcomes.opened++;
          if (device.pasids.size > 0) outcomes.pasids++;
        }
        for (const type1 of world.type1s()) outcomes.mapped += type1.dmas.count;
      }
    }),
    { numRuns: 80, seed: 7 },
  );
  // The sequences reach the states that the invariants are about.
  expect(outcomes.attached).toBeGreaterThan(0);
  expect(outcomes.opened).toBeGreaterThan(0);
  expect(outcomes.mapped).toBeGreaterThan(0);
  if (version !== 'L612') expect(outcomes.pasids).toBeGreaterThan(0);
});
