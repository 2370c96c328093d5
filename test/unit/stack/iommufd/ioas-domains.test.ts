// What domains see of an IOAS: Linux drivers/iommu/iommufd/{io_pagetable,pages}.c.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { BUFFER, IoasScene } from '../../../support/ioas-scene.ts';
import { RecordingDomain } from '../../../support/recording-domain.ts';

/** Puts frames behind the buffer so that runs are known: [first frame, pages] each. */
function place(scene: IoasScene, ...runs: readonly (readonly [number, number])[]): void {
  let vpn = Number(BUFFER >> 12n);
  for (const [pfn, count] of runs) {
    scene.process.memory.place(vpn, pfn, count);
    vpn += count;
  }
}

function withDomain(scene: IoasScene, domain = new RecordingDomain()): RecordingDomain {
  expect(scene.run(scene.ioas.addDomain(domain))).toBe(0);
  return domain;
}

describe('maps of an IOAS in its domains', () => {
  it('are one core call for each physically contiguous run', () => {
    const scene = new IoasScene();
    const domain = withDomain(scene);
    place(scene, [0x1000, 3], [0x5000, 1], [0x5001, 2], [0x9000, 2]);
    expect(scene.map(0x10000n, BUFFER, 0x8000n)).toBe(0);
    expect(domain.calls).toEqual(['map 10000 3000', 'map 13000 3000', 'map 16000 2000']);
    expect(domain.iovaToPhys(0x13000n)).toBe(0x5000_000n);
  });

  it('are one core call a page when large pages are off', () => {
    const scene = new IoasScene();
    expect(scene.run(scene.ioas.setSmallPages(true))).toBe(0);
    const domain = withDomain(scene);
    place(scene, [0x1000, 3]);
    expect(scene.map(0x10000n, BUFFER, 0x3000n)).toBe(0);
    expect(domain.calls).toEqual(['map 10000 1000', 'map 11000 1000', 'map 12000 1000']);
  });

  it('begin inside the first page and end inside the last where the domain has smaller pages', () => {
    const scene = new IoasScene();
    const domain = withDomain(scene, new RecordingDomain({ minPageSize: 512n }));
    place(scene, [0x1000, 2]);
    expect(scene.map(0x10200n, BUFFER + 0xe00n, 0x600n)).toBe(0);
    expect(domain.calls).toEqual(['map 10200 600']);
    expect(domain.iovaToPhys(0x10200n)).toBe(0x1000e00n);
    expect(scene.unmap(0x10200n, 0x600n)).toBe(0);
    expect(domain.calls.at(-1)).toBe('unmap 10200 600');
  });

  it('go run by run through all domains, and leave the storage domain last', () => {
    const scene = new IoasScene();
    const first = withDomain(scene);
    const second = withDomain(scene);
    const order: string[] = [];
    for (const [name, domain] of Object.entries({ first, second })) {
      domain.calls.push = (...calls: string[]) => {
        order.push(...calls.map((call) => `${name} ${call}`));
        return 0;
      };
    }
    place(scene, [0x1000, 1], [0x3000, 1]);
    expect(scene.map(0n, BUFFER, 0x2000n)).toBe(0);
    expect(scene.unmap(0n, 0x2000n)).toBe(0);
    expect(order).toEqual([
      'first map 0 1000',
      'first map 1000 1000',
      'second map 0 1000',
      'second map 1000 1000',
      'second unmap 0 2000',
      'first unmap 0 2000',
    ]);
  });

  it('are undone in every domain, unpinned and forgotten when one domain fails', () => {
    const scene = new IoasScene();
    const first = withDomain(scene);
    const second = withDomain(scene);
    place(scene, [0x1000, 1], [0x3000, 1], [0x5000, 1]);
    second.failMapIn = 2;
    expect(scene.map(0n, BUFFER, 0x3000n)).toBe(-Errno.ENOMEM);
    expect([first.mappedUnits, second.mappedUnits]).toEqual([0, 0]);
    expect(scene.frames.pinCount(0x1000)).toBe(0);
    expect(scene.process.memory.pinnedVm).toBe(0);
    expect(scene.map(0n, BUFFER, 0x3000n)).toBe(0);
  });

  it('are undone when the last pages cannot be pinned', () => {
    const scene = new IoasScene();
    const domain = withDomain(scene);
    const lastPage = BUFFER + 0x3f_f000n;
    expect(scene.map(0n, lastPage, 0x2000n)).toBe(-Errno.EFAULT);
    expect(domain.calls).toEqual([]);
    expect(scene.pins(lastPage)).toBe(0);
  });

  it('fill a domain that is added later, without pinning again', () => {
    const scene = new IoasScene();
    const first = withDomain(scene);
    expect(scene.map(0n, BUFFER, 0x4000n)).toBe(0);
    const second = withDomain(scene);
    expect(second.mappedUnits).toBe(first.mappedUnits);
    expect(scene.pins(BUFFER)).toBe(1);
    scene.run(scene.ioas.removeDomain(first));
    expect([first.mappedUnits, scene.pins(BUFFER)]).toEqual([0, 1]);
    expect(scene.unmap(0n, 0x4000n)).toBe(0);
    expect([second.mappedUnits, scene.pins(BUFFER)]).toEqual([0, 0]);
  });

  it('are pinned with the first domain and unpinned with the last', () => {
    const scene = new IoasScene();
    expect(scene.map(0n, BUFFER, 0x4000n)).toBe(0);
    expect(scene.pins(BUFFER)).toBe(0);
    const domain = withDomain(scene);
    expect([scene.pins(BUFFER), scene.process.memory.pinnedVm]).toEqual([1, 4]);
    scene.run(scene.ioas.removeDomain(domain));
    expect([scene.pins(BUFFER), scene.process.memory.pinnedVm, domain.mappedUnits]).toEqual([0, 0, 0]);
  });

  it('keep a new domain out, and unpinned, when it cannot be filled', () => {
    const scene = new IoasScene();
    expect(scene.map(0n, BUFFER, 0x2000n)).toBe(0);
    expect(scene.map(0x10000n, 0x1000n, 0x1000n)).toBe(0);
    const domain = new RecordingDomain();
    expect(scene.run(scene.ioas.addDomain(domain))).toBe(-Errno.EFAULT);
    expect([domain.mappedUnits, scene.pins(BUFFER), scene.ioas.domains.length]).toEqual([0, 0, 0]);
    expect(scene.ioas.alignment).toBe(1n);
  });

  it('refuse a domain whose aperture or page size they do not fit', () => {
    const scene = new IoasScene();
    expect(scene.map(0x800n, BUFFER, 0x1000n)).toBe(0);
    expect(scene.run(scene.ioas.addDomain(new RecordingDomain()))).toBe(-Errno.EADDRINUSE);
    expect(scene.unmap(0x800n, 0x1000n)).toBe(0);
    expect(scene.map(0x1000n, BUFFER, 0x1000n)).toBe(0);
    const high = new RecordingDomain({ apertureStart: 0x10_0000n });
    expect(scene.run(scene.ioas.addDomain(high))).toBe(-Errno.EADDRINUSE);
    expect(scene.run(scene.ioas.addDomain(new RecordingDomain({ minPageSize: 8192n })))).toBe(-Errno.EINVAL);
    expect(scene.ioas.usableRanges()).toEqual([{ start: 0n, last: 0xffff_ffff_ffff_ffffn }]);
  });
});

