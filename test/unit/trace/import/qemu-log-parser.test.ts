import { describe, expect, it } from 'vitest';
import { DiagnosticCounts } from '../../../../src/trace/import/diagnostics.ts';
import { type DeviceLog, QemuLogParser } from '../../../../src/trace/import/qemu-log-parser.ts';

function parse(lines: readonly string[], diagnostics = new DiagnosticCounts({ strict: false })): DeviceLog {
  const parser = new QemuLogParser('qemu.log', diagnostics);
  parser.feed(Buffer.from(`${lines.join('\n')}\n`));
  return parser.end();
}

const HIT = 'vtd_iotlb_page_hit IOTLB page hit sid 0x200 iova 0xffffc008 slpte 0xe24003 domain 0xb';
const RESULT = 'vtd_dmar_translate dev 02:00.00 iova 0xffffc000 -> gpa 0xe24000 mask 0xfff';

describe('the device-model log', () => {
  it('joins a lookup with its result and keeps the byte address', () => {
    const { events } = parse([`7@1795240577.000001:${HIT}`, `7@1795240577.000003:${RESULT}`]);
    expect(events).toEqual([
      {
        kind: 'translate',
        timeNs: 3000,
        thread: 7,
        line: 2,
        sourceId: 0x200,
        iova: 0xffffc008,
        pfn: 0xe24,
        pageShift: 12,
        outcome: 'hit',
        leaf: 0xe24003,
        domainId: 0xb,
      },
    ]);
  });

  it('joins them across interleaved threads', () => {
    const other = HIT.replace('0xffffc008', '0xffffd010');
    const otherResult = RESULT.replace('0xffffc000', '0xffffd000');
    const { events } = parse([
      `7@1.000001:${HIT}`,
      `8@1.000002:${other}`,
      `7@1.000003:${RESULT}`,
      `8@1.000004:${otherResult}`,
    ]);
    expect(events.map((event) => (event.kind === 'translate' ? [event.iova, event.outcome] : []))).toEqual([
      [0xffffc008, 'hit'],
      [0xffffd010, 'hit'],
    ]);
  });

  it('finds the 4 KiB page inside a super page', () => {
    const { events } = parse([
      '7@1.000001:vtd_iotlb_page_update IOTLB page update sid 0x200 iova 0x4035c0000 slpte 0x6c00083 domain 0xb',
      '7@1.000002:vtd_dmar_translate dev 02:00.00 iova 0x403400000 -> gpa 0x6c00000 mask 0x1fffff',
    ]);
    expect(events[0]).toMatchObject({ outcome: 'fill', pageShift: 21, pfn: 0x6c00 + 0x1c0 });
  });

  it('reads the three line prefixes', () => {
    const fault = 'vtd_dmar_fault sid 0x100 fault 113 addr 0x103004 write 1';
    expect(parse([`0@10.5:${fault}`]).baseSeconds).toBe(10);
    expect(parse([`2026-11-21T08:02:46.123456Z ${fault}`])).toMatchObject({
      baseSeconds: 1795248166,
      events: [{ kind: 'fault', reason: 113, iova: 0x103004, write: true, timeNs: 123_456_000 }],
    });
    expect(parse([fault]).baseSeconds).toBeNaN();
  });

  it('reads descriptors exactly, whatever their size', () => {
    const { events } = parse([
      '7@1.000001:vtd_inv_desc invalidate desc type iotlb high 0xfffffffffffff042 low 0xb00f2',
    ]);
    expect(events[0]).toMatchObject({ kind: 'descriptor', low: 0xb00f2n, high: 0xfffffffffffff042n });
  });

  it('counts lookups without a result and lines it does not know', () => {
    const diagnostics = new DiagnosticCounts({ strict: false });
    parse([`7@1.000001:${HIT}`, '7@1.000002:brand_new_event x', '7@1.000003:vtd_dmar_fault sid'], diagnostics);
    expect(diagnostics.entries().map(({ code, count }) => [code, count])).toEqual([
      ['lookup_without_translation', 1],
      ['malformed_line', 1],
      ['unknown_event', 1],
    ]);
  });
});
