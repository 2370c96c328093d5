// Device features beside migration: DMA logging, low power, VF token (Linux drivers/vfio).
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { EventFd } from '../../../../src/stack/kernel/event-fd.ts';
import type { VfioDevice } from '../../../../src/stack/vfio/device.ts';
import { checkAccess, type VfioDeviceFile } from '../../../../src/stack/vfio/device-file.ts';
import type { DmaLogging, LoggedRange } from '../../../../src/stack/vfio/dma-logging.ts';
import { deviceFeature } from '../../../../src/stack/vfio/features.ts';
import { parseDeviceString } from '../../../../src/stack/vfio/vf-token.ts';
import type { VfioPciDriver } from '../../../../src/stack/vfio/vfio-pci.ts';
import { BUFFER, ContainerBench } from '../../../support/container-bench.ts';

const [GET, SET, PROBE] = [0x1_0000, 0x2_0000, 0x4_0000];
const TOKEN = '12345678-9abc-def0-1234-56789abcdef0';

let bench: ContainerBench;
let device: VfioDevice;
let driver: VfioPciDriver;

function call(flags: number, data: Uint8Array = new Uint8Array(8), argsz = 8 + data.length): number {
  return deviceFeature(
    device,
    {
      argsz,
      flags,
      readData: (lengthBytes) => data.subarray(0, lengthBytes),
      writeData: (bytes) => {
        data.set(bytes);
        return 0;
      },
    },
    bench.process,
  );
}

beforeEach(() => {
  bench = new ContainerBench();
  device = bench.device();
  driver = device.driver as VfioPciDriver;
});

