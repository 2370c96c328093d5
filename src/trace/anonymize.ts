/**
 * A copy of a bundle that can be given away: addresses move by whole gigabytes ({@link RegionMap}), names of devices,
 * drivers, threads and markers become numbers, and free text is dropped. What a replay computes depends on order, low
 * address bits, alignment and contiguity, and these are kept.
 *
 * IOVAs stay inside their 512 GiB (one top-level table entry); those below 4 GiB stay below, and the gigabyte with the
 * MSI window 0xfee00000 stays in place, so that a device's DMA mask and reserved ranges mean the same as before. IOVAs of a
 * bundle with tables of user space (`user-data`) stay altogether: the tables are indexed by them.
 */
import { Random } from '../random.ts';
import { type AddressVisitor, type AnyColumns, visitAddresses } from './address-visitor.ts';
import { type Columns, copyColumns } from './columns.ts';
import { BundleReader } from './reader.ts';
import { RegionMap, type Zone } from './region-map.ts';
import type { StreamSchema } from './schema/column-type.ts';
import type { Manifest } from './schema/manifest.ts';
import type { StreamName } from './schema/streams.ts';
import type { StreamReader } from './stream-reader.ts';
import type { StreamWriter } from './stream-writer.ts';
import { type BundleWriterOptions, type ManifestContent, writeBundle } from './writer.ts';

/** How a bundle is anonymized. */
export interface AnonymizeOptions extends Pick<BundleWriterOptions, 'overwrite' | 'batchRows'> {
  /** The same seed and bundle give the same bytes. */
  readonly seed: number;
}

/** [rows] Rows looked at between two loads. */
const CHUNK_ROWS = 16_384;
/** Gigabytes in the 1 TiB of physical memory that a bundle may use. */
const PHYSICAL_ZONES: readonly Zone[] = [{ from: 0, to: 1024 }];
/** Gigabytes of the lower half of a 47-bit process address space. */
const USER_ZONES: readonly Zone[] = [{ from: 0x100, to: 0x1_ff00 }];
/** Gigabytes that one top-level table entry covers. */
const TOP_GIBS = 512;
/** Drivers whose name means something to a replay. */
const KEPT_DRIVERS: ReadonlySet<string> = new Set(['', 'vfio-pci', 'synthetic']);

/** Where everything goes. */
interface Remapping {
  readonly iova: RegionMap;
  readonly physical: RegionMap;
  readonly user: RegionMap;
}

/** Writes an anonymized copy of the bundle `from` to `to`; throws InputError. */
export async function anonymizeBundle(from: string, to: string, options: AnonymizeOptions): Promise<Manifest> {
  const bundle = BundleReader.open(from);
  try {
    const names = Object.keys(bundle.manifest.streams) as StreamName[];
    const remapping = survey(bundle, names, new Random(options.seed));
    const { overwrite, batchRows } = options;
    return await writeBundle(to, { overwrite, batchRows }, (writer) => {
      const visitor = replacingVisitor(remapping);
      for (const name of names) copyStream(name, anyStream(bundle, name), writer.stream(name) as AnyWriter, visitor);
      return anonymousContent(bundle.manifest);
    });
  } finally {
    bundle.close();
  }
}

type AnyReader = StreamReader<StreamSchema>;
type AnyWriter = StreamWriter<StreamSchema>;

function anyStream(bundle: BundleReader, name: StreamName): AnyReader {
  return bundle.stream(name) as unknown as AnyReader;
}

/** Finds every gigabyte in use and decides where it goes. */
function survey(bundle: BundleReader, names: readonly StreamName[], random: Random): Remapping {
  const remapping: Remapping = { iova: new RegionMap(), physical: new RegionMap(), user: new RegionMap() };
  const visitor = markingVisitor(remapping);
  for (const name of names) {
    const stream = anyStream(bundle, name);
    const words = { op: stream.dictionary('op'), kind: stream.dictionary('kind') };
    for (const { rowCount, columns } of stream.chunks(CHUNK_ROWS)) {
      visitAddresses(name, columns as AnyColumns, rowCount, words, visitor);
    }
  }
  const tops = new Set(remapping.iova.gibs().map((gib) => Math.floor(gib / TOP_GIBS)));
  if (!bundle.has('user-data')) remapping.iova.seal(random, [...tops].flatMap(iovaZones));
  remapping.physical.seal(random, PHYSICAL_ZONES);
  remapping.user.seal(random, USER_ZONES);
  return remapping;
}

function iovaZones(top: number): Zone[] {
  const from = top * TOP_GIBS;
  if (top > 0) return [{ from, to: from + TOP_GIBS }];
  // The fourth gigabyte holds the MSI window.
  return [
    { from: 0, to: 3 },
    { from: 4, to: TOP_GIBS },
  ];
}

function markingVisitor({ iova, physical, user }: Remapping): AddressVisitor {
  const mark = (map: RegionMap) => (pfn: number, pageCount: number) => {
    map.mark(pfn, pageCount);
    return pfn;
  };
  return { iova: mark(iova), physical: mark(physical), user: mark(user), thread: (id) => id };
}

/** Thread ids are numbered from 1 in the order of their first row. */
function replacingVisitor({ iova, physical, user }: Remapping): AddressVisitor {
  const threads = new Map<number, number>();
  return {
    iova: (pfn) => iova.page(pfn),
    physical: (pfn) => physical.page(pfn),
    user: (pfn) => user.page(pfn),
    thread: (id) => {
      const number = threads.get(id) ?? threads.size + 1;
      threads.set(id, number);
      return number;
    },
  };
}

function copyStream(name: StreamName, from: AnyReader, to: AnyWriter, visitor: AddressVisitor): void {
  // Codes stay as they are: the strings are entered in the same order.
  for (const [column, type] of Object.entries(from.schema)) {
    if (type !== 'dictionary') continue;
    for (const [code, text] of from.dictionary(column).entries()) {
      to.code(column, column === 'text' && text !== '' ? `text-${code}` : text);
    }
  }
  const words = { op: from.dictionary('op'), kind: from.dictionary('kind') };
  for (const { rowCount, columns } of from.chunks(to.room)) {
    // The chunk is the reader's scratch memory: it can be changed where it lies.
    visitAddresses(name, columns as AnyColumns, rowCount, words, visitor);
    copyColumns<StreamSchema>(from.schema, columns as Columns<StreamSchema>, 0, to.columns, to.row, rowCount);
    to.commit(rowCount);
  }
}

function anonymousContent(manifest: Manifest): ManifestContent {
  const { origin, topology } = manifest;
  const drivers = [...new Set(topology.devices.map(({ driver }) => driver))];
  return {
    name: 'anonymized',
    description: '',
    origin: { ...origin, tool: '', kernel: origin.kernelProfile ?? '', commandLine: undefined },
    time: { ...manifest.time, originNs: '0' },
    dmaPolicy: manifest.dmaPolicy,
    pacing: manifest.pacing,
    topology: {
      units: topology.units,
      devices: topology.devices.map((device, index) => ({
        ...device,
        name: `device-${index}`,
        driver: KEPT_DRIVERS.has(device.driver) ? device.driver : `driver-${drivers.indexOf(device.driver)}`,
      })),
    },
    provenance: manifest.provenance,
    lostEvents: manifest.lostEvents,
    diagnostics: manifest.diagnostics.map((entry) => ({ ...entry, first: '' })),
  };
}
