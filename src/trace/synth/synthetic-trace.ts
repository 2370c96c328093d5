/** The bundle under construction: numbers rows, keeps time, and counts down the DMA rows still to be written. */
import { addressFromPfn, PAGE_SIZE } from '../../address.ts';
import type { Random } from '../../random.ts';
import { NONE_U32 } from '../schema/column-type.ts';
import type { ControlOp } from '../schema/control-ops.ts';
import { type CONTROL_SCHEMA, RESULT_UNKNOWN } from '../schema/control-stream.ts';
import { type DMA_SCHEMA, DmaProvenance } from '../schema/dma-stream.ts';
import { InitialOrigin } from '../schema/initial-stream.ts';
import type { DeviceTopology } from '../schema/topology.ts';
import type { UserDataKind } from '../schema/user-data-stream.ts';
import type { StreamWriter } from '../stream-writer.ts';
import type { BundleWriter } from '../writer.ts';
import type { WordRun } from './guest-table.ts';
import { IovaLayout, PhysicalLayout, type PhysicalRegion } from './memory-layout.ts';
import type { Recipe } from './recipe.ts';

/** [ps] Between control events; they are not part of the DMA rate. */
const CONTROL_GAP_PS = 1_000_000;
/** IommuProt bits read and write. */
const READ_WRITE = 3;

/** Fields of a control row that differ from "does not apply". */
export interface ControlFields {
  readonly device?: number;
  readonly cpu?: number;
  readonly context?: number;
  readonly object?: number;
  readonly target?: number;
  readonly pasid?: number;
  readonly flags?: number;
  /** [4 KiB pages] */
  readonly iovaPfn?: number;
  /** [4 KiB pages] */
  readonly pageCount?: number;
  readonly userAddress?: bigint;
  readonly recordedObject?: number;
  readonly afterDma?: number;
}

/** Writes the rows of a synthetic bundle in their order. */
export class SyntheticTrace {
  readonly physical = new PhysicalLayout();
  readonly devices: DeviceTopology[] = [];
  readonly random: Random;
  /** DMA rows still to be written. */
  rowsLeft: number;

  readonly #writer: BundleWriter;
  readonly #recipe: Recipe;
  readonly #dma: StreamWriter<typeof DMA_SCHEMA>[];
  readonly #control: StreamWriter<typeof CONTROL_SCHEMA>;
  readonly #iova: IovaLayout[] = [];
  /** [ps] Twice the mean distance of DMA rows. */
  readonly #spanPs: number;
  #sequence = 0;
  #timePs = 0;

  constructor(writer: BundleWriter, recipe: Recipe, random: Random) {
    this.#writer = writer;
    this.#recipe = recipe;
    this.random = random;
    this.rowsLeft = recipe.rows;
    this.#spanPs = Math.max(1, Math.round(recipe.gapNs * 2000));
    this.#control = writer.control;
    this.#dma = Array.from({ length: recipe.units }, (_, unit) => writer.dma(unit));
  }

