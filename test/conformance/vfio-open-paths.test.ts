// Exclusion between the ways to open a device: every cell of test/support/vfio-open-paths.ts on a machine of its own.
import { describe, expect, it } from 'vitest';
import { errnoName } from '../../src/errno.ts';
import type { VfioDevice } from '../../src/stack/vfio/device.ts';
import { VfioGroupFile } from '../../src/stack/vfio/group-file.ts';
import { OPEN_PATHS, type OpenPathAttempt, type OpenPathState } from '../support/vfio-open-paths.ts';
import { VfioSystem } from '../support/vfio-system.ts';

interface Scene {
  readonly system: VfioSystem;
  readonly d: VfioDevice;
  readonly e: VfioDevice;
  /** What the state opened. */
  group?: number;
  node?: number;
  iommufd?: number;
}

function enterState(state: OpenPathState): Scene {
  const withoutIommu = state === 'the group has no IOMMU and the caller lacks CAP_SYS_RAWIO';
  const system = new VfioSystem({ enableUnsafeNoIommu: withoutIommu });
  const { bench } = system;
  const [d, e] = withoutIommu ? [bench.noIommuDevice(), bench.noIommuDevice()] : bench.devices({}, {});
  const scene: Scene = { system, d: d as VfioDevice, e: e as VfioDevice };
  switch (state) {
    case 'nothing is open':
      break;
    case 'the group is open without a container':
      scene.group = system.openGroup(scene.d);
      break;
    case 'd is open through a container':
      scene.group = system.opened(scene.d).group;
      break;
    case 'the node of d is open, unbound':
      scene.node = system.openNode(scene.d);
      break;
    case 'd is bound through its node': {
      const bound = system.bound(scene.d);
      scene.node = bound.fd;
      scene.iommufd = bound.iommufd;
      break;
    }
    case 'd is open through an iommufd whose group file was closed': {
      const opened = system.opened(scene.d, 'iommufd');
      scene.iommufd = opened.container;
      system.close(opened.group);
      break;
    }
    case 'a kernel driver has another device of the group':
      system.bindKernelDriver(scene.d);
      break;
    case 'the group has no IOMMU and the caller lacks CAP_SYS_RAWIO':
      system.process.canUseRawIo = false;
      break;
  }
  return scene;
}

function attempt({ system, d, e, group, node, iommufd }: Scene, what: OpenPathAttempt): number {
  const { bench } = system;
  const newGroup = (): number => system.openGroup(d);
  switch (what) {
    case 'open the group':
      return newGroup();
    case 'open the node of d':
      return system.openNode(d);
    case 'GET_DEVICE_FD of d':
      return bench.deviceFd(group as number, d.name);
    case 'GET_DEVICE_FD of d after a new SET_CONTAINER': {
      const opened = newGroup();
      expect(bench.setContainer(opened, iommufd ?? system.openIommufd())).toBe(0);
      return bench.deviceFd(opened, d.name);
    }
    case 'SET_CONTAINER with a container':
      return bench.setContainer(newGroup(), bench.openContainer());
    case 'GET_DEVICE_FD of d with an iommufd': {
      const opened = newGroup();
      expect(bench.setContainer(opened, system.openIommufd())).toBe(0);
      return bench.deviceFd(opened, d.name);
    }
    case 'BIND a new file of d':
      return system.bind(system.openNode(d), iommufd ?? system.openIommufd());
    case 'BIND the same file of d':
      return system.bind(node as number, iommufd ?? system.openIommufd());
    case 'BIND e to the same iommufd':
      return system.bind(system.openNode(e), iommufd as number);
    case 'BIND e to another iommufd':
      return system.bind(system.openNode(e), system.openIommufd());
  }
}

describe.each(OPEN_PATHS)('while $state', ({ state, cells }) => {
  it.each(cells)('$attempt: $outcome', ({ attempt: what, outcome, openCount }) => {
    const scene = enterState(state);
    const before = { bound: scene.d.iommufdDevice, calls: scene.system.bench.driver.take() };
    const rc = attempt(scene, what);
    expect(rc < 0 ? errnoName(rc) : 'ok').toBe(outcome);
    if (openCount !== undefined) expect(scene.d.openCount).toBe(openCount);
    // A further open never binds or attaches again.
    if (openCount === 2) {
      expect(scene.d.iommufdDevice).toBe(before.bound);
      expect(scene.system.bench.driver.take()).toEqual([]);
    }
    // A refusal leaves no trace: group file and nodes never hold a group together.
    const { group } = scene.d;
    expect(group.openedFile instanceof VfioGroupFile && group.cdevOpenCount > 0).toBe(false);
  });
});

it('covers every state once', () => {
  expect(new Set(OPEN_PATHS.map(({ state }) => state)).size).toBe(8);
  expect(OPEN_PATHS.flatMap(({ cells }) => cells)).toHaveLength(40);
});
