/**
 * Which control rows wait for which: a scoreboard over the things they use. Two rows conflict when they use the same
 * thing and one of them changes it; the later in sequence then waits for the earlier. Rows that only read the same
 * thing run concurrently.
 *
 * Things are
 * - the CPU and the thread (changed by every row: a CPU runs one call at a time, a thread is a program),
 * - an object id of a context (created, used, destroyed),
 * - a device (opened, bound, attached: changes; DMA API calls: uses). A mediated device that its driver has used already
 *   is not kept from it by a later attach: driver and user race, as DMA and an attach do,
 * - the IOVA a mapping starts at, in its space (map and unmap change it),
 * - the IOVA a mediated device pins from (pin and unpin change it).
 *
 * APPROX: mappings are told apart by their first page. A map that overlaps an older mapping elsewhere does not wait for
 * that one's unmap on another CPU.
 */
import { NONE_U32 } from '../trace/schema/column-type.ts';
import { type ControlRow, emptyRow, type ReusableRow } from './control-row.ts';

/** A row on its way: counts what it waits for and knows who waits for it. Reused once it is complete. */
export class ControlNode {
  readonly row: ReusableRow = emptyRow();
  /** Rows that must be complete before this one starts. */
  pending = 0;
  done = false;
  /** Rows that wait for this one, in sequence. */
  readonly waiters: ControlNode[] = [];
  /** Things this row uses. */
  readonly uses: Resource[] = [];
}

/** Latest users of one thing. */
class Resource {
  /** Last row that changed it; undefined once that is complete. */
  writer: ControlNode | undefined = undefined;
  /** Incomplete rows that used it since, in sequence; made with the first. */
  readers: Set<ControlNode> | undefined = undefined;
  /** Where it is kept while somebody uses it; undefined for things that stay. */
  readonly owner: Map<number | string, Resource> | undefined;
  readonly key: number | string;

  constructor(owner: Map<number | string, Resource> | undefined, key: number | string) {
    this.owner = owner;
    this.key = key;
  }
}

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

/** What drivers of mediated devices do, and what moves these devices. */
const ACCESSES: ReadonlySet<string> = new Set(['vfio_pin_pages', 'vfio_unpin_pages', 'vfio_dma_rw']);
const ATTACHES: ReadonlySet<string> = new Set(['VFIO_DEVICE_ATTACH_IOMMUFD_PT', 'VFIO_DEVICE_DETACH_IOMMUFD_PT']);

/** Ops that change the whole context: opening and closing files. */
const CONTEXT_CHANGES: ReadonlySet<string> = new Set(['open_iommufd', 'open_container', 'close', 'VFIO_SET_IOMMU']);

/** [4 KiB pages] IOVA pages of one device's key space: 48-bit addresses. */
const DEVICE_PAGES = 2 ** 36;

/** All things that incomplete rows use. */
export class Scoreboard {
  readonly #cpus = new Map<number, Resource>();
  readonly #threads = new Map<number, Resource>();
  readonly #devices = new Map<number, Resource>();
  /** Mediated devices whose drivers have pinned or copied. */
  readonly #accessed = new Set<number>();
  /** IOVAs of DMA-API mappings, by device and page. */
  readonly #pages = new Map<number | string, Resource>();
  /** Contexts, objects and IOVAs of user-space drivers. */
  readonly #objects = new Map<number | string, Resource>();

  /** Adds the next row in sequence and finds what it must wait for ({@link ControlNode.pending}). */
  add(node: ControlNode): void {
    const { row } = node;
    node.done = false;
    node.pending = 0;
    this.#use(node, lasting(this.#cpus, row.cpu), true);
    this.#use(node, lasting(this.#threads, row.thread), true);
    if (row.device !== NONE_U32) this.#useDevice(node, row);
    switch (row.op) {
      case 'dma_map':
      case 'dma_unmap':
      case 'dma_alloc':
      case 'dma_free': {
        const page = row.device * DEVICE_PAGES + (Number(row.iova >> 12n) % DEVICE_PAGES);
        this.#use(node, passing(this.#pages, page), true);
        break;
      }
      case 'vfio_pin_pages':
      case 'vfio_unpin_pages':
        this.#use(node, passing(this.#objects, `pin ${row.device} ${row.iova}`), true);
        if (row.context !== NONE_U32) this.#useObjects(node, row);
        break;
      default:
        if (row.context !== NONE_U32) this.#useObjects(node, row);
        break;
    }
  }

