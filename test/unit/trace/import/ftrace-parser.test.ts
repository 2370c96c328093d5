import { describe, expect, it } from 'vitest';
import { InputError } from '../../../../src/input-error.ts';
import { DiagnosticCounts } from '../../../../src/trace/import/diagnostics.ts';
import { FtraceParser, type GuestTrace } from '../../../../src/trace/import/ftrace-parser.ts';

function parse(text: string, diagnostics = new DiagnosticCounts({ strict: false })): GuestTrace {
  const parser = new FtraceParser('ftrace.txt', diagnostics);
  parser.feed(Buffer.from(text));
  return parser.end();
}

const only = (text: string): GuestTrace['events'][number] => {
  const { events } = parse(text);
  expect(events).toHaveLength(1);
  return events[0] as GuestTrace['events'][number];
};

describe('headers of ftrace text', () => {
  const map = { kind: 'map', iova: 0xfffbf000, bytes: 4096, phys: 0x19a9000 };
  const payload = 'IOMMU: iova=0x00000000fffbf000 - 0x00000000fffc0000 paddr=0x00000000019a9000 size=4096';

  it('reads trace lines with flags, in microseconds', () => {
    const line = `             blk-251     [000] d.h..     8.435271: map: ${payload}`;
    expect(only(line)).toEqual({ ...map, timeNs: 8_435_271_000, cpu: 0, thread: 251 });
  });

  it('reads trace-cmd report lines without flags, in nanoseconds', () => {
    const line = `             blk-253   [001]     8.110418632: map:                  ${payload}`;
    expect(only(line)).toEqual({ ...map, timeNs: 8_110_418_632, cpu: 1, thread: 253 });
  });

  it('reads perf script lines with the system before the name', () => {
    const line = `my prog   4711 [003]     8.110418: iommu:map: ${payload}`;
    expect(only(line)).toEqual({ ...map, timeNs: 8_110_418_000, cpu: 3, thread: 4711 });
  });

  it('reads events in the comments of function_graph output and counts the calls', () => {
    const diagnostics = new DiagnosticCounts({ strict: true });
    const { events, dialect } = parse(
      [
        '# tracer: function_graph',
        '    9.237337 |   0)    vwl-252     |               |                    qi_submit_sync() {',
        `    9.237464 |   0)    vwl-252     |               |                      /* map: ${payload} */`,
        '    9.237588 |   0)    vwl-252     | ! 250.276 us  |                    }',
        '   10.298196 |   0)    vwl-252     |               |  /* edu: map 4K regions */',
      ].join('\n'),
      diagnostics,
    );
    expect(dialect).toBe('function_graph');
    expect(events[0]).toEqual({ ...map, timeNs: 9_237_464_000, cpu: 0, thread: 252 });
    expect(events[1]).toMatchObject({ kind: 'marker', text: 'edu: map 4K regions' });
    expect(diagnostics.countOf('function_graph_call')).toBe(2);
  });

  it('keeps task names with dashes, brackets and a thread-group column apart from the thread', () => {
    expect(only(`  kworker/u8:2-ev-77 (  77) [002] d..1. 1.000002: map: ${payload}`)).toMatchObject({
      thread: 77,
      cpu: 2,
    });
    expect(only(`  [odd]-name-12  [001] ..... 1.000002: map: ${payload}`)).toMatchObject({ thread: 12, cpu: 1 });
  });
});