describe('DMA logging', () => {
  /** Marks every second page of what it is asked about. */
  class EvenPages implements DmaLogging {
    ranges: readonly LoggedRange[] | undefined;

    start(_device: VfioDevice, ranges: readonly LoggedRange[], pageSize: bigint): bigint {
      if (this.ranges !== undefined) return BigInt(-Errno.EINVAL);
      this.ranges = ranges;
      return pageSize < 0x2000n ? 0x2000n : pageSize;
    }

    stop(): number {
      if (this.ranges === undefined) return -Errno.EINVAL;
      this.ranges = undefined;
      return 0;
    }

    report(
      _device: VfioDevice,
      iova: bigint,
      lengthBytes: bigint,
      mark: (iova: bigint, lengthBytes: bigint) => void,
    ): number {
      for (let at = iova; at < iova + lengthBytes; at += 0x2000n) mark(at, 0x1000n);
      return 0;
    }
  }

  let logging: EvenPages;
  const ranges = (...pairs: (readonly [bigint, bigint])[]): bigint => {
    const view = new DataView(new ArrayBuffer(16 * pairs.length));
    for (const [index, [start, length]] of pairs.entries()) {
      view.setBigUint64(16 * index, start, true);
      view.setBigUint64(16 * index + 8, length, true);
    }
    bench.process.memory.write(BUFFER, new Uint8Array(view.buffer));
    return BUFFER;
  };
  const start = (pageSize: bigint, count: number, address: bigint): { rc: number; pageSize: bigint } => {
    const view = new DataView(new ArrayBuffer(24));
    view.setBigUint64(0, pageSize, true);
    view.setUint32(8, count, true);
    view.setBigUint64(16, address, true);
    const rc = call(SET | 6, new Uint8Array(view.buffer));
    return { rc, pageSize: view.getBigUint64(0, true) };
  };
  const report = (iova: bigint, lengthBytes: bigint, pageSize: bigint, bitmap: bigint): number => {
    const view = new DataView(new ArrayBuffer(32));
    for (const [index, value] of [iova, lengthBytes, pageSize, bitmap].entries()) {
      view.setBigUint64(8 * index, value, true);
    }
    return call(GET | 8, new Uint8Array(view.buffer));
  };

  beforeEach(() => {
    logging = new EvenPages();
    Object.assign(driver, { logging });
  });

  it('is ENOTTY without support', () => {
    Object.assign(driver, { logging: undefined });
    for (const flags of [SET | 6, SET | 7, GET | 8]) expect(call(flags)).toBe(-Errno.ENOTTY);
  });

  it('checks count, alignment, wrap and overlap of the ranges', () => {
    expect(start(0x1000n, 0, 0n).rc).toBe(-Errno.EINVAL);
    expect(start(0x1000n, 257, 0n).rc).toBe(-Errno.E2BIG);
    expect(start(0x1000n, 1, 1n).rc).toBe(-Errno.EFAULT);
    expect(start(0x1000n, 1, ranges([0x800n, 0x1000n])).rc).toBe(-Errno.EINVAL);
    expect(start(0n, 1, ranges([0x1000n, 0x1000n])).rc).toBe(-Errno.EINVAL);
    expect(start(0x1000n, 1, ranges([0xffff_ffff_ffff_f000n, 0x2000n])).rc).toBe(-Errno.EOVERFLOW);
    expect(start(0x1000n, 2, ranges([0n, 0x2000n], [0x1000n, 0x1000n])).rc).toBe(-Errno.EINVAL);
    expect(call(SET | 6, new Uint8Array(8))).toBe(-Errno.EINVAL);
    expect(call(GET | 6, new Uint8Array(24))).toBe(-Errno.EINVAL);
    expect(call(SET | PROBE | 6)).toBe(0);
  });

  it('tells the page size in use, and leaves on and off to the driver', () => {
    expect(start(0x1000n, 2, ranges([0n, 0x1000n], [0x1000n, 0x1000n]))).toEqual({ rc: 0, pageSize: 0x2000n });
    expect(logging.ranges).toEqual([
      { start: 0n, last: 0xfffn },
      { start: 0x1000n, last: 0x1fffn },
    ]);
    expect(start(0x1000n, 1, ranges([0n, 0x1000n])).rc).toBe(-Errno.EINVAL);
    expect(call(SET | 7, new Uint8Array(0))).toBe(0);
    expect(call(SET | 7, new Uint8Array(0))).toBe(-Errno.EINVAL);
  });

  it('sets bits of a report and clears none', () => {
    bench.process.memory.write(BUFFER, Uint8Array.of(0b1000_0000));
    expect(report(0x10_000n, 0x6000n, 0x1000n, BUFFER)).toBe(0);
    expect(bench.process.memory.read(BUFFER, 1)?.[0]).toBe(0b1001_0101);
    expect(report(0n, 0x1000n, 0x800n, BUFFER)).toBe(-Errno.EINVAL);
    expect(report(0n, 0x1000n, 0x3000n, BUFFER)).toBe(-Errno.EINVAL);
    expect(report(0xffff_ffff_ffff_f000n, 0x2000n, 0x1000n, BUFFER)).toBe(-Errno.EOVERFLOW);
    expect(report(0n, 0x1000n, 0x1000n, 1n)).toBe(-Errno.EFAULT);
  });
});

describe('low power', () => {
  const wakeup = (fd: number): number => call(SET | 4, new Uint8Array(Int32Array.of(fd, 0).buffer));

  it('is entered once and always left', () => {
    expect(call(SET | 5, new Uint8Array(0))).toBe(0);
    expect(call(SET | 3, new Uint8Array(0))).toBe(0);
    expect(call(SET | 3, new Uint8Array(0))).toBe(-Errno.EINVAL);
    expect(wakeup(bench.process.files.install(new EventFd()))).toBe(-Errno.EINVAL);
    expect(call(SET | 5, new Uint8Array(0))).toBe(0);
    expect(driver.lowPower.engaged).toBe(false);
  });

  it('ends with the first call on the device when a wake-up descriptor was given', () => {
    const event = new EventFd();
    expect(wakeup(-1)).toBe(-Errno.EINVAL);
    expect(wakeup(99)).toBe(-Errno.EBADF);
    expect(wakeup(bench.openContainer())).toBe(-Errno.EINVAL);
    expect(wakeup(bench.process.files.install(event))).toBe(0);
    const { group } = bench.enter(device);
    const file = bench.process.files.get(bench.deviceFd(group, device.name)) as VfioDeviceFile;
    expect(checkAccess(file)).toBe(0);
    expect(event.count).toBe(1);
    expect(driver.lowPower.engaged).toBe(false);
  });

  it('ends with the last close', () => {
    const { group } = bench.enter(device);
    const fd = bench.deviceFd(group, device.name);
    call(SET | 3, new Uint8Array(0));
    bench.close(fd);
    expect(driver.lowPower.engaged).toBe(false);
  });
});