  /** [ns] Time of the latest row. */
  get timeNs(): number {
    return Math.floor(this.#timePs / 1000);
  }

  /** Control rows so far. */
  get controlRows(): number {
    return this.#control.rowCount;
  }

  /** Adds a device behind unit `index % units`; it is bound to `driver` for the DMA API or for vfio. */
  addDevice(driver: 'synthetic' | 'vfio-pci', pasidBits = 0, pri = false): number {
    const index = this.devices.length;
    // One function a slot: bus 1 up, 256 functions each.
    const sourceId = 0x100 + index;
    const hex = (value: number): string => value.toString(16).padStart(2, '0');
    const bdf = `${hex(sourceId >> 8)}:${hex((sourceId >> 3) & 31)}.${sourceId & 7}`;
    this.devices.push({
      name: `0000:${bdf}`,
      sourceId,
      group: index,
      unit: index % this.#recipe.units,
      kind: 'physical',
      driver,
      defaultDomain: this.#recipe.flushMode === 'lazy' ? 'dma-fq' : 'dma',
      ats: this.#recipe.ats,
      pasidBits,
      pri,
    });
    this.#iova.push(new IovaLayout());
    this.control('driver_bind', { device: index });
    return index;
  }

  /** Adds a mediated device: no DMA of its own, no unit, a group by itself. */
  addMediatedDevice(): number {
    const index = this.devices.length;
    this.devices.push({
      name: `mdev${index}`,
      sourceId: 0,
      group: index,
      unit: -1,
      kind: 'mediated',
      driver: 'mdev',
      defaultDomain: 'none',
      ats: false,
      pasidBits: 0,
      pri: false,
    });
    this.#iova.push(new IovaLayout());
    this.control('driver_bind', { device: index });
    return index;
  }

  /** [4 KiB pages] A new IOVA range in the device's DMA-API address space. */
  allocateIova(device: number, pageCount: number): number {
    return this.#iova[device]!.allocate(pageCount);
  }

  /** Time goes on to `timeNs` [ns], if it is not there yet: what follows is written later. */
  advanceTo(timeNs: number): void {
    this.#timePs = Math.max(this.#timePs, Math.round(timeNs * 1000));
  }

  /** Writes a control row and returns its number. `gapPs` [ps]: time since the row before. */
  control(op: ControlOp, fields: ControlFields = {}, gapPs = CONTROL_GAP_PS): number {
    this.#timePs += gapPs;
    const cpu = fields.cpu ?? 0;
    return this.#control.append({
      sequence: this.#sequence++,
      timeNs: this.timeNs,
      op,
      cpu,
      thread: 1000 + cpu,
      device: fields.device ?? NONE_U32,
      context: fields.context ?? NONE_U32,
      object: fields.object ?? NONE_U32,
      target: fields.target ?? NONE_U32,
      pasid: fields.pasid ?? NONE_U32,
      flags: fields.flags ?? 0,
      iova: fields.iovaPfn === undefined ? 0n : addressFromPfn(fields.iovaPfn),
      length: (fields.pageCount ?? 0) * PAGE_SIZE,
      userAddress: fields.userAddress ?? 0n,
      recordedResult: RESULT_UNKNOWN,
      recordedObject: fields.recordedObject ?? NONE_U32,
      recordedDurationNs: NONE_U32,
      afterDma: fields.afterDma ?? 0,
      text: '',
    });
  }

  /** Writes the frames behind the IOVA range of a map, block by block. */
  frames(controlRow: number, iovaPfn: number, region: PhysicalRegion): void {
    const { blockPages, blockCount } = region;
    for (let block = 0; block < blockCount; block++) {
      const pfn = region.blockPfn(block);
      this.#writer.frames.append({ controlRow, iovaPfn: iovaPfn + block * blockPages, pfn, pageCount: blockPages });
    }
  }

  /** Adds user data to the latest control row; see USER_DATA_SCHEMA. */
  userData(kind: UserDataKind, address: bigint, value: bigint, step: bigint, count: number | bigint): void {
    const controlRow = this.#control.rowCount - 1;
    this.#writer.userData.append({ controlRow, kind, address, value, step, count });
  }

  /** User space writes words into memory that IOAS `object` maps. Gives the row. */
  store(fields: ControlFields, runs: readonly WordRun[], gapPs = CONTROL_GAP_PS): number {
    const row = this.control('user_store', fields, gapPs);
    for (const { address, value, step, count } of runs) this.userData('words', address, value, step, count);
    return row;
  }

  /** Maps a region of the device's DMA-API address space before the trace begins. */
  premap(device: number, iovaPfn: number, region: PhysicalRegion): void {
    const leafShift = 12 + Math.log2(region.blockPages);
    const { blockPages, blockCount } = region;
    for (let block = 0; block < blockCount; block++) {
      this.#writer.initial.append({
        device,
        pasid: 0,
        iovaPfn: iovaPfn + block * blockPages,
        pfn: region.blockPfn(block),
        pageCount: blockPages,
        prot: READ_WRITE,
        leafShift,
        origin: InitialOrigin.synthetic,
      });
    }
  }

  /**
   * Writes a DMA row `offset` [bytes] into page `iovaPfn` and returns its number in its unit's stream; `afterControl` is
   * 1 + the row of its map, 0 for none. Nothing is written once {@link rowsLeft} is 0. @hot
   */
  dma(
    device: number,
    iovaPfn: number,
    offset: number,
    bytes: number,
    write: boolean,
    afterControl: number,
    pasid = 0,
  ): number {
    const stream = this.#dma[device % this.#dma.length]!;
    if (this.rowsLeft === 0) return stream.rowCount - 1;
    this.rowsLeft--;
    this.#timePs += this.random.below(this.#spanPs + 1);
    const timeNs = Math.floor(this.#timePs / 1000);
    const columns = stream.columns;
    const row = stream.row;
    columns.sequence[row] = this.#sequence++;
    columns.timeNs[2 * row] = timeNs >>> 0;
    columns.timeNs[2 * row + 1] = Math.floor(timeNs / 4294967296);
    columns.device[row] = device;
    columns.pasid[row] = pasid;
    columns.iova[2 * row] = (iovaPfn % 1048576) * 4096 + offset;
    columns.iova[2 * row + 1] = Math.floor(iovaPfn / 1048576);
    columns.bytes[row] = bytes;
    columns.flags[row] = write ? 1 : 0;
    columns.provenance[row] = DmaProvenance.synthetic;
    columns.afterControl[row] = afterControl;
    stream.commit();
    return stream.rowCount - 1;
  }
}
