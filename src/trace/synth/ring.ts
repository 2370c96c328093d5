/** `ring`: a network device that receives or sends packets through a descriptor ring and buffers that stay mapped. */
import { PAGE_SIZE } from '../../address.ts';
import { ConfigError } from '../../input-error.ts';
import { DmaDirection } from '../schema/control-ops.ts';
import type { RecipeOf } from './recipe.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** [bytes] A legacy e1000 or ixgbe descriptor. */
const DESCRIPTOR_BYTES = 16;
/** [bytes] A descriptor fetch reads a cache line. */
const FETCH_BYTES = 64;

interface Ring {
  readonly device: number;
  readonly descriptorPfn: number;
  readonly bufferPfn: number;
  /** 1 + control row of the two mappings. */
  readonly afterDescriptors: number;
  readonly afterBuffers: number;
}

/** Writes a `ring` trace. */
export function ring(recipe: RecipeOf<'ring'>, trace: SyntheticTrace): void {
  if (recipe.packetBytes > recipe.bufferBytes) {
    throw new ConfigError({ source: 'recipe', path: 'packetBytes', reason: 'larger than bufferBytes' });
  }
  const rings = Array.from({ length: recipe.devices }, () => setUp(recipe, trace));
  for (let slot = 0; trace.rowsLeft > 0; slot = (slot + 1) % recipe.ringEntries) {
    for (const each of rings) packet(recipe, trace, each, slot);
  }
}

/** Descriptor ring: a coherent allocation. Buffers: one streaming mapping, as a page pool keeps. */
function setUp(recipe: RecipeOf<'ring'>, trace: SyntheticTrace): Ring {
  const device = trace.addDevice('synthetic');
  const descriptors = map(trace, 'dma_alloc', device, recipe.ringEntries * DESCRIPTOR_BYTES);
  const buffers = map(trace, 'dma_map', device, recipe.ringEntries * recipe.bufferBytes);
  return {
    device,
    descriptorPfn: descriptors.iovaPfn,
    bufferPfn: buffers.iovaPfn,
    afterDescriptors: descriptors.row + 1,
    afterBuffers: buffers.row + 1,
  };
}

function map(
  trace: SyntheticTrace,
  op: 'dma_alloc' | 'dma_map',
  device: number,
  bytes: number,
): { readonly iovaPfn: number; readonly row: number } {
  const pageCount = Math.ceil(bytes / PAGE_SIZE);
  const iovaPfn = trace.allocateIova(device, pageCount);
  const row = trace.control(op, { device, iovaPfn, pageCount, flags: DmaDirection.bidirectional });
  trace.frames(row, iovaPfn, trace.physical.allocate(pageCount * PAGE_SIZE, PAGE_SIZE));
  return { iovaPfn, row };
}

/** Descriptor fetch (once a cache line), the packet in requests of at most `requestBytes`, descriptor write-back. */
function packet(recipe: RecipeOf<'ring'>, trace: SyntheticTrace, each: Ring, slot: number): void {
  const { device } = each;
  const descriptorAt = slot * DESCRIPTOR_BYTES;
  const descriptorPage = each.descriptorPfn + Math.floor(descriptorAt / PAGE_SIZE);
  const offset = descriptorAt % PAGE_SIZE;
  if (offset % FETCH_BYTES === 0) trace.dma(device, descriptorPage, offset, FETCH_BYTES, false, each.afterDescriptors);
  const transmit = trace.random.chance(recipe.readFraction);
  const bufferAt = slot * recipe.bufferBytes;
  for (let done = 0; done < recipe.packetBytes; ) {
    const at = bufferAt + done;
    const toPageEnd = PAGE_SIZE - (at % PAGE_SIZE);
    const bytes = Math.min(recipe.requestBytes, recipe.packetBytes - done, toPageEnd);
    const page = each.bufferPfn + Math.floor(at / PAGE_SIZE);
    trace.dma(device, page, at % PAGE_SIZE, bytes, !transmit, each.afterBuffers);
    done += bytes;
  }
  trace.dma(device, descriptorPage, offset, DESCRIPTOR_BYTES, true, each.afterDescriptors);
}
