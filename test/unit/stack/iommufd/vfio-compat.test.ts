// The VFIO interface of an iommufd, by its bytes: Linux drivers/iommu/iommufd/vfio_compat.c. Values as recorded on a
// kernel whose /dev/vfio/vfio is served by iommufd.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { IommufdFile } from '../../../../src/stack/iommufd/iommufd-file.ts';
import { createCompatIoas, setNoIommuMode } from '../../../../src/stack/iommufd/vfio-compat.ts';
import { BUFFER, IoasScene } from '../../../support/ioas-scene.ts';
import { RecordingDomain } from '../../../support/recording-domain.ts';

/** Numbers of include/uapi/linux/vfio.h. */
const GET_API_VERSION = 0x3b64;
const CHECK_EXTENSION = 0x3b65;
const SET_IOMMU = 0x3b66;
const GET_INFO = 0x3b70;
const MAP_DMA = 0x3b71;
const UNMAP_DMA = 0x3b72;
const DIRTY_PAGES = 0x3b75;
const TYPE1 = 1n;
const TYPE1V2 = 3n;
const DMA_COHERENT = 4n;
const READ_WRITE = 3;
const UNMAP_ALL = 2;

/** Where structures are put. */
const STRUCT = BUFFER + 0x10_0000n;

class CompatScene extends IoasScene {
  readonly file = new IommufdFile(this.context);

  ioctl(request: number, argument: bigint): number {
    return this.run(this.file.ioctl(this.process, request, argument));
  }

  call(request: number, words: readonly number[], quads: readonly bigint[]): number {
    const view = new DataView(new ArrayBuffer(words.length * 4 + quads.length * 8));
    for (const [index, word] of words.entries()) view.setUint32(index * 4, word, true);
    for (const [index, quad] of quads.entries()) view.setBigUint64(words.length * 4 + index * 8, quad, true);
    this.process.memory.write(STRUCT, new Uint8Array(view.buffer));
    return this.ioctl(request, STRUCT);
  }

  mapDma(iova: bigint, lengthBytes: bigint, flags = READ_WRITE, argsz = 32): number {
    return this.call(MAP_DMA, [argsz, flags], [BUFFER, iova, lengthBytes]);
  }

  /** Result and the length that stands in the structure afterwards. */
  unmapDma(iova: bigint, lengthBytes: bigint, flags = 0): readonly [number, bigint] {
    const rc = this.call(UNMAP_DMA, [24, flags], [iova, lengthBytes]);
    return [rc, this.view(STRUCT, 24).getBigUint64(16, true)];
  }

  view(address: bigint, lengthBytes: number): DataView {
    return new DataView((this.process.memory.read(address, lengthBytes) as Uint8Array).buffer);
  }
}

/** A scene whose compatible IOAS is the one a joining group makes. */
function compatScene(): CompatScene {
  const scene = new CompatScene();
  expect(createCompatIoas(scene.context)).toBe(0);
  return scene;
}

