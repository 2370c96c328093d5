import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { AddressSpace } from '../../../../src/stack/kernel/address-space.ts';
import { MemoryFile } from '../../../../src/stack/kernel/memory-file.ts';
import { PageFrames } from '../../../../src/stack/kernel/page-frames.ts';
import { bootKernel } from '../../../support/mock-machine.ts';

const BASE = 0x1000_0000n;
const VPN = Number(BASE >> 12n);

function scene() {
  const kernel = bootKernel('L73');
  const frames = new PageFrames();
  const memory = new AddressSpace(frames);
  return { kernel, frames, memory };
}

describe('an address space', () => {
  it('pins what is mapped, as far as it goes, and nothing it may not touch', () => {
    const { kernel, frames, memory } = scene();
    kernel.run(memory.map(BASE, 0x3000n));
    kernel.run(memory.map(BASE + 0x10000n, 0x1000n, { writable: false }));
    kernel.run(memory.map(BASE + 0x20000n, 0x1000n, { readable: false, writable: false }));
    const out: number[] = [];
    expect(memory.pin(VPN + 1, 4, true, out, 0)).toBe(2);
    expect(out.map((pfn) => frames.pinCount(pfn))).toEqual([1, 1]);
    expect(memory.pin(VPN + 3, 1, false, out, 0)).toBe(-Errno.EFAULT);
    expect(memory.pin(VPN + 0x10, 1, true, out, 0)).toBe(-Errno.EFAULT);
    expect(memory.pin(VPN + 0x10, 1, false, out, 0)).toBe(1);
    expect(memory.pin(VPN + 0x20, 1, false, out, 0)).toBe(-Errno.EFAULT);
  });

  it('splits a region when its middle is unmapped and keeps pinned bytes alive', () => {
    const { kernel, frames, memory } = scene();
    kernel.run(memory.map(BASE, 0x3000n));
    const out: number[] = [];
    memory.write(BASE + 0x1000n, Uint8Array.of(7));
    memory.write(BASE + 0x2000n, Uint8Array.of(8));
    memory.pin(VPN + 1, 1, true, out, 0);
    kernel.run(memory.unmap(BASE + 0x1000n, 0x1000n));
    expect(memory.read(BASE + 0x1000n, 1)).toBeUndefined();
    expect(memory.read(BASE + 0x2000n, 1)).toEqual(Uint8Array.of(8));
    const pfn = out[0] as number;
    expect(frames.bytes(pfn)[0]).toBe(7);
    frames.unpin(pfn);
    expect(frames.peek(pfn)).toBeUndefined();
  });

  it('backs anonymous memory with short physical runs and huge pages with whole ones', () => {
    const { kernel, memory } = scene();
    kernel.run(memory.map(BASE, 0x40_0000n));
    kernel.run(memory.map(0x4000_0000n, 0x40_0000n, { huge: true }));
    const longestRun = (vpn: number): number => {
      const out: number[] = [];
      expect(memory.pin(vpn, 1024, true, out, 0)).toBe(1024);
      let longest = 1;
      let run = 1;
      for (let i = 1; i < out.length; i++) {
        run = out[i] === (out[i - 1] as number) + 1 ? run + 1 : 1;
        longest = Math.max(longest, run);
      }
      return longest;
    };
    expect(longestRun(VPN)).toBe(63);
    expect(longestRun(0x40000)).toBeGreaterThanOrEqual(512);
  });

  it('shows placed frames before anything else', () => {
    const { memory } = scene();
    memory.place(VPN, 0x1234, 2);
    const out: number[] = [];
    expect(memory.pin(VPN, 2, true, out, 0)).toBe(2);
    expect(out).toEqual([0x1234, 0x1235]);
    expect(memory.frameAt(BASE + 0x1fffn, true)).toBe(0x1235);
  });

  it('forks into a copy of its own, with files shared', () => {
    const { kernel, frames, memory } = scene();
    const file = new MemoryFile('shmem', 0x1000n, frames);
    kernel.run(memory.map(BASE, 0x1000n));
    kernel.run(memory.map(BASE + 0x1000n, 0x1000n, { file }));
    memory.write(BASE, Uint8Array.of(1));
    memory.pinnedVm = 5;
    const child = memory.fork();
    child.write(BASE, Uint8Array.of(2));
    child.write(BASE + 0x1000n, Uint8Array.of(3));
    expect(memory.read(BASE, 1)).toEqual(Uint8Array.of(1));
    expect(memory.read(BASE + 0x1000n, 1)).toEqual(Uint8Array.of(3));
    expect([child.read(BASE, 1)?.[0], child.pinnedVm]).toEqual([2, 0]);
  });

  it('reads and writes kernel memory through a mapping of it but never pins it', () => {
    const { kernel, memory } = scene();
    const bytes = new Uint8Array(8192);
    kernel.run(memory.map(BASE, 0x2000n, { bytes }));
    expect(memory.write(BASE + 0x1fffn, Uint8Array.of(9))).toBe(true);
    expect(bytes[8191]).toBe(9);
    expect(memory.pin(VPN, 1, false, [], 0)).toBe(-Errno.EFAULT);
  });

  it('refuses accesses past the end of a truncated file', () => {
    const { kernel, frames, memory } = scene();
    const file = new MemoryFile('shmem', 0x2000n, frames);
    kernel.run(memory.map(BASE, 0x2000n, { file }));
    expect(memory.write(BASE + 0x1000n, Uint8Array.of(1))).toBe(true);
    file.truncate(0x1000n);
    expect(memory.read(BASE + 0x1000n, 1)).toBeUndefined();
    file.truncate(0x2000n);
    expect(memory.read(BASE + 0x1000n, 1)).toEqual(Uint8Array.of(0));
  });
});
