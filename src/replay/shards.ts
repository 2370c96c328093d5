/**
 * Closed worlds of a bundle: connected components of {IOMMU unit, device, group, iommufd context or container}. Nothing
 * in one can influence another, so each is replayed alone. IOAS and HWPT belong to their context. A device is never
 * a shard of its own: devices behind one unit share its caches.
 *
 * The plan depends on the trace alone, and on its rows rather than its names: worlds are numbered by the sequence of
 * their first row.
 */
import type { BundleReader } from '../trace/reader.ts';
import { NONE_U32 } from '../trace/schema/column-type.ts';

/** A connected component. Plain data: it crosses threads. */
export interface ClosedWorld {
  /** Indices into `topology.units`, ascending. */
  readonly units: readonly number[];
  /** Indices into `topology.devices`, ascending. */
  readonly devices: readonly number[];
  /** iommufd contexts and containers (column `context`), ascending. */
  readonly contexts: readonly number[];
}

/** What the plan looks at. */
export interface ShardFacts {
  readonly unitCount: number;
  /** Unit (-1 = mediated) and group of each device. */
  readonly devices: readonly { readonly unit: number; readonly group: number }[];
  /** First sequence of each unit's DMA rows; undefined = no rows. */
  readonly firstDma: readonly (number | undefined)[];
  /** Every (context, device) pair of control rows with the sequence of its first row; NONE_U32 = none. */
  readonly references: readonly { readonly context: number; readonly device: number; readonly sequence: number }[];
}

/** Component labels by union-find; the label of a set is its smallest node. */
class Components {
  readonly #parent: number[] = [];

  find(node: number): number {
    let root = node;
    while (this.#parentOf(root) !== root) root = this.#parentOf(root);
    this.#parent[node] = root;
    return root;
  }

  union(a: number, b: number): void {
    const rootA = this.find(a);
    const rootB = this.find(b);
    this.#parent[Math.max(rootA, rootB)] = Math.min(rootA, rootB);
  }

  #parentOf(node: number): number {
    return this.#parent[node] ?? node;
  }
}

/** Closed worlds that have at least one row, in the order of their first rows. */
export function planShards(facts: ShardFacts): ClosedWorld[] {
  const { unitCount, devices } = facts;
  const contexts = [...new Set(facts.references.map((reference) => reference.context))]
    .filter((context) => context !== NONE_U32)
    .sort((a, b) => a - b);
  const deviceNode = (device: number): number => unitCount + device;
  const contextNode = (context: number): number => unitCount + devices.length + contexts.indexOf(context);
  const components = new Components();
  const firstOfGroup = new Map<number, number>();
  for (const [index, device] of devices.entries()) {
    if (device.unit >= 0) components.union(device.unit, deviceNode(index));
    const first = firstOfGroup.get(device.group);
    if (first === undefined) firstOfGroup.set(device.group, index);
    else components.union(deviceNode(first), deviceNode(index));
  }
  const firstSequence = new Map<number, number>();
  for (const { context, device } of facts.references) {
    if (context !== NONE_U32 && device < devices.length) components.union(contextNode(context), deviceNode(device));
  }
  const seen = (node: number, sequence: number): void => {
    const root = components.find(node);
    firstSequence.set(root, Math.min(sequence, firstSequence.get(root) ?? sequence));
  };
  for (const [unit, sequence] of facts.firstDma.entries()) if (sequence !== undefined) seen(unit, sequence);
  for (const { context, device, sequence } of facts.references) {
    if (device < devices.length) seen(deviceNode(device), sequence);
    else if (context !== NONE_U32) seen(contextNode(context), sequence);
  }
  return [...firstSequence.entries()]
    .sort((a, b) => a[1] - b[1] || a[0] - b[0])
    .map(([root]) => ({
      units: range(unitCount).filter((unit) => components.find(unit) === root),
      devices: range(devices.length).filter((device) => components.find(deviceNode(device)) === root),
      contexts: contexts.filter((context) => components.find(contextNode(context)) === root),
    }));
}

/** Reads what {@link planShards} needs: the first rows of the DMA streams and two columns of the control stream. */
export function shardFacts(bundle: BundleReader): ShardFacts {
  const { units, devices } = bundle.manifest.topology;
  const references = new Map<number, { context: number; device: number; sequence: number }>();
  for (const { rowCount, columns } of bundle.stream('control').batches()) {
    const { context, device, sequence } = columns;
    for (let row = 0; row < rowCount; row++) {
      const contextId = context[row] as number;
      const deviceIndex = device[row] as number;
      if (contextId === NONE_U32 && deviceIndex === NONE_U32) continue;
      // u32 pairs as one exact double: contexts are small numbers given by the importer.
      const key = contextId * 2097152 + (deviceIndex === NONE_U32 ? 2097151 : deviceIndex);
      if (!references.has(key)) {
        references.set(key, { context: contextId, device: deviceIndex, sequence: sequence[row] as number });
      }
    }
  }
  return {
    unitCount: units.length,
    devices: devices.map(({ unit, group }) => ({ unit, group })),
    firstDma: units.map((_, unit) => firstSequence(bundle, unit)),
    references: [...references.values()],
  };
}

function firstSequence(bundle: BundleReader, unit: number): number | undefined {
  for (const { columns } of bundle.dma(unit)?.chunks(1, { toRow: 1 }) ?? []) return columns.sequence[0];
  return undefined;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
