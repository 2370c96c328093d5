// Accesses: Linux drivers/iommu/iommufd/device.c.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import {
  Access,
  attachAccess,
  createAccess,
  destroyAccess,
  detachAccess,
  replaceAccess,
} from '../../../../src/stack/iommufd/access.ts';
import { pinPages, readWrite, unpinPages } from '../../../../src/stack/iommufd/access-pages.ts';
import type { Ioas } from '../../../../src/stack/iommufd/ioas.ts';
import { MapFlag } from '../../../../src/stack/iommufd/uapi.ts';
import type { KernelTask } from '../../../../src/stack/kernel/task.ts';
import { BUFFER, IoasScene } from '../../../support/ioas-scene.ts';
import { RecordingDomain } from '../../../support/recording-domain.ts';

type Unmap = (iova: bigint, lengthBytes: bigint) => KernelTask<void>;

function newAccess(scene: IoasScene, ioas: Ioas, unmap?: Unmap): Access {
  const ops = unmap === undefined ? { needsPinPages: false } : { needsPinPages: true, unmap };
  const access = scene.run(createAccess(scene.context, ops));
  if (typeof access === 'number') throw new Error('no access');
  expect(scene.run(attachAccess(access, ioas.id))).toBe(0);
  return access;
}

/** A driver that keeps its pins and drops all of them when asked. */
class PinningDriver {
  readonly asked: string[] = [];
  readonly pins: [bigint, bigint][] = [];
  access: Access | undefined;

  readonly unmap: Unmap = (iova, lengthBytes) => this.#unmap(iova, lengthBytes);

  *#unmap(iova: bigint, lengthBytes: bigint): KernelTask<void> {
    this.asked.push(`${iova.toString(16)} ${lengthBytes.toString(16)}`);
    for (const [start, length] of this.pins.splice(0)) yield* unpinPages(this.access as Access, start, length);
  }

  pin(scene: IoasScene, iova: bigint, lengthBytes: bigint): number[] | number {
    const result = scene.run(pinPages(this.access as Access, iova, lengthBytes, true));
    if (typeof result !== 'number') this.pins.push([iova, lengthBytes]);
    return result;
  }
}

function pinningScene() {
  const scene = new IoasScene();
  const driver = new PinningDriver();
  driver.access = newAccess(scene, scene.ioas, driver.unmap);
  expect(scene.map(0n, BUFFER, 0x4000n)).toBe(0);
  return { scene, driver, access: driver.access };
}

describe('an unmap under pins', () => {
  it('asks the access to unpin exactly the area and then goes on', () => {
    const { scene, driver } = pinningScene();
    expect(scene.map(0x4000n, BUFFER + 0x4000n, 0x4000n)).toBe(0);
    expect(driver.pin(scene, 0x1000n, 0x4000n)).toHaveLength(4);
    expect(scene.unmap(0n, 0x8000n)).toBe(0);
    expect(driver.asked).toEqual(['0 4000']);
    expect([scene.ioas.areas.size, scene.pins(BUFFER + 0x1000n)]).toEqual([0, 0]);
  });

  it('gives up after a hundred rounds with EDEADLK and refuses new pins from then on', () => {
    const scene = new IoasScene();
    let asked = 0;
    const access = newAccess(scene, scene.ioas, function* () {
      asked++;
      yield 0;
    });
    expect(scene.map(0n, BUFFER, 0x1000n)).toBe(0);
    expect(scene.run(pinPages(access, 0n, 0x1000n, false))).toHaveLength(1);
    expect(scene.unmap(0n, 0x1000n)).toBe(-Errno.EDEADLK);
    expect(asked).toBe(101);
    expect(scene.run(pinPages(access, 0n, 0x1000n, false))).toBe(-Errno.EINVAL);
    expect(scene.run(readWrite(access, 0n, new Uint8Array(4), false))).toBe(-Errno.EINVAL);
  });

  it('keeps a page pinned for an access when its domain goes', () => {
    const { scene, driver } = pinningScene();
    const domain = new RecordingDomain();
    expect(scene.run(scene.ioas.addDomain(domain))).toBe(0);
    expect(driver.pin(scene, 0x1000n, 0x1000n)).toHaveLength(1);
    scene.run(scene.ioas.removeDomain(domain));
    expect([scene.pins(BUFFER), scene.pins(BUFFER + 0x1000n)]).toEqual([0, 1]);
  });
});

describe('pinning', () => {
  it('needs contiguous areas, whole pages and the right permission', () => {
    const { scene, access } = pinningScene();
    expect(scene.map(0x8000n, BUFFER + 0x8000n, 0x1000n, MapFlag.readable)).toBe(0);
    const pin = (iova: bigint, lengthBytes: bigint, write = false) =>
      scene.run(pinPages(access, iova, lengthBytes, write));
    expect(pin(0n, 0n)).toBe(-Errno.EINVAL);
    expect(pin(0xffff_ffff_ffff_f000n, 0x2000n)).toBe(-Errno.EOVERFLOW);
    expect(pin(0x800n, 0x1000n)).toBe(-Errno.EINVAL);
    expect(pin(0x3000n, 0x2000n)).toBe(-Errno.ENOENT);
    expect(pin(0x8000n, 0x1000n, true)).toBe(-Errno.EPERM);
    expect([0n, 0x3000n, 0x8000n].map((offset) => scene.pins(BUFFER + offset))).toEqual([0, 0, 0]);
    expect(pin(0x1000n, 0x1800n)).toHaveLength(2);
  });

  it('shares one record for equal ranges and counts different ones apart', () => {
    const { scene, access } = pinningScene();
    const pin = (iova: bigint, lengthBytes: bigint) => scene.run(pinPages(access, iova, lengthBytes, false));
    pin(0n, 0x2000n);
    pin(0n, 0x2000n);
    pin(0x1000n, 0x2000n);
    expect(scene.process.memory.pinnedVm).toBe(3);
    scene.run(unpinPages(access, 0n, 0x2000n));
    expect(scene.process.memory.pinnedVm).toBe(3);
    scene.run(unpinPages(access, 0n, 0x2000n));
    expect([0n, 0x1000n, 0x2000n].map((offset) => scene.pins(BUFFER + offset))).toEqual([0, 1, 1]);
  });
});