describe('the token of a physical function', () => {
  it('is set through the feature and asked of those who open', () => {
    expect(call(SET, new Uint8Array(16))).toBe(-Errno.ENOTTY);
    const tokens = { users: 0, token: new Uint8Array(16) };
    driver.ownTokens = tokens;
    const secret = new Uint8Array(16).fill(7);
    expect(call(SET, secret.slice(0, 8))).toBe(-Errno.EINVAL);
    expect(call(SET, secret)).toBe(0);
    expect(tokens.token).toEqual(secret);
    const { group } = bench.enter(device);
    tokens.users = 1;
    expect(bench.deviceFd(group, device.name)).toBe(-Errno.EACCES);
    const text = '07070707-0707-0707-0707-070707070707';
    expect(bench.deviceFd(group, `${device.name} vf_token=${text}`)).toBeGreaterThan(0);
  });

  it('guards virtual functions', () => {
    driver.pfTokens = { users: 0, token: new Uint8Array(16).fill(1) };
    const { group } = bench.enter(device);
    expect(bench.deviceFd(group, device.name)).toBe(-Errno.EACCES);
    expect(bench.deviceFd(group, `${device.name} vf_token=${TOKEN}`)).toBe(-Errno.EACCES);
    const fd = bench.deviceFd(group, `${device.name} vf_token=01010101-0101-0101-0101-010101010101`);
    expect(fd).toBeGreaterThan(0);
    expect(driver.pfTokens.users).toBe(1);
    bench.close(fd);
    expect(driver.pfTokens.users).toBe(0);
  });

  it('is no business of other functions', () => {
    const { group } = bench.enter(device);
    expect(bench.deviceFd(group, `${device.name} vf_token=${TOKEN}`)).toBe(-Errno.EINVAL);
  });

  it('is parsed behind the name and a space', () => {
    const parse = (text: string) => parseDeviceString('0000:06:0d.0', text);
    expect(parse('0000:06:0d.1')).toBeUndefined();
    expect(parse('0000:06:0d.0x')).toBeUndefined();
    expect(parse('0000:06:0d.0')).toEqual({ token: undefined });
    expect(parse('0000:06:0d.0  ')).toEqual({ token: undefined });
    expect(parse(`0000:06:0d.0 vf_token=${TOKEN}`)).toEqual({
      token: Uint8Array.of(
        0x12,
        0x34,
        0x56,
        0x78,
        0x9a,
        0xbc,
        0xde,
        0xf0,
        0x12,
        0x34,
        0x56,
        0x78,
        0x9a,
        0xbc,
        0xde,
        0xf0,
      ),
    });
    expect(parse('0000:06:0d.0 vf_token=12')).toBe(-Errno.EINVAL);
    expect(parse('0000:06:0d.0 other=1')).toBe(-Errno.EINVAL);
    expect(parse(`0000:06:0d.0 vf_token=${TOKEN} vf_token=${TOKEN}`)).toBe(-Errno.EINVAL);
    expect(parse(`0000:06:0d.0 vf_token=${TOKEN.replace('1', 'x')}`)).toBe(-Errno.EINVAL);
  });
});