describe('copies between IOASes', () => {
  it('share pins and charges with their source until the last user goes', () => {
    const scene = new IoasScene();
    const target = scene.newIoas();
    withDomain(scene);
    const second = new RecordingDomain();
    expect(scene.run(target.addDomain(second))).toBe(0);
    expect(scene.map(0n, BUFFER, 0x4000n)).toBe(0);
    expect(scene.copy(scene.ioas, 0x1000n, target, 0x8000n, 0x2000n)).toBe(0);
    expect(second.calls.filter((call) => call.startsWith('map'))).toHaveLength(1);
    expect([scene.pins(BUFFER + 0x1000n), scene.process.memory.pinnedVm]).toEqual([1, 4]);
    expect(scene.unmap(0n, 0x4000n)).toBe(0);
    expect([scene.pins(BUFFER), scene.pins(BUFFER + 0x1000n), scene.process.memory.pinnedVm]).toEqual([0, 1, 2]);
    expect(scene.unmap(0x8000n, 0x2000n, target)).toBe(0);
    expect(scene.process.memory.pinnedVm).toBe(0);
  });
});

describe('accounting', () => {
  it('charges the user in mode USER and refuses over the limit with nothing left behind', () => {
    const scene = new IoasScene();
    const domain = withDomain(scene);
    scene.process.canLockMemory = false;
    scene.process.memlockLimit = 5;
    expect(scene.map(0n, BUFFER, 0x4000n)).toBe(0);
    expect([scene.user.lockedVm, scene.process.memory.lockedVm]).toEqual([4, 0]);
    expect(scene.map(0x10000n, BUFFER + 0x10000n, 0x2000n)).toBe(-Errno.ENOMEM);
    expect([scene.user.lockedVm, scene.pins(BUFFER + 0x10000n)]).toEqual([4, 0]);
    expect(domain.mappedUnits).toBe(32);
    expect(scene.unmap(0n, 0x4000n)).toBe(0);
    expect(scene.user.lockedVm).toBe(0);
  });

  it('charges the memory map in mode MM', () => {
    const scene = new IoasScene();
    withDomain(scene);
    scene.process.canLockMemory = false;
    scene.process.memlockLimit = 4;
    scene.context.accountMode = 'mm';
    expect(scene.map(0n, BUFFER, 0x4000n)).toBe(0);
    expect([scene.user.lockedVm, scene.process.memory.lockedVm]).toEqual([0, 4]);
    expect(scene.map(0x10000n, BUFFER, 0x1000n)).toBe(-Errno.ENOMEM);
  });

  it('charges nothing for a process that may lock memory', () => {
    const scene = new IoasScene();
    withDomain(scene);
    scene.process.memlockLimit = 0;
    expect(scene.map(0n, BUFFER, 0x4000n)).toBe(0);
    expect([scene.user.lockedVm, scene.process.memory.lockedVm, scene.process.memory.pinnedVm]).toEqual([0, 0, 4]);
  });

  it('fails new pins of a process that is gone but keeps its pinned pages', () => {
    const scene = new IoasScene();
    const domain = withDomain(scene);
    expect(scene.map(0n, BUFFER, 0x1000n)).toBe(0);
    const target = scene.newIoas();
    expect(scene.copy(scene.ioas, 0n, target, 0n, 0x1000n)).toBe(0);
    scene.run(scene.process.memory.exit());
    expect(scene.run(target.addDomain(new RecordingDomain()))).toBe(0);
    expect(scene.unmap(0n, 0x1000n)).toBe(0);
    expect(domain.mappedUnits).toBe(0);
    expect(scene.map(0n, BUFFER, 0x1000n)).toBe(-Errno.EFAULT);
  });
});