describe('reading and writing', () => {
  it('copies bytes across pages and areas, up to the first hole', () => {
    const scene = new IoasScene();
    const access = newAccess(scene, scene.ioas);
    expect(scene.map(0n, BUFFER, 0x1000n)).toBe(0);
    expect(scene.map(0x1000n, BUFFER + 0x8000n, 0x1000n)).toBe(0);
    const data = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
    expect(scene.run(readWrite(access, 0xff0n, data, true))).toBe(0);
    expect(scene.process.memory.read(BUFFER + 0x8000n, 16)).toEqual(data.subarray(16));
    const back = new Uint8Array(32);
    expect(scene.run(readWrite(access, 0xff0n, back, false))).toBe(0);
    expect(back).toEqual(data);
    expect(scene.run(readWrite(access, 0x1ff0n, data, true))).toBe(-Errno.ENOENT);
    expect(scene.process.memory.read(BUFFER + 0x8ff0n, 16)).toEqual(data.subarray(0, 16));
  });

  it('answers EFAULT where the owner has no memory', () => {
    const scene = new IoasScene();
    const access = newAccess(scene, scene.ioas);
    expect(scene.map(0n, 0x1000n, 0x1000n)).toBe(0);
    expect(scene.run(readWrite(access, 0n, new Uint8Array(1), false))).toBe(-Errno.EFAULT);
    expect(scene.run(readWrite(access, 0n, new Uint8Array(0), false))).toBe(-Errno.EINVAL);
  });
});

describe('changing the IOAS of an access', () => {
  it('flushes the old one with the whole range and moves the alignment', () => {
    const { scene, driver, access } = pinningScene();
    const target = scene.newIoas();
    driver.pin(scene, 0n, 0x1000n);
    expect([scene.ioas.alignment, target.alignment]).toEqual([4096n, 1n]);
    expect(scene.run(replaceAccess(access, target.id))).toBe(0);
    expect(driver.asked).toEqual(['0 ffffffffffffffff']);
    expect([scene.ioas.alignment, target.alignment, scene.ioas.users, target.users]).toEqual([1n, 4096n, 1, 2]);
    expect(scene.pins(BUFFER)).toBe(0);
  });

  it('to the one it has does nothing', () => {
    const { scene, driver, access } = pinningScene();
    expect(scene.run(replaceAccess(access, scene.ioas.id))).toBe(0);
    expect(driver.asked).toEqual([]);
  });

  it('leaves the old attachment intact when the new one does not fit', () => {
    const { scene, driver, access } = pinningScene();
    const target = scene.newIoas();
    expect(scene.map(0x800n, BUFFER, 0x100n, undefined, target)).toBe(0);
    expect(scene.run(replaceAccess(access, target.id))).toBe(-Errno.EADDRINUSE);
    expect(driver.asked).toEqual([]);
    expect(driver.pin(scene, 0n, 0x1000n)).toHaveLength(1);
  });

  it('needs an attachment to replace, and none to attach', () => {
    const { scene, access } = pinningScene();
    expect(scene.run(attachAccess(access, scene.ioas.id))).toBe(-Errno.EINVAL);
    expect(scene.run(replaceAccess(access, 99))).toBe(-Errno.ENOENT);
    scene.run(detachAccess(access));
    expect(scene.run(replaceAccess(access, scene.ioas.id))).toBe(-Errno.ENOENT);
    expect(scene.run(pinPages(access, 0n, 0x1000n, false))).toBe(-Errno.ENOENT);
    expect(scene.run(attachAccess(access, scene.ioas.id))).toBe(0);
  });

  it('refuses further changes and pins while the first waits for the driver', () => {
    const scene = new IoasScene();
    const target = scene.newIoas();
    const seen: unknown[] = [];
    const access: Access = newAccess(scene, scene.ioas, function* () {
      if (seen.length > 0) return;
      seen.push(access.ioas, access.ioasOfPins);
      seen.push(yield* attachAccess(access, target.id));
      seen.push(yield* replaceAccess(access, target.id));
      seen.push(yield* pinPages(access, 0n, 0x1000n, false));
    });
    expect(scene.run(replaceAccess(access, target.id))).toBe(0);
    expect(seen).toEqual([undefined, scene.ioas, -Errno.EINVAL, -Errno.ENOENT, -Errno.ENOENT]);
    expect(access.ioas).toBe(target);
  });

  it('happens at destruction too, with the callback', () => {
    const { scene, driver, access } = pinningScene();
    driver.pin(scene, 0n, 0x1000n);
    const holders = scene.context.file.count;
    expect(scene.run(destroyAccess(access))).toBe(0);
    expect(driver.asked).toEqual(['0 ffffffffffffffff']);
    expect([scene.ioas.users, scene.context.file.count]).toEqual([1, holders - 1]);
    expect(scene.context.objects.peek(access.id, Access)).toBeUndefined();
  });
});
