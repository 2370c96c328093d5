/**
 * Access synthesis: DMA for sources that show mappings only. The policy, marked `inferred` in every row it makes:
 *
 * 1. A streaming mapping is used once, from front to back, in requests that do not cross a page.
 * 2. Its requests are spread evenly over the mapping's life, each at a random place within its share.
 * 3. They go the way the mapping allows; a bidirectional mapping is written or read as a coin falls.
 * 4. Before the first of them the device reads one descriptor from the memory that its driver allocated coherently, if
 *    the trace shows any, walking through it in turns.
 *
 * ASSUMPTION: the evenness, the single use and the one descriptor for each mapping; only an emulator log or a bus analyzer
 * shows the real accesses.
 */
import { PAGE_SIZE } from '../../address.ts';
import type { Random } from '../../random.ts';
import { DmaDirection } from '../schema/control-ops.ts';
import { DmaProvenance } from '../schema/dma-stream.ts';
import type { AccessShape } from './access-shape.ts';

/** [bytes] ASSUMPTION: a descriptor fetch reads one 64-byte line, the size of an NVMe submission-queue entry. */
const DESCRIPTOR_BYTES = 64;

/** A mapping with its life. */
export interface MappingLife {
  readonly device: number;
  /** [bytes] */
  readonly iova: number;
  readonly bytes: number;
  /** enum dma_data_direction. */
  readonly direction: number;
  /** Call that made it, and call that ended it (-1 = none did). */
  readonly mapCall: number;
  readonly unmapCall: number;
  /** [ns] */
  readonly mapNs: number;
  /** [ns] End of the trace when nothing ended it. */
  readonly unmapNs: number;
  /** Coherent memory of a driver instead of a streaming mapping. */
  readonly coherent: boolean;
}

/** A made-up DMA request. */
export interface SynthesizedAccess {
  /** [ns] */
  readonly timeNs: number;
  readonly device: number;
  /** [bytes] */
  readonly iova: number;
  readonly shape: AccessShape;
  readonly mapping: MappingLife;
}

const INFERRED = DmaProvenance.inferred | DmaProvenance.timeInferred | DmaProvenance.sizeInferred;

/** Requests for `mappings`, ordered by time, equal for equal seeds. */
export function synthesizeAccesses(mappings: readonly MappingLife[], random: Random): SynthesizedAccess[] {
  const rings = new Map<number, Ring>();
  const accesses: SynthesizedAccess[] = [];
  for (const mapping of mappings) {
    if (mapping.coherent) {
      ringOf(rings, mapping.device).mappings.push(mapping);
      continue;
    }
    const pieceCount = countPages(mapping);
    const write = isWrite(mapping, random);
    const directionInferred = mapping.direction === DmaDirection.bidirectional ? DmaProvenance.directionInferred : 0;
    const shareNs = Math.max(0, mapping.unmapNs - mapping.mapNs) / (pieceCount + 1);
    const descriptor = nextDescriptor(ringOf(rings, mapping.device), mapping.mapNs + random.unit() * shareNs);
    if (descriptor !== undefined) accesses.push(descriptor);
    const end = mapping.iova + mapping.bytes;
    let iova = mapping.iova;
    for (let piece = 1; piece <= pieceCount; piece++) {
      const next = Math.min(end, nextPage(iova));
      const timeNs = Math.floor(mapping.mapNs + (piece + random.unit()) * shareNs);
      const shape = { bytes: next - iova, write, provenance: INFERRED | directionInferred };
      accesses.push({ timeNs, device: mapping.device, iova, shape, mapping });
      iova = next;
    }
  }
  return accesses.sort((a, b) => a.timeNs - b.timeNs);
}

/** Coherent memory of one device and where its next descriptor lies. */
interface Ring {
  readonly mappings: MappingLife[];
  next: number;
}

function ringOf(rings: Map<number, Ring>, device: number): Ring {
  let ring = rings.get(device);
  if (ring === undefined) {
    ring = { mappings: [], next: 0 };
    rings.set(device, ring);
  }
  return ring;
}

function nextDescriptor(ring: Ring, timeNs: number): SynthesizedAccess | undefined {
  if (ring.mappings.length === 0) return undefined;
  const alive = ring.mappings.filter(({ unmapNs }) => unmapNs > timeNs);
  const total = alive.reduce((sum, { bytes }) => sum + Math.floor(bytes / DESCRIPTOR_BYTES), 0);
  if (total === 0) return undefined;
  let slot = ring.next++ % total;
  for (const mapping of alive) {
    const slots = Math.floor(mapping.bytes / DESCRIPTOR_BYTES);
    if (slot < slots) {
      const shape = { bytes: DESCRIPTOR_BYTES, write: false, provenance: INFERRED | DmaProvenance.directionInferred };
      const iova = mapping.iova + slot * DESCRIPTOR_BYTES;
      return { timeNs: Math.floor(timeNs), device: mapping.device, iova, shape, mapping };
    }
    slot -= slots;
  }
  return undefined;
}

function isWrite({ direction }: MappingLife, random: Random): boolean {
  if (direction === DmaDirection.fromDevice) return true;
  return direction === DmaDirection.bidirectional && random.chance(0.5);
}

/** Pages that a mapping touches: a request does not cross a page. */
function countPages({ iova, bytes }: MappingLife): number {
  return bytes > 0 ? Math.ceil((iova + bytes) / PAGE_SIZE) - Math.floor(iova / PAGE_SIZE) : 0;
}

/** [bytes] Start of the page behind that of `iova`. */
function nextPage(iova: number): number {
  return (Math.floor(iova / PAGE_SIZE) + 1) * PAGE_SIZE;
}