describe('payloads', () => {
  const event = (text: string): GuestTrace['events'][number] => only(`   task-1  [000] ..... 1.000001: ${text}`);

  it('accepts the older map and unmap forms without an end', () => {
    expect(event('map: IOMMU: iova=0x1000 paddr=0x2000 size=4096')).toMatchObject({
      kind: 'map',
      iova: 0x1000,
      bytes: 4096,
    });
    expect(event('unmap: IOMMU: iova=0x1000 size=4096 unmapped_size=8192')).toMatchObject({
      bytes: 4096,
      unmappedBytes: 8192,
    });
  });

  it('reads both names of a streaming map, whose address has no 0x', () => {
    const args = '0000:02:00.0 dir=FROM_DEVICE dma_addr=fffbf000 size=512 phys_addr=19a9000 attrs=';
    for (const name of ['dma_map_page', 'dma_map_phys']) {
      expect(event(`${name}: ${args}`)).toMatchObject({
        kind: 'dma_map',
        direction: 2,
        ranges: [{ iova: 0xfffbf000, bytes: 512 }],
      });
    }
  });

  it('reads scatter lists in the old and the truncated new form', () => {
    const newer =
      'dma_map_sg: 0000:02:00.0 dir=TO_DEVICE nents=2/200 ents=1/1 [TRUNCATED] dma_addrs={0xf000} sizes={0x2000} phys_addrs={0x1000,0x5000} attrs=';
    const older =
      'dma_map_sg: 0000:02:00.0 dir=TO_DEVICE dma_addrs={0xf000} sizes={8192} phys_addrs={0x1000,0x5000} attrs=';
    expect(event(newer)).toMatchObject({ ranges: [{ iova: 0xf000, bytes: 0x2000 }], phys: [0x1000, 0x5000] });
    expect(event(older)).toMatchObject({ direction: 1, phys: [0x1000, 0x5000] });
  });

  it('reads descriptors as four exact words', () => {
    const submit = event('qi_submit: iotlb_inv dmar0: 0xb00f2 0xfffffffffffff042 0x0 0xffffffffffffffff');
    expect(submit).toMatchObject({
      type: 'iotlb_inv',
      unit: 'dmar0',
      words: [0xb00f2n, 0xfffffffffffff042n, 0n, 2n ** 64n - 1n],
    });
  });

  it('reads system calls with and without 0x, and negative results', () => {
    expect(event('sys_ioctl(fd: 5, cmd: 3b81, arg: 7ffd)')).toMatchObject({
      kind: 'ioctl_enter',
      fd: 5,
      command: 0x3b81,
    });
    expect(event('sys_ioctl(fd: 0x5, cmd: 0x3b81, arg: 0x7ffd)')).toMatchObject({ fd: 5, command: 0x3b81 });
    expect(event('sys_ioctl -> 0xffffffffffffffea')).toMatchObject({ kind: 'ioctl_exit', result: -22 });
  });
});

describe('dirty input', () => {
  it('turns lost-event markers of every tool into events with their count', () => {
    const text = ['CPU:1 [LOST 25 EVENTS]', 'CPU:0 [7 EVENTS DROPPED]', ' LOST 3 events!'].join('\n');
    const trace = parse(text);
    expect(trace.lostEvents).toBe(35);
    expect(trace.events.map((event) => (event.kind === 'lost' ? [event.cpu, event.count] : []))).toEqual([
      [1, 25],
      [0, 7],
      [0, 3],
    ]);
  });

  it('counts unknown events and broken lines with the first position of each', () => {
    const diagnostics = new DiagnosticCounts({ strict: false });
    parse(
      [
        '   task-1  [000] ..... 1.000001: odd_event: x',
        'no header at all',
        '   task-1  [000] ..... 1.000002: map: IOMMU: iova=zz',
      ].join('\n'),
      diagnostics,
    );
    expect(diagnostics.entries().map(({ code, count, first }) => [code, count, first.split(': ')[0]])).toEqual([
      ['malformed_line', 2, 'ftrace.txt:2'],
      ['unknown_event', 1, 'ftrace.txt:1'],
    ]);
  });

  it('makes the first unknown event an error under strict', () => {
    const diagnostics = new DiagnosticCounts({ strict: true });
    expect(() => parse('   task-1  [000] ..... 1.000001: odd_event: x', diagnostics)).toThrow(InputError);
  });

  it('counts lines whose time runs backwards', () => {
    const diagnostics = new DiagnosticCounts({ strict: false });
    parse('   t-1  [000] ..... 2.000001: nvme_sq: x\n   t-1  [000] ..... 1.000001: nvme_sq: x', diagnostics);
    expect(diagnostics.countOf('time_runs_backwards')).toBe(1);
  });
});
