import { describe, expect, it } from 'vitest';
import { DiagnosticCounts } from '../../../../src/trace/import/diagnostics.ts';
import { readTableDump, type TableDump } from '../../../../src/trace/import/table-dump.ts';

const read = (text: string, firstStage = false): TableDump =>
  readTableDump('dump', text, { firstStage, diagnostics: new DiagnosticCounts({ strict: true }) });

describe('table dumps', () => {
  it('find the leaf in the last column that holds one', () => {
    const { leaves } = read(
      [
        'Device 0000:02:00.0 @0xf2a000',
        'IOVA_PFN         	PML5E             	PML4E             	PDPE              	PDE               	PTE',
        '0x00000000fffc0 |	0x0000000000000000	0x0000000000f69003	0x0000000000f6a003	0x0000000000f6b003	0x0000000002622003',
        '0x0000000400000 |	0x0000000000000000	0x0000000000f69003	0x0000000000f6a003	0x0000000006c00083',
      ].join('\n'),
    );
    expect(leaves).toEqual([
      { device: '0000:02:00.0', pasid: 0, iovaPfn: 0xfffc0, pfn: 0x2622, prot: 3, level: 1 },
      { device: '0000:02:00.0', pasid: 0, iovaPfn: 0x400000, pfn: 0x6c00, prot: 3, level: 2 },
    ]);
  });

  it('read first-stage leaves as present and writable', () => {
    const line = '0x00000000fffc0 |	0x0	0x2190227	0x2191227	0x2192227	0x8000000002323065';
    expect(read(`Device 0000:02:00.0 with pasid 0 @0x2111000\n${line}`, true).leaves[0]).toMatchObject({
      pfn: 0x2323,
      prot: 1,
    });
  });

  it('take domain id and type from context entries, or from PASID-table entries in scalable mode', () => {
    const legacy =
      '02:00.0	0x0000000000000000:0x000000000240d001	0x0000000000000b02:0x000000000240c001	-1    	0x0:0x0:0x0';
    const scalable =
      '05:00.0	0x0:0xde6001	0x0:0xde5401	0     	0x0000000000e1c000:0x000000000000000d:0x0000000000000049';
    expect(read(legacy)).toMatchObject({
      scalable: false,
      contexts: [{ sourceId: 0x200, domainId: 11, translationType: 0 }],
    });
    expect(read(scalable)).toMatchObject({
      scalable: true,
      contexts: [{ sourceId: 0x500, domainId: 13, translationType: 1 }],
    });
  });
});
