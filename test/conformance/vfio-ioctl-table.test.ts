// Every row of test/support/vfio-ioctl-table.ts: the call works where it may, refuses where something is missing, and never
// gives an error that the table does not list.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errnoName } from '../../src/errno.ts';
import type { KernelVersion } from '../../src/stack/kernel/profile.ts';
import { unregisterDevice } from '../../src/stack/vfio/unregistration.ts';
import type { VfioPciDriver } from '../../src/stack/vfio/vfio-pci.ts';
import { BUFFER } from '../support/container-bench.ts';
import {
  type IoctlRow,
  type IoctlScene,
  type IoctlWord,
  UNKNOWN_IOCTLS,
  VFIO_IOCTLS,
} from '../support/vfio-ioctl-table.ts';
import { NOWHERE, STRUCT, VfioSystem } from '../support/vfio-system.ts';

const IOCTL_BASE = 0x3b00;
/** No ioctl has this number. */
const UNKNOWN_NR = 200;

interface Scene {
  readonly system: VfioSystem;
  /** The descriptor to call. */
  readonly fd: number;
  readonly name: string;
  readonly words: Readonly<Partial<Record<Extract<IoctlWord, string>, number>>>;
}

function enter(scene: IoctlScene, version: KernelVersion = 'L612'): Scene {
  const system = new VfioSystem({ version });
  const { bench } = system;
  const device = bench.device();
  const { name } = device;
  (device.driver as VfioPciDriver).affectedFunctions = () => [
    { segment: 0, bus: 1, devfn: 0, groupId: device.group.id, device },
  ];
  const buffer = { 'buffer low': Number(BUFFER & 0xffff_ffffn), 'buffer high': Number(BUFFER >> 32n) };
  const withGroup = (backend: boolean) => {
    const container = bench.openContainer();
    const group = system.openGroup(device);
    bench.setContainer(group, container);
    if (backend) bench.setIommu(container);
    return { container, group };
  };
  switch (scene) {
    case 'empty container':
      return { system, name, fd: bench.openContainer(), words: buffer };
    case 'container with a group':
      return { system, name, fd: withGroup(false).container, words: buffer };
    case 'container with a backend':
      return { system, name, fd: withGroup(true).container, words: buffer };
    case 'free group':
      return { system, name, fd: system.openGroup(device), words: { container: bench.openContainer() } };
    case 'group whose last device is gone': {
      const fd = system.openGroup(device);
      bench.run(unregisterDevice(bench.registry, device));
      return { system, name, fd, words: { container: bench.openContainer() } };
    }
    case 'group in a container': {
      const { container, group } = withGroup(true);
      return { system, name, fd: group, words: { container } };
    }
    case 'group in a container with its device open':
      return { system, name, fd: system.opened(device).group, words: {} };
    case 'unbound node':
      return { system, name, fd: system.openNode(device), words: { iommufd: system.openIommufd() } };
    case 'node while the group is open':
      system.openGroup(device);
      return { system, name, fd: system.openNode(device), words: { iommufd: system.openIommufd() } };
    case 'bound node': {
      const { fd, iommufd } = system.bound(device);
      return { system, name, fd, words: { iommufd, ioas: system.ioas(iommufd) } };
    }
    case 'device opened by its group': {
      const { fd, group } = system.opened(device);
      return { system, name, fd, words: { group, iommufd: system.openIommufd() } };
    }
  }
}

/** Makes the call with its valid argument, or with `argument` in its place. */
function call({ system, fd, name, words }: Scene, row: IoctlRow, argument: bigint = STRUCT): number {
  const request = IOCTL_BASE + row.nr;
  const values = row.valid.map((word) => (typeof word === 'number' ? word : (words[word] ?? 0)));
  if (row.argument === 'none') return system.ioctl(fd, request, 0n);
  if (row.argument === 'value') return system.ioctl(fd, request, BigInt(values[0] as number));
  const bytes =
    row.argument === 'name' ? new TextEncoder().encode(`${name}\0`) : new Uint8Array(Uint32Array.from(values).buffer);
  system.process.memory.write(STRUCT, bytes);
  return system.ioctl(fd, request, argument);
}

const outcome = (rc: number): string => (rc < 0 ? errnoName(rc) : 'ok');

describe.each(VFIO_IOCTLS)('$name', (row) => {
  it(`works on: ${row.ready}`, () => {
    expect(outcome(call(enter(row.ready), row))).toBe('ok');
  });

  for (const { scene, error } of row.unready) {
    it(`is ${error} on: ${scene}`, () => {
      expect(row.errors).toContain(error);
      expect(outcome(call(enter(scene), row))).toBe(error);
    });
  }

  if (row.argument === 'structure' || row.argument === 'descriptor' || row.argument === 'name') {
    it('is EFAULT without memory behind the pointer', () => {
      expect(outcome(call(enter(row.ready), row, NOWHERE))).toBe('EFAULT');
    });
  }

  const { minBytes } = row;
  if (minBytes !== undefined) {
    it('is EINVAL when argsz is too small, and takes more', () => {
      const withSize = (argsz: number) => call(enter(row.ready), { ...row, valid: [argsz, ...row.valid.slice(1)] });
      expect(outcome(withSize(minBytes - 1))).toBe('EINVAL');
      expect(outcome(withSize(Math.max(minBytes, 4 * row.valid.length)))).toBe('ok');
      expect(outcome(withSize(4 * row.valid.length + 256))).toBe('ok');
    });
  }

  it.each(['L612', 'L615'] as const)('gives no error but the listed ones for any argument (%s)', (version) => {
    const allowed = new Set<string>(['ok', ...row.errors]);
    const small = fc.nat({ max: 9 });
    const word = fc.oneof(
      small,
      fc.constantFrom(16, 24, 32, 48, 64, 0x1000, 0x10_0000, 0x1_0001, 0x2_0004, 0x4_0001),
      fc.constantFrom(...Object.values(enter(row.ready, version).words)),
      fc.nat({ max: 0xffff_ffff }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.array(word, { minLength: 12, maxLength: 12 }), { minLength: 1, maxLength: 6 }),
        (calls) => {
          const { system, fd } = enter(row.ready, version);
          for (const words of calls) {
            const value = row.argument === 'value' ? BigInt(words[0] as number) : STRUCT;
            system.process.memory.write(STRUCT, new Uint8Array(Uint32Array.from(words).buffer));
            expect(allowed).toContain(outcome(system.ioctl(fd, IOCTL_BASE + row.nr, value)));
          }
        },
      ),
      { numRuns: 40, seed: row.nr },
    );
  });
});

describe('numbers nobody knows', () => {
  it.each(UNKNOWN_IOCTLS)('are $error on: $scene', ({ scene, error }) => {
    const { system, fd } = enter(scene);
    expect(outcome(system.ioctl(fd, IOCTL_BASE + UNKNOWN_NR))).toBe(error);
  });

  it('include those of other kinds of files', () => {
    const kind = (scene: IoctlScene): string => {
      if (scene.includes('container') && !scene.startsWith('group')) return 'container';
      return scene.startsWith('group') || scene === 'free group' ? 'group' : 'device';
    };
    for (const file of ['free group', 'container with a backend', 'bound node'] as const) {
      const own = new Set(VFIO_IOCTLS.filter(({ ready }) => kind(ready) === kind(file)).map(({ nr }) => nr));
      for (const { nr } of VFIO_IOCTLS) {
        if (own.has(nr)) continue;
        const { system, fd } = enter(file);
        expect(outcome(system.ioctl(fd, IOCTL_BASE + nr))).toBe('ENOTTY');
      }
    }
  });
});
