/**
 * Mappings that existed when the recorded window began, installed while the modelled machine boots. Leaves get the
 * recorded size: where the recorder had 4 KiB leaves, runs are mapped in pieces too small for larger ones.
 */
import { addressFromPfn } from '../address.ts';
import { InputError } from '../input-error.ts';
import type { PagingDomain } from '../stack/iommu/ops.ts';
import type { Kernel } from '../stack/kernel/kernel.ts';
import type { BundleReader } from '../trace/reader.ts';
import { DATA_FRAME_LIMIT } from '../trace/schema/frames-stream.ts';
import { nsFromWords } from '../units.ts';
import type { Diagnostics } from './diagnostics.ts';

/** [4 KiB pages] Longest piece by log2 of the leaf size: below the next larger leaf. 0 = unknown: as one piece. */
const PIECE_PAGES: ReadonlyMap<number, number> = new Map([
  [12, 256],
  [21, 131_072],
]);

/** Installs `initial.arrow` for the devices of a world. `domainOf` gives a device's default domain if it translates. */
export function installInitialMappings(
  bundle: BundleReader,
  devices: ReadonlySet<number>,
  domainOf: (device: number) => PagingDomain | undefined,
  kernel: Kernel,
  diagnostics: Diagnostics,
): void {
  const stream = bundle.optionalStream('initial');
  if (stream === undefined) return;
  for (const { firstRow, rowCount, columns } of stream.batches()) {
    for (let row = 0; row < rowCount; row++) {
      const device = columns.device[row]!;
      if (!devices.has(device)) continue;
      const domain = domainOf(device);
      if (domain === undefined || columns.pasid[row] !== 0) {
        diagnostics.count(domain === undefined ? 'initial_without_domain' : 'initial_with_pasid');
        continue;
      }
      const iovaPfn = nsFromWords(columns.iovaPfn[2 * row]!, columns.iovaPfn[2 * row + 1]!);
      const pfn = nsFromWords(columns.pfn[2 * row]!, columns.pfn[2 * row + 1]!);
      const pageCount = columns.pageCount[row]!;
      if (pfn + pageCount > DATA_FRAME_LIMIT) {
        const reason = `frame 0x${pfn.toString(16)} lies at or above 1 TiB, where modelled tables are`;
        throw new InputError({ file: stream.file, row: firstRow + row, reason });
      }
      const most = PIECE_PAGES.get(columns.leafShift[row]!) ?? pageCount;
      for (let done = 0; done < pageCount; done += most) {
        const pages = Math.min(most, pageCount - done);
        const at = addressFromPfn(iovaPfn + done);
        const result = kernel.run(
          domain.map(at, addressFromPfn(pfn + done), addressFromPfn(pages), columns.prot[row]!),
        );
        if (result !== 0) diagnostics.count('initial_not_mapped');
      }
    }
  }
}