  /** Takes a completed row out; calls `ready` for each row that now waits for no other, in sequence. */
  complete(node: ControlNode, ready: (waiter: ControlNode) => void): void {
    node.done = true;
    for (const resource of node.uses) {
      if (resource.writer === node) resource.writer = undefined;
      else resource.readers?.delete(node);
      if (resource.writer !== undefined || (resource.readers !== undefined && resource.readers.size > 0)) continue;
      if (resource.owner?.get(resource.key) === resource) resource.owner.delete(resource.key);
    }
    for (const waiter of node.waiters) if (--waiter.pending === 0) ready(waiter);
    // A complete row must not lead to later ones: a chain from the first row to the last would keep the collector from
    // freeing any of them early.
    node.waiters.length = 0;
    node.uses.length = 0;
  }

  #useDevice(node: ControlNode, { op, device }: ControlRow): void {
    if (ACCESSES.has(op)) this.#accessed.add(device);
    if (ATTACHES.has(op) && this.#accessed.has(device)) {
      this.#use(node, passing(this.#objects, `attach ${device}`), true);
      return;
    }
    this.#use(node, lasting(this.#devices, device), DEVICE_CHANGES.has(op));
  }

  #useObjects(node: ControlNode, row: ControlRow): void {
    const { context, object, target } = row;
    const use = (key: string, exclusive: boolean): void => this.#use(node, passing(this.#objects, key), exclusive);
    switch (row.op) {
      case 'IOMMU_IOAS_MAP':
      case 'IOMMU_IOAS_UNMAP':
      case 'VFIO_IOMMU_MAP_DMA':
      case 'VFIO_IOMMU_UNMAP_DMA':
        use(`iova ${context} ${object} ${row.iova}`, true);
        break;
      case 'IOMMU_IOAS_COPY':
        use(`iova ${context} ${target} ${row.userAddress}`, false);
        use(`iova ${context} ${object} ${row.iova}`, true);
        break;
      default:
        break;
    }
    use(`context ${context}`, CONTEXT_CHANGES.has(row.op));
    const destroys = row.op === 'IOMMU_DESTROY';
    if (object !== NONE_U32) use(`object ${context} ${object}`, destroys);
    if (target !== NONE_U32) use(`object ${context} ${target}`, destroys);
    if (row.recordedObject !== NONE_U32) use(`object ${context} ${row.recordedObject}`, true);
  }

  #use(node: ControlNode, resource: Resource, exclusive: boolean): void {
    node.uses.push(resource);
    const { writer, readers } = resource;
    if (!exclusive) {
      if (writer !== undefined) waitFor(node, writer);
      if (readers === undefined) resource.readers = new Set([node]);
      else readers.add(node);
      return;
    }
    // Readers came after the writer and wait for it themselves.
    if (readers !== undefined && readers.size > 0) {
      for (const reader of readers) waitFor(node, reader);
      readers.clear();
    } else if (writer !== undefined) {
      waitFor(node, writer);
    }
    resource.writer = node;
  }
}

/** A thing that stays known: there are few of its kind. */
function lasting(kind: Map<number, Resource>, key: number): Resource {
  let resource = kind.get(key);
  if (resource === undefined) {
    resource = new Resource(undefined, key);
    kind.set(key, resource);
  }
  return resource;
}

/** A thing that is forgotten when nobody uses it. */
function passing(kind: Map<number | string, Resource>, key: number | string): Resource {
  let resource = kind.get(key);
  if (resource === undefined) {
    resource = new Resource(kind, key);
    kind.set(key, resource);
  }
  return resource;
}

function waitFor(node: ControlNode, earlier: ControlNode): void {
  if (earlier === node || earlier.done || earlier.waiters.at(-1) === node) return;
  earlier.waiters.push(node);
  node.pending++;
}
