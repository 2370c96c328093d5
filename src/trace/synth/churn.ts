/**
 * `churn`: a storage device through the DMA API. Every I/O is mapped before and unmapped after its requests, and those
 * of different I/Os interleave. Its control rows carry both dependencies: requests wait for their map, an unmap for the
 * last request.
 */
import { PAGE_SIZE } from '../../address.ts';
import { ConfigError } from '../../input-error.ts';
import { DmaDirection } from '../schema/control-ops.ts';
import type { PhysicalRegion } from './memory-layout.ts';
import type { RecipeOf } from './recipe.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/**
 * Ranges kept back under lazy flushing before they are used again: two flush queues' worth, as a range is not free
 * before its queue is flushed (IOVA_DEFAULT_FQ_SIZE 256, Linux drivers/iommu/dma-iommu.c).
 */
const LAZY_BACKLOG = 512;

/** One I/O under way. */
interface Slot {
  readonly cpu: number;
  /** Buffer memory of this slot, used by one I/O after another. */
  readonly region: PhysicalRegion;
  iovaPfn: number;
  mapRow: number;
  /** [bytes] Transferred so far. */
  done: number;
  write: boolean;
  /** 1 + row of the latest request; 0 before the first. */
  afterDma: number;
}

interface Device {
  readonly device: number;
  readonly slots: readonly Slot[];
  /** Freed IOVA ranges, oldest first. */
  readonly freed: number[];
}

/** Writes a `churn` trace. */
export function churn(recipe: RecipeOf<'churn'>, trace: SyntheticTrace): void {
  if (recipe.ioBytes % recipe.requestBytes !== 0) {
    throw new ConfigError({ source: 'recipe', path: 'ioBytes', reason: 'not a multiple of requestBytes' });
  }
  const pageCount = Math.ceil(recipe.ioBytes / PAGE_SIZE);
  const devices = Array.from({ length: recipe.devices }, () => setUp(recipe, trace, pageCount));
  while (trace.rowsLeft > 0) {
    for (const each of devices) step(recipe, trace, each, pageCount);
  }
  for (const each of devices) for (const slot of each.slots) unmap(trace, each, slot, pageCount);
}

function setUp(recipe: RecipeOf<'churn'>, trace: SyntheticTrace, pageCount: number): Device {
  const device = trace.addDevice('synthetic');
  const slots = Array.from({ length: recipe.queueDepth }, (_, index) => ({
    cpu: index % recipe.cpus,
    region: trace.physical.allocate(pageCount * PAGE_SIZE, PAGE_SIZE),
    iovaPfn: 0,
    mapRow: -1,
    done: recipe.ioBytes,
    write: false,
    afterDma: 0,
  }));
  return { device, slots, freed: [] };
}

/** One request of a random I/O; an I/O that has had all of its requests gives way to a new one first. */
function step(recipe: RecipeOf<'churn'>, trace: SyntheticTrace, each: Device, pageCount: number): void {
  if (trace.rowsLeft === 0) return;
  const slot = each.slots[trace.random.below(each.slots.length)]!;
  if (slot.done === recipe.ioBytes) {
    unmap(trace, each, slot, pageCount);
    map(recipe, trace, each, slot, pageCount);
  }
  const page = slot.iovaPfn + Math.floor(slot.done / PAGE_SIZE);
  const row = trace.dma(each.device, page, slot.done % PAGE_SIZE, recipe.requestBytes, slot.write, slot.mapRow + 1);
  slot.done += recipe.requestBytes;
  slot.afterDma = row + 1;
}

function map(recipe: RecipeOf<'churn'>, trace: SyntheticTrace, each: Device, slot: Slot, pageCount: number): void {
  // The kernel's per-CPU magazines hand out the latest freed range first; a flush queue gives them back in order.
  const lazy = recipe.flushMode === 'lazy';
  const reused = lazy ? (each.freed.length > LAZY_BACKLOG ? each.freed.shift() : undefined) : each.freed.pop();
  slot.iovaPfn = reused ?? trace.allocateIova(each.device, pageCount);
  slot.write = !trace.random.chance(recipe.readFraction);
  slot.done = 0;
  slot.afterDma = 0;
  const flags = slot.write ? DmaDirection.fromDevice : DmaDirection.toDevice;
  const range = { iovaPfn: slot.iovaPfn, pageCount, flags };
  slot.mapRow = trace.control('dma_map', { device: each.device, cpu: slot.cpu, ...range });
  trace.frames(slot.mapRow, slot.iovaPfn, slot.region);
}

function unmap(trace: SyntheticTrace, each: Device, slot: Slot, pageCount: number): void {
  if (slot.mapRow < 0) return;
  const range = { iovaPfn: slot.iovaPfn, pageCount, afterDma: slot.afterDma };
  trace.control('dma_unmap', { device: each.device, cpu: slot.cpu, ...range });
  each.freed.push(slot.iovaPfn);
  slot.mapRow = -1;
}