describe('the VFIO interface of an iommufd', () => {
  it('has no address space until a group joins or one is set', () => {
    const scene = new CompatScene();
    expect(scene.ioctl(GET_API_VERSION, 0n)).toBe(0);
    expect([1n, 3n, 8n, 9n, 2n, 6n, 10n].map((each) => scene.ioctl(CHECK_EXTENSION, each))).toEqual([
      1, 1, 1, 1, 0, 0, 0,
    ]);
    expect(scene.ioctl(CHECK_EXTENSION, DMA_COHERENT)).toBe(-Errno.ENODEV);
    expect(scene.ioctl(SET_IOMMU, TYPE1V2)).toBe(-Errno.ENODEV);
    expect(scene.ioctl(SET_IOMMU, 99n)).toBe(-Errno.EINVAL);
    expect(scene.mapDma(0n, 0x1000n)).toBe(-Errno.ENODEV);
    expect(scene.unmapDma(0n, 0x1000n)[0]).toBe(-Errno.ENODEV);
    expect(scene.call(DIRTY_PAGES, [8, 1], [])).toBe(-Errno.ENOTTY);
    expect(scene.ioctl(MAP_DMA, 0n)).toBe(-Errno.EFAULT);
  });

  it('keeps no-IOMMU mode and a compatible IOAS apart', () => {
    const scene = compatScene();
    expect(setNoIommuMode(scene.context)).toBe(-Errno.EINVAL);
    const other = new CompatScene();
    expect(setNoIommuMode(other.context)).toBe(0);
    expect(createCompatIoas(other.context)).toBe(-Errno.EINVAL);
    expect(other.ioctl(SET_IOMMU, TYPE1V2)).toBe(-Errno.EINVAL);
  });

  it('reports page sizes and a chain of capabilities, as far as the caller has room', () => {
    const scene = compatScene();
    expect(scene.call(GET_INFO, [8, 0], [])).toBe(-Errno.EINVAL);
    expect(scene.call(GET_INFO, [16, 0], [0n])).toBe(0);
    expect(scene.view(STRUCT, 16).getUint32(0, true)).toBe(72);
    expect(scene.call(GET_INFO, [256, 0], [0n, 0n])).toBe(0);
    const info = scene.view(STRUCT, 72);
    expect([info.getUint32(0, true), info.getUint32(4, true), info.getUint32(16, true)]).toEqual([72, 3, 24]);
    expect(info.getBigUint64(8, true)).toBe(0xffff_ffff_ffff_f000n);
    // id, version, offset of the next one; then the number of maps left.
    expect([info.getUint16(24, true), info.getUint16(26, true), info.getUint32(28, true)]).toEqual([3, 1, 40]);
    expect(info.getUint32(32, true)).toBe(0xffff_ffff);
    // The last one: one range, everything.
    expect([info.getUint16(40, true), info.getUint16(42, true), info.getUint32(44, true)]).toEqual([1, 1, 0]);
    expect(info.getUint32(48, true)).toBe(1);
    expect([info.getBigUint64(56, true), info.getBigUint64(64, true)]).toEqual([0n, 0xffff_ffff_ffff_ffffn]);
  });

  it('maps as IOAS_MAP does but without asking for a permission', () => {
    const scene = compatScene();
    expect(scene.ioctl(SET_IOMMU, TYPE1V2)).toBe(0);
    expect(scene.mapDma(0x10000n, 0x1000n, 0)).toBe(0);
    expect(scene.mapDma(0x10000n, 0x1000n, 8)).toBe(-Errno.EINVAL);
    expect(scene.mapDma(0x10000n, 0n)).toBe(-Errno.EINVAL);
    expect(scene.mapDma(0x10000n, 0x4000n)).toBe(-Errno.EEXIST);
    expect(scene.mapDma(0xffff_ffff_ffff_f000n, 0x2000n)).toBe(-Errno.EOVERFLOW);
    expect(scene.mapDma(0x20000n, 0x1000n, READ_WRITE, 16)).toBe(-Errno.EINVAL);
  });

  it('unmaps whole areas in version 2, writing the length back also when that fails', () => {
    const scene = compatScene();
    expect(scene.mapDma(0x10000n, 0x1000n)).toBe(0);
    expect(scene.mapDma(0x13000n, 0x4000n)).toBe(0);
    expect(scene.unmapDma(0x10001n, 0x1000n)).toEqual([-Errno.ENOENT, 0n]);
    expect(scene.unmapDma(0x10000n, 0x1001n)).toEqual([0, 0x1000n]);
    expect(scene.unmapDma(0x10000n, 0x1000n)).toEqual([0, 0n]);
    expect(scene.unmapDma(0x12000n, 0x4000n)).toEqual([-Errno.ENOENT, 0n]);
    expect(scene.unmapDma(0xffff_ffff_ffff_f000n, 0x2000n)).toEqual([-Errno.EOVERFLOW, 0n]);
    expect(scene.unmapDma(0x10000n, 0n)[0]).toBe(-Errno.EINVAL);
    expect(scene.unmapDma(0n, 0x1000n, UNMAP_ALL)).toEqual([-Errno.EINVAL, 0x1000n]);
    expect(scene.unmapDma(0n, 0n, UNMAP_ALL)).toEqual([0, 0x4000n]);
    expect(scene.unmapDma(0n, 0n, UNMAP_ALL)).toEqual([0, 0n]);
  });

  it('splits areas at both ends in version 1, in the domains too', () => {
    const scene = compatScene();
    expect(scene.ioctl(SET_IOMMU, TYPE1)).toBe(0);
    const domain = new RecordingDomain();
    expect(scene.run(scene.context.vfioIoas?.addDomain(domain) ?? never())).toBe(0);
    expect(scene.mapDma(0x100000n, 0x10000n)).toBe(0);
    expect(scene.unmapDma(0x104000n, 0x2000n)).toEqual([0, 0x2000n]);
    expect(scene.unmapDma(0x100000n, 0x1000n)).toEqual([0, 0x1000n]);
    expect(scene.mapDma(0x100000n, 0x10000n)).toBe(-Errno.EEXIST);
    expect(scene.mapDma(0x110000n, 0x10000n)).toBe(0);
    expect(scene.unmapDma(0x10f000n, 0x2000n)).toEqual([0, 0x2000n]);
    expect(scene.unmapDma(0x100000n, 0x11000n)).toEqual([0, 0xc000n]);
    expect(domain.mappedUnits).toBe(0xf000 / 512);
    expect(scene.process.memory.pinnedVm).toBe(0xf);
    expect(scene.unmapDma(0n, 0x1000000n)).toEqual([0, 0xf000n]);
    expect([domain.mappedUnits, scene.process.memory.pinnedVm]).toEqual([0, 0]);
  });
});

function never(): never {
  throw new Error('no compatible IOAS');
}
