/**
 * Reads the kernel's dump of VT-d tables (debugfs iommu/intel: domain_translation_struct of some devices,
 * dmar_translation_struct of all). Formats: Linux drivers/iommu/intel/debugfs.c; entry layouts: VT-d spec 9.3 (context
 * entry), 9.6 (PASID-table entry), 9.8 (second-stage entries).
 */
import type { DiagnosticCounts } from './diagnostics.ts';

/** A leaf of a device's page table. */
export interface DumpedLeaf {
  /** PCI address as the dump writes it, `dddd:bb:dd.f`. */
  readonly device: string;
  readonly pasid: number;
  /** [4 KiB pages] */
  readonly iovaPfn: number;
  readonly pfn: number;
  /** Bit 0 read, bit 1 write. */
  readonly prot: number;
  /** 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB. */
  readonly level: number;
}

/** A context entry, or the PASID-table entry it leads to. */
export interface DumpedContext {
  /** Requester id. */
  readonly sourceId: number;
  /** Requests without PASID: 0. */
  readonly pasid: number;
  readonly domainId: number;
  /** Legacy: TT; scalable: PGTT. */
  readonly translationType: number;
}

/** One dump file. */
export interface TableDump {
  readonly leaves: readonly DumpedLeaf[];
  readonly contexts: readonly DumpedContext[];
  readonly scalable: boolean;
  /** Devices whose tables the dump holds, be they empty. */
  readonly devices: readonly string[];
}

/** Columns behind the IOVA page: levels 5 to 1. */
const LEVELS = [5, 4, 3, 2, 1];
/** Physical-address bits of a leaf, VT-d spec 9.8: 12 to 51. */
const ADDRESS_MASK = 0x000f_ffff_ffff_f000n;

/** Decodes a dump. `firstStage` says how permission bits of leaves read: present and writable instead of R and W. */
export function readTableDump(
  file: string,
  text: string,
  options: { readonly firstStage: boolean; readonly diagnostics: DiagnosticCounts },
): TableDump {
  const leaves: DumpedLeaf[] = [];
  const contexts: DumpedContext[] = [];
  const devices: string[] = [];
  let device = '';
  let pasid = 0;
  let scalable = false;
  const lines = text.split('\n');
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string;
    const heading = /^Device (\S+)(?: with pasid (\d+|0x[0-9a-f]+))? @/.exec(line);
    if (heading !== null) {
      device = heading[1] as string;
      pasid = Number(heading[2] ?? 0);
      devices.push(device);
    } else if (line.startsWith('0x')) {
      const leaf = readLeaf(line, device, pasid, options.firstStage);
      if (leaf !== undefined) leaves.push(leaf);
      else options.diagnostics.count('malformed_line', 'error', { file, line: index + 1, text: line });
    } else if (/^[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\s/.test(line)) {
      const context = readContext(line);
      if (context === undefined)
        options.diagnostics.count('malformed_line', 'error', { file, line: index + 1, text: line });
      else {
        scalable ||= context.scalable;
        if (context.domainId !== 0) contexts.push(context);
      }
    }
  }
  return { leaves, contexts, scalable, devices };
}

/** `0xIOVA_PFN | PML5E PML4E PDPE PDE PTE`: the leaf is the last column that is there and not zero. */
function readLeaf(line: string, device: string, pasid: number, firstStage: boolean): DumpedLeaf | undefined {
  const [page, rest] = line.split('|');
  const entries = (rest ?? '').trim().split(/\s+/);
  const iovaPfn = Number(page?.trim());
  if (device === '' || !Number.isSafeInteger(iovaPfn) || entries.length > LEVELS.length) return undefined;
  let last = entries.length - 1;
  while (last >= 0 && BigInt(entries[last] || '0') === 0n) last--;
  if (last < 0) return undefined;
  const entry = BigInt(entries[last] as string);
  const level = LEVELS[last] as number;
  const low = Number(entry & 7n);
  const prot = firstStage ? 1 | (low & 2) : low & 3;
  return { device, pasid, iovaPfn, pfn: Number((entry & ADDRESS_MASK) >> 12n), prot, level };
}

/** `bb:dd.f  root_hi:root_lo  context_hi:context_lo  PASID  entry2:entry1:entry0` */
function readContext(line: string): (DumpedContext & { readonly scalable: boolean }) | undefined {
  const fields = line.trim().split(/\s+/);
  const bdf = /^([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(fields[0] ?? '');
  const context = fields[2]?.split(':');
  const pasidEntry = fields[4]?.split(':');
  if (bdf === null || context?.length !== 2 || pasidEntry?.length !== 3) return undefined;
  const sourceId =
    (Number.parseInt(bdf[1] as string, 16) << 8) | (Number.parseInt(bdf[2] as string, 16) << 3) | Number(bdf[3]);
  const pasid = Number(fields[3]);
  if (pasid >= 0) {
    const domainId = Number(BigInt(pasidEntry[1] as string) & 0xffffn);
    const translationType = Number((BigInt(pasidEntry[2] as string) >> 6n) & 7n);
    return { sourceId, pasid, domainId, translationType, scalable: true };
  }
  const domainId = Number((BigInt(context[0] as string) >> 8n) & 0xffffn);
  const translationType = Number((BigInt(context[1] as string) >> 2n) & 3n);
  return { sourceId, pasid: 0, domainId, translationType, scalable: false };
}
