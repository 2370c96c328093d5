/**
 * Mappings that existed when the window began: from the table dump where it still held, else learned from first uses.
 * A dump is taken before tracing starts, so what happened in between may have outdated it; then the trace decides.
 */
import { PAGE_SIZE } from '../../address.ts';
import { InitialOrigin } from '../schema/initial-stream.ts';
import type { WindowAccess } from './access-resolution.ts';
import type { ControlCall } from './control-call.ts';
import { PairKeys } from './pair-keys.ts';

/** A page that was mapped at the beginning. */
export interface InitialPage {
  readonly device: number;
  readonly iovaPfn: number;
  readonly pfn: number;
  /** IommuProt bits. */
  readonly prot: number;
  /** log2 of the leaf's size. */
  readonly leafShift: number;
  readonly origin: number;
}

/** A use of a page, with what its leaf entry showed. */
export interface PageUse extends WindowAccess {
  readonly prot: number;
  readonly pageShift: number;
}

/** What the beginning looked like. */
export interface InitialState {
  readonly pages: readonly InitialPage[];
  /** Device events from which a page was learned. */
  readonly taughtBy: ReadonlySet<number>;
  /** Dumped pages that the trace shows to be gone or changed at the beginning. */
  readonly outdated: number;
  /** Pages the trace unmaps first and nothing tells the content of. */
  readonly unknown: number;
}

/** Inputs of {@link findInitialState}. */
export interface InitialEvidence {
  readonly calls: readonly ControlCall[];
  /** Pages of the dump taken before. */
  readonly dumped: readonly InitialPage[];
  /** Uses before the window, in order: what the device saw last. */
  readonly earlierUses: readonly PageUse[];
  /** Uses in the window, in order. */
  readonly uses: readonly PageUse[];
  groupOf(device: number): number;
  /** True when `use` came before `call` took effect. */
  isBefore(use: PageUse, call: ControlCall): boolean;
  /** True when the trace itself maps that page there, through a call that names no IOVA range of the device. */
  isMappedLater(use: PageUse): boolean;
}

interface FirstCall {
  readonly call: ControlCall;
  readonly maps: boolean;
}

type PageKey = (device: number, iovaPfn: number) => number;

/** Decides which pages were mapped at the beginning. */
export function findInitialState(evidence: InitialEvidence): InitialState {
  const { calls, dumped, uses, earlierUses, groupOf } = evidence;
  const keys = new PairKeys<number>();
  const keyOf: PageKey = (device, iovaPfn) => keys.of(groupOf(device), iovaPfn);
  const firstCalls = findFirstCalls(calls, keyOf);
  const pages = new Map<number, InitialPage>();
  let outdated = 0;
  for (const page of dumped) {
    const key = keyOf(page.device, page.iovaPfn);
    if (page.leafShift === 12 && firstCalls.get(key)?.maps === true) outdated++;
    else pages.set(key, page);
  }
  const superPages = dumped.filter(({ leafShift }) => leafShift > 12);
  const taughtBy = new Set<number>();
  const decided = new Set<number>();
  for (const use of uses) {
    const key = keyOf(use.device, use.iovaPfn);
    if (decided.has(key)) continue;
    decided.add(key);
    const first = firstCalls.get(key);
    if (first !== undefined && (first.maps || !evidence.isBefore(use, first.call))) continue;
    if (use.pfn < 0) continue;
    const known = pages.get(key);
    if (known?.pfn === use.pfn || isWithin(superPages, use)) continue;
    if (first === undefined && evidence.isMappedLater(use)) continue;
    if (known !== undefined) outdated++;
    pages.set(key, learnedPage(use));
    taughtBy.add(use.deviceEvent);
  }
  const unknown = learnUnmapped(firstCalls, pages, earlierUses, keyOf);
  return { pages: [...pages.values()], taughtBy, outdated, unknown };
}

/** First DMA-API call on each page. */
function findFirstCalls(calls: readonly ControlCall[], keyOf: PageKey): Map<number, FirstCall> {
  const first = new Map<number, FirstCall>();
  for (const call of calls) {
    const maps = call.op === 'dma_map' || call.op === 'dma_alloc';
    if (!maps && call.op !== 'dma_unmap' && call.op !== 'dma_free') continue;
    const start = Math.floor(Number(call.iova) / PAGE_SIZE);
    const end = Math.ceil((Number(call.iova) + Number(call.length)) / PAGE_SIZE);
    for (let iovaPfn = start; iovaPfn < end; iovaPfn++) {
      const key = keyOf(call.device, iovaPfn);
      if (!first.has(key)) first.set(key, { call, maps });
    }
  }
  return first;
}

/** Pages unmapped first in the window, neither dumped nor used in it: what the device saw there last. */
function learnUnmapped(
  firstCalls: ReadonlyMap<number, FirstCall>,
  pages: Map<number, InitialPage>,
  earlierUses: readonly PageUse[],
  keyOf: PageKey,
): number {
  const lastUse = new Map<number, PageUse>();
  for (const use of earlierUses) if (use.pfn >= 0) lastUse.set(keyOf(use.device, use.iovaPfn), use);
  let unknown = 0;
  for (const [key, { maps }] of firstCalls) {
    if (maps || pages.has(key)) continue;
    const use = lastUse.get(key);
    if (use === undefined) unknown++;
    else pages.set(key, learnedPage(use));
  }
  return unknown;
}

function learnedPage({ device, iovaPfn, pfn, prot, pageShift }: PageUse): InitialPage {
  return { device, iovaPfn, pfn, prot, leafShift: pageShift, origin: InitialOrigin.learned };
}

function isWithin(superPages: readonly InitialPage[], use: PageUse): boolean {
  return superPages.some(({ device, iovaPfn, pfn, leafShift }) => {
    const offset = use.iovaPfn - iovaPfn;
    return device === use.device && offset >= 0 && offset < 2 ** (leafShift - 12) && pfn + offset === use.pfn;
  });
}
