/**
 * Which control rows wait for which: a scoreboard over the things they use. Two rows conflict when they use the same
 * thing and one of them changes it; the later in sequence then waits for the earlier. Rows that only read the same
 * thing run concurrently.
 *
 * Things are
 * - the CPU and the thread (changed by every row: a CPU runs one call at a time, a thread is a program),
 * - an object id of a context (created, used, destroyed),
 * - a device (opened, bound, attached: changes; DMA API calls: uses),
 * - the IOVA a mapping starts at, in its space (map and unmap change it).
 *
 * APPROX: mappings are told apart by their first page. A map that overlaps an older mapping elsewhere does not wait for
 * that one's unmap on another CPU.
 */
import { NONE_U32 } from '../trace/schema.ts';
import type { ControlRow } from './control-row.ts';

/** A row on its way: counts what it waits for and knows who waits for it. */
export class ControlNode {
  readonly row: ControlRow;
  /** Rows (and DMA) that must be complete before this one starts. */
  pending = 0;
  done = false;
  /** Rows that wait for this one, in sequence. */
  readonly waiters: ControlNode[] = [];
  /** What this row uses: looked up again when it is done. */
  readonly uses: ResourceUse[] = [];

  constructor(row: ControlRow) {
    this.row = row;
  }
}

/** Use of one thing. */
interface ResourceUse {
  readonly key: string | number;
  readonly exclusive: boolean;
}

/** Latest users of one thing. */
interface Resource {
  /** Last row that changed it; undefined once that is complete. */
  writer: ControlNode | undefined;
  /** Incomplete rows that used it since. */
  readers: ControlNode[];
}

/** All things that incomplete rows use. */
export class Scoreboard {
  readonly #resources = new Map<string | number, Resource>();

  /** Adds the next row in sequence and finds what it must wait for ({@link ControlNode.pending}). */
  add(row: ControlRow): ControlNode {
    const node = new ControlNode(row);
    for (const use of resourceUses(row)) this.#use(node, use);
    return node;
  }

  /** Takes a completed row out; returns the rows that waited for it, each with `pending` lowered by one. */
  complete(node: ControlNode): readonly ControlNode[] {
    node.done = true;
    for (const use of node.uses) {
      const resource = this.#resources.get(use.key);
      if (resource === undefined) continue;
      if (resource.writer === node) resource.writer = undefined;
      const at = resource.readers.indexOf(node);
      if (at >= 0) resource.readers.splice(at, 1);
      if (resource.writer === undefined && resource.readers.length === 0) this.#resources.delete(use.key);
    }
    for (const waiter of node.waiters) waiter.pending--;
    return node.waiters;
  }

  #use(node: ControlNode, use: ResourceUse): void {
    node.uses.push(use);
    let resource = this.#resources.get(use.key);
    if (resource === undefined) {
      resource = { writer: undefined, readers: [] };
      this.#resources.set(use.key, resource);
    }
    if (use.exclusive) {
      // Readers came after the writer and wait for it themselves.
      if (resource.readers.length > 0) for (const reader of resource.readers) waitFor(node, reader);
      else if (resource.writer !== undefined) waitFor(node, resource.writer);
      resource.writer = node;
      resource.readers = [];
    } else {
      if (resource.writer !== undefined) waitFor(node, resource.writer);
      resource.readers.push(node);
    }
  }
}

function waitFor(node: ControlNode, earlier: ControlNode): void {
  if (earlier === node || earlier.done || earlier.waiters.at(-1) === node) return;
  earlier.waiters.push(node);
  node.pending++;
}

const CPU_KEYS = 2 ** 44;
const THREAD_KEYS = 2 ** 45;
const DEVICE_KEYS = 2 ** 46;
const SPACE_KEYS = 2 ** 47;

/** Ops that change the device they name. */
const DEVICE_CHANGES: ReadonlySet<string> = new Set([
  'driver_bind',
  'driver_unbind',
  'open_cdev',
  'VFIO_DEVICE_BIND_IOMMUFD',
  'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
  'VFIO_DEVICE_DETACH_IOMMUFD_PT',
  'VFIO_GROUP_SET_CONTAINER',
  'VFIO_GROUP_UNSET_CONTAINER',
  'VFIO_GROUP_GET_DEVICE_FD',
  'open_group',
]);

/** Ops that change the whole context: opening and closing files. */
const CONTEXT_CHANGES: ReadonlySet<string> = new Set(['open_iommufd', 'open_container', 'close', 'VFIO_SET_IOMMU']);

/** Everything a row uses. */
function resourceUses(row: ControlRow): ResourceUse[] {
  const uses: ResourceUse[] = [
    { key: CPU_KEYS + row.cpu, exclusive: true },
    { key: THREAD_KEYS + row.thread, exclusive: true },
  ];
  if (row.device !== NONE_U32) uses.push({ key: DEVICE_KEYS + row.device, exclusive: DEVICE_CHANGES.has(row.op) });
  switch (row.op) {
    case 'dma_map':
    case 'dma_unmap':
    case 'dma_alloc':
    case 'dma_free':
      uses.push({
        key: SPACE_KEYS + row.device * 2 ** 36 + Number((row.iova >> 12n) & 0xf_ffff_ffffn),
        exclusive: true,
      });
      return uses;
    case 'IOMMU_IOAS_MAP':
    case 'IOMMU_IOAS_UNMAP':
    case 'VFIO_IOMMU_MAP_DMA':
    case 'VFIO_IOMMU_UNMAP_DMA':
      // Ranges of an IOAS are cut by the caller as it likes: only the object id tells which space it is.
      uses.push({ key: `iova ${row.context} ${row.object} ${row.iova}`, exclusive: true });
      break;
    case 'IOMMU_IOAS_COPY':
      uses.push({ key: `iova ${row.context} ${row.target} ${row.userAddress}`, exclusive: false });
      uses.push({ key: `iova ${row.context} ${row.object} ${row.iova}`, exclusive: true });
      break;
    default:
      break;
  }
  if (row.context !== NONE_U32) {
    uses.push({ key: `context ${row.context}`, exclusive: CONTEXT_CHANGES.has(row.op) });
    const destroys = row.op === 'IOMMU_DESTROY';
    for (const object of [row.object, row.target]) {
      if (object !== NONE_U32) uses.push({ key: `object ${row.context} ${object}`, exclusive: destroys });
    }
    if (row.recordedObject !== NONE_U32) {
      uses.push({ key: `object ${row.context} ${row.recordedObject}`, exclusive: true });
    }
  }
  return uses;
}
