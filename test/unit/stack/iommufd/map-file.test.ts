// IOAS_MAP_FILE: Linux drivers/iommu/iommufd/{ioas,pages}.c.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { ioasMapFile } from '../../../../src/stack/iommufd/map-file.ts';
import { MapFlag } from '../../../../src/stack/iommufd/uapi.ts';
import { DmaBuf } from '../../../../src/stack/kernel/dma-buf.ts';
import type { OpenFile } from '../../../../src/stack/kernel/file-table.ts';
import { MemoryFile } from '../../../../src/stack/kernel/memory-file.ts';
import { IoasScene, READ_WRITE } from '../../../support/ioas-scene.ts';
import { RecordingDomain } from '../../../support/recording-domain.ts';

function mapFile(scene: IoasScene, file: OpenFile | undefined, startByte: bigint, lengthBytes: bigint, iova: bigint) {
  const fd = file === undefined ? -1 : scene.process.files.install(file);
  const flags = READ_WRITE | MapFlag.fixedIova;
  const command = { flags, ioasId: scene.ioas.id, fd, startByte, lengthBytes, iova };
  return scene.run(ioasMapFile(scene.context, scene.process, command));
}

function withDomain(scene: IoasScene): RecordingDomain {
  const domain = new RecordingDomain();
  expect(scene.run(scene.ioas.addDomain(domain))).toBe(0);
  return domain;
}

describe('a map of a file', () => {
  it('maps the frames of the page cache and keeps them when the file shrinks', () => {
    const scene = new IoasScene();
    const domain = withDomain(scene);
    const file = new MemoryFile('shmem', 0x4000n, scene.frames);
    expect(mapFile(scene, file, 0x1000n, 0x2000n, 0n)).toBe(0);
    expect(domain.iovaToPhys(0n)).toBe(BigInt(file.page(1)) * 4096n);
    const pfn = file.page(2);
    file.truncate(0n);
    expect([domain.mappedUnits, scene.frames.pinCount(pfn)]).toEqual([16, 1]);
    expect(scene.unmap(0n, 0x2000n)).toBe(0);
    expect(scene.frames.pinCount(pfn)).toBe(0);
  });

  it('checks kind and end of the file only when pages are pinned', () => {
    const scene = new IoasScene();
    const other = new MemoryFile('other', 0x4000n, scene.frames);
    expect(mapFile(scene, undefined, 0n, 0x1000n, 0n)).toBe(-Errno.EBADF);
    expect(mapFile(scene, other, 0n, 0x1000n, 0n)).toBe(0);
    expect(scene.run(scene.ioas.addDomain(new RecordingDomain()))).toBe(-Errno.EINVAL);
    expect(scene.unmap(0n, 0x1000n)).toBe(0);
    withDomain(scene);
    expect(mapFile(scene, other, 0n, 0x1000n, 0n)).toBe(-Errno.EINVAL);
    const file = new MemoryFile('shmem', 0x1800n, scene.frames);
    expect(mapFile(scene, file, 0x1000n, 0x1000n, 0n)).toBe(0);
    expect(mapFile(scene, file, 0x1000n, 0x2000n, 0x10000n)).toBe(-Errno.EINVAL);
  });
});

describe('a map of a dma-buf', () => {
  it('needs a buffer large enough, importable and not revoked', () => {
    const scene = new IoasScene();
    const buffer = new DmaBuf(0x4000n, 0x5000, true);
    expect(mapFile(scene, buffer, 0x2000n, 0x3000n, 0n)).toBe(-Errno.EINVAL);
    expect(mapFile(scene, new DmaBuf(0x4000n, 0x5000, false), 0n, 0x1000n, 0n)).toBe(-Errno.EOPNOTSUPP);
    scene.run(buffer.revoke());
    expect(mapFile(scene, buffer, 0n, 0x1000n, 0n)).toBe(-Errno.ENODEV);
    buffer.restore();
    expect(mapFile(scene, buffer, 0n, 0x1000n, 0n)).toBe(0);
  });

  it('is taken out of every domain when revoked, while the area stays', () => {
    const scene = new IoasScene();
    const domain = withDomain(scene);
    const second = withDomain(scene);
    const buffer = new DmaBuf(0x4000n, 0x5000, true);
    expect(mapFile(scene, buffer, 0x1000n, 0x2000n, 0x8000n)).toBe(0);
    expect(domain.iovaToPhys(0x8000n)).toBe(0x5001000n);
    expect(scene.process.memory.pinnedVm).toBe(0);
    scene.run(buffer.revoke());
    expect([domain.mappedUnits, second.mappedUnits, scene.ioas.areas.size]).toEqual([0, 0, 1]);
    const third = withDomain(scene);
    expect(third.mappedUnits).toBe(0);
    scene.run(scene.ioas.removeDomain(domain));
    const calls = second.calls.length;
    expect(scene.unmap(0x8000n, 0x2000n)).toBe(0);
    expect(second.calls).toHaveLength(calls);
  });

  it('holds the buffer until the area goes', () => {
    const scene = new IoasScene();
    const domain = withDomain(scene);
    let released = false;
    const buffer = new DmaBuf(0x1000n, 0x5000, true, function* () {
      yield 0;
      released = true;
    });
    expect(mapFile(scene, buffer, 0n, 0x1000n, 0n)).toBe(0);
    scene.run(scene.process.files.closeAll());
    expect(released).toBe(false);
    expect(scene.unmap(0n, 0x1000n)).toBe(0);
    expect([released, domain.mappedUnits]).toEqual([true, 0]);
    scene.run(buffer.revoke());
  });
});
