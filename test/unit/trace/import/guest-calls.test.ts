import { describe, expect, it } from 'vitest';
import type { ControlCall } from '../../../../src/trace/import/control-call.ts';
import { ControlLogParser } from '../../../../src/trace/import/control-log-parser.ts';
import { DeviceIndex } from '../../../../src/trace/import/device-index.ts';
import { DiagnosticCounts } from '../../../../src/trace/import/diagnostics.ts';
import { FtraceParser } from '../../../../src/trace/import/ftrace-parser.ts';
import { recoverCalls } from '../../../../src/trace/import/guest-calls.ts';
import type { OwnerEvidence } from '../../../../src/trace/import/orphan-attribution.ts';
import { NONE_U32 } from '../../../../src/trace/schema/column-type.ts';

const NO_EVIDENCE: OwnerEvidence = {
  deviceOfDomain: () => undefined,
  deviceUsingPage: () => undefined,
  deviceOfThread: () => undefined,
  onlyDevice: () => undefined,
};

/** Calls of a trace whose lines are `thread event`, one microsecond apart. */
function callsOf(
  lines: readonly string[],
  evidence: OwnerEvidence = NO_EVIDENCE,
  log: readonly object[] = [],
): ControlCall[] {
  const diagnostics = new DiagnosticCounts({ strict: true });
  const parser = new FtraceParser('ftrace.txt', diagnostics);
  const text = lines.map((line, index) => {
    const [thread, ...event] = line.split(' ');
    return `  task-${thread}  [000] .....     1.${String(index).padStart(6, '0')}: ${event.join(' ')}`;
  });
  parser.feed(Buffer.from(text.join('\n')));
  const control = new ControlLogParser('control.jsonl', diagnostics);
  control.feed(Buffer.from(log.map((entry) => JSON.stringify(entry)).join('\n')));
  return recoverCalls({
    guest: parser.end(),
    control: log.length === 0 ? undefined : control.end(),
    devices: new DeviceIndex(),
    evidence,
    diagnostics,
  });
}

const map = (iova: number, paddr: number, size = 4096): string =>
  `map: IOMMU: iova=0x${iova.toString(16)} - 0x${(iova + size).toString(16)} paddr=0x${paddr.toString(16)} size=${size}`;
const unmap = (iova: number, size = 4096): string =>
  `unmap: IOMMU: iova=0x${iova.toString(16)} - 0x${(iova + size).toString(16)} size=${size} unmapped_size=${size}`;
const flush = (iova: number): string =>
  `cache_tag_flush_range: dmar0 dmar0[0] type iotlb did 11 [0x${iova.toString(16)}-0x0] addr 0x0 mask 0x0`;
const submit = (iova: number): string => `qi_submit: iotlb_inv dmar0: 0xb00f2 0x${(iova + 0x40).toString(16)} 0x0 0x0`;
const A = '0000:02:00.0';
const B = '0000:05:00.0';

