/** What a request would be answered now, without any effect on caches, counters, time or tables. */
import { NEVER } from '../../units.ts';
import { DmaFlag, DmaOutcome } from '../unit.ts';
import { BindingKind } from './binding.ts';
import { FaultReason } from './fault-reasons.ts';
import { answerEntry, answerLeaf, Result } from './translation-result.ts';
import { ROOT_PROT, type Translator } from './translator.ts';

/** Answers into `translator.result`, as {@link Translator.translate} would. */
export function probe(translator: Translator, slot: number, low: number, high: number, flags: number): void {
  const { bindings, resolver, result, walker } = translator;
  result.fill(0);
  result[Result.pfnLow] = low;
  result[Result.pfnHigh] = high;
  result[Result.outcome] = DmaOutcome.passThrough;
  if (!translator.enabled || (flags & DmaFlag.translated) !== 0) return;
  if (translator.isInterrupt(slot, low, high, flags)) return;
  const bySource = translator.config.iotlbRules.tag === 'source';
  if (bySource && probeEntry(translator, translator.spaces.of(slot, -1), low, high & 0x1fff, flags)) return;
  if (bySource || bindings.readyTick[slot] === NEVER) {
    resolver.peek(slot);
    if (resolver.fault !== FaultReason.none) {
      answerFault(result, resolver.fault);
      return;
    }
  }
  if (bindings.kind[slot] === BindingKind.passThrough) return;
  const pages = bindings.tableHigh(slot, low, high);
  if (pages < 0) {
    answerFault(result, translator.faults.width(slot));
    return;
  }
  if (!bySource && probeEntry(translator, bindings.space[slot]!, low, pages, flags)) return;
  walker.readOnly = true;
  translator.walk(slot, bindings.rootSlot[slot]!, bindings.rootLevel[slot]!, ROOT_PROT, low, pages, flags);
  walker.readOnly = false;
  if (walker.fault !== FaultReason.none) {
    answerFault(result, walker.fault);
    return;
  }
  result[Result.outcome] = DmaOutcome.miss;
  answerLeaf(result, walker, low);
}

function probeEntry(translator: Translator, space: number, low: number, high: number, flags: number): boolean {
  const entry = translator.iotlb.peek(space, low, high);
  if (entry < 0) return false;
  if (translator.isAbsence(entry)) {
    answerFault(translator.result, translator.faults.absence(flags));
    return true;
  }
  if (!translator.permits(entry, flags)) return false;
  translator.result[Result.outcome] = DmaOutcome.hit;
  answerEntry(translator.result, translator.iotlb, entry, low);
  return true;
}

function answerFault(result: Int32Array, reason: number): void {
  result[Result.outcome] = DmaOutcome.fault;
  result[Result.fault] = reason;
}
