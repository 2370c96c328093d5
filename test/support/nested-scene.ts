/** A unit whose device 0 is translated through both stages: guest tables in guest memory, guest memory mapped elsewhere. */
import type { Pasid } from '../../src/address.ts';
import { DeviceUnderTest, type DeviceUnderTestOptions } from './device-under-test.ts';
import { TestPageTable } from './table-builder.ts';

/** [4 KiB pages] Guest table frames are named this much below where they are. */
export const GUEST_OFFSET = 0xc00_0000;
/** Domain id of the nested entry. */
export const NESTED_DID = 7;

/** Nothing left to chance: no paging-structure cache. */
export const NO_PAGING_CACHES: readonly string[] = [
  'pagingCaches.region2m.entries=0',
  'pagingCaches.region1g.entries=0',
  'pagingCaches.region512g.entries=0',
];

/** How a scene is built. */
export interface NestedSceneOptions extends DeviceUnderTestOptions {
  readonly firstLevels?: number;
  readonly secondLevels?: number;
  readonly pasid?: number;
}

/** Guest and host tables, and the unit. */
export class NestedScene {
  readonly dut: DeviceUnderTest;
  readonly guest: TestPageTable;
  readonly host: TestPageTable;
  readonly pasid: Pasid;
  #framesMapped = 0;

  constructor(options: NestedSceneOptions = {}) {
    this.dut = new DeviceUnderTest({ ...options, scalable: true });
    this.pasid = (options.pasid ?? 0) as Pasid;
    this.guest = new TestPageTable(this.dut.memory, options.firstLevels ?? 4, 'first', GUEST_OFFSET);
    this.host = this.dut.table(options.secondLevels ?? 4);
    this.bind(this.pasid, this.guest);
  }

  /** Binds device 0's PASID to a guest table on the host table, under {@link NESTED_DID}. */
  bind(pasid: number, guest: TestPageTable, flags = 0): void {
    const { contexts, sourceIds } = this.dut;
    const root = { root: guest.frames[0] as number, levels: guest.levels };
    contexts.setNested(sourceIds[0] as number, pasid, root, this.host, NESTED_DID, flags);
    this.mapTables(guest);
  }

  /** Guest page table entry, and host mappings for the table frames it needed. */
  mapGuest(page: number, guestPage: number, prot = 3, size = 0): void {
    this.guest.map(page, guestPage, prot, size);
    this.mapTables(this.guest, this.#framesMapped);
    this.#framesMapped = this.guest.frames.length;
  }

  /** Makes a guest table's frames accessible to the unit. */
  mapTables(guest: TestPageTable, from = 0, prot = 3): void {
    for (const frame of guest.frames.slice(from)) this.host.map(frame, frame + GUEST_OFFSET, prot);
  }

  /** One DMA of device 0. */
  issue(page: number, at: number, write = false) {
    return this.dut.issue({ page, at, write, pasid: this.pasid });
  }
}