describe('DMA-API calls', () => {
  it('joins a map with the event that names its device, at the place of the map', () => {
    const [call] = callsOf([
      `1 ${map(0xf000, 0x7000)}`,
      `1 dma_map_page: ${A} dir=TO_DEVICE dma_addr=f200 size=100 phys_addr=7200 attrs=`,
    ]);
    expect(call).toMatchObject({
      op: 'dma_map',
      position: 0,
      iova: 0xf200,
      length: 100,
      flags: 1,
      frames: [{ iovaPfn: 0xf, pfn: 7, pageCount: 1 }],
    });
  });

  it('joins a strict unmap with its flush, its descriptor and its event', () => {
    const [call] = callsOf([
      `1 ${unmap(0xf000)}`,
      `1 ${flush(0xf000)}`,
      `1 ${submit(0xf000)}`,
      `1 dma_unmap_page: ${A} dir=TO_DEVICE dma_addr=f200 size=100 attrs=`,
    ]);
    expect(call).toMatchObject({ op: 'dma_unmap', position: 0, submits: [2], iova: 0xf200 });
  });

  it('keeps apart what an interrupt does in the middle of a scatter list', () => {
    const calls = callsOf([
      `1 ${map(0xa000, 0x1000)}`,
      `1 ${unmap(0xf000)}`,
      `1 ${submit(0xf000)}`,
      `1 dma_unmap_page: ${B} dir=TO_DEVICE dma_addr=f000 size=4096 attrs=`,
      `1 ${map(0xe000, 0x9000)}`,
      `1 dma_map_page: ${B} dir=FROM_DEVICE dma_addr=e000 size=4096 phys_addr=9000 attrs=`,
      `1 ${map(0xb000, 0x2000)}`,
      `1 dma_map_sg: ${A} dir=FROM_DEVICE nents=2/2 ents=1/1 dma_addrs={0xa000} sizes={0x2000} phys_addrs={0x1000,0x2000} attrs=`,
    ]);
    expect(calls.map(({ op, position, length, device }) => [op, position, length, device])).toEqual([
      ['dma_map', 0, 0x2000, 1],
      ['dma_unmap', 1, 4096, 0],
      ['dma_map', 4, 4096, 0],
    ]);
    expect(calls[1]?.submits).toEqual([2]);
    expect(calls[0]?.frames).toEqual([{ iovaPfn: 10, pfn: 1, pageCount: 2 }]);
  });

  it('finds the range behind a scatter-list unmap, which names physical pieces only', () => {
    const sg = (iova: string): string =>
      `dma_map_sg: ${A} dir=TO_DEVICE nents=1/1 ents=1/1 dma_addrs={${iova}} sizes={0x1000} phys_addrs={0x1000} attrs=`;
    const calls = callsOf([
      `1 ${map(0xa000, 0x1000)}`,
      `1 ${sg('0xa000')}`,
      `1 ${map(0xb000, 0x1000)}`,
      `1 ${sg('0xb000')}`,
      `2 dma_unmap_sg: ${A} dir=TO_DEVICE phys_addrs={0x1000} attrs=`,
      `2 ${unmap(0xb000)}`,
      `2 ${submit(0xb000)}`,
    ]);
    expect(calls[2]).toMatchObject({ op: 'dma_unmap', position: 5, iova: 0xb000, submits: [6] });
  });

  it('gives maps without a named device to the domain that a flush names, one call for each unmap', () => {
    const evidence = { ...NO_EVIDENCE, deviceOfDomain: (id: number) => (id === 11 ? 3 : undefined) };
    const calls = callsOf(
      [
        `1 ${map(0xa000, 0x1000)}`,
        `1 ${map(0xb000, 0x5000)}`,
        `1 ${unmap(0xa000, 0x2000)}`,
        `1 ${flush(0xa000)}`,
        `1 ${submit(0xa000)}`,
      ],
      evidence,
    );
    expect(calls.map(({ op, device, length }) => [op, device, length])).toEqual([
      ['dma_map', 3, 0x2000],
      ['dma_unmap', 3, 0x2000],
    ]);
    expect(calls[1]?.submits).toEqual([4]);
  });

  it('leaves out what has no owner, and counts it as lost', () => {
    expect(() => callsOf([`1 ${map(0xa000, 0x1000)}`])).toThrow('mapping of unknown device');
  });
});

describe('system calls', () => {
  const log = [
    { t_ns: 999_000_000, dur_ns: 10, op: 'open_iommufd', ret: 0, errno: 0 },
    { t_ns: 999_500_000, dur_ns: 10, op: 'open_cdev', ret: 0, errno: 0, bdf: A },
    {
      t_ns: 999_999_500,
      dur_ns: 4000,
      op: 'IOMMU_IOAS_MAP',
      ret: 0,
      errno: 0,
      ioas_id: 1,
      flags: 7,
      user_va: '0x7d0000000000',
      iova: '0xa000',
      length: '0x2000',
    },
    { t_ns: 1_000_005_500, dur_ns: 3000, op: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', ret: -1, errno: 16, pt_id: 4 },
  ];

  it('stand at their first effect, with what they mapped and their result', () => {
    const calls = callsOf(
      [
        '9 sys_ioctl(fd: 5, cmd: 3b85, arg: 7ffd)',
        `9 ${map(0xa000, 0x1000)}`,
        `9 ${map(0xb000, 0x1000)}`,
        '9 sys_ioctl -> 0x0',
        '9 sys_ioctl(fd: 7, cmd: 3b6c, arg: 7ffd)',
        '9 sys_ioctl -> 0x0',
        '9 sys_ioctl(fd: 7, cmd: 3b77, arg: 7ffd)',
        '9 sys_ioctl -> 0xfffffffffffffff0',
        '9 attach_device_to_domain: IOMMU: device=0000:02:00.0',
      ],
      NO_EVIDENCE,
      log,
    );
    expect(calls.map(({ op, position, result }) => [op, position, result])).toEqual([
      ['open_iommufd', -0.5, 0],
      ['open_cdev', -0.5, 0],
      ['IOMMU_IOAS_MAP', 1, 0],
      ['VFIO_DEVICE_ATTACH_IOMMUFD_PT', 6, -16],
      ['close', 8, 0],
      ['close', 8, 0],
    ]);
    expect(calls[2]).toMatchObject({ object: 1, userAddress: 0x7d0000000000n, iova: 0xa000n, context: 0 });
    expect(calls[2]?.frames).toHaveLength(2);
    expect(calls[4]).toMatchObject({ device: 0, context: NONE_U32 });
    expect(calls[5]).toMatchObject({ device: NONE_U32, context: 0 });
  });
});
