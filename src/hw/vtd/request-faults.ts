/**
 * Faults of requests: the reason where the tables alone do not give it, and what becomes of one. A translation request
 * that finds no permission is answered so and recorded nowhere; every other fault is counted, and recorded unless the
 * entries of the device hide its faults (FPD).
 */
import { DmaFlag, DmaOutcome } from '../unit.ts';
import { BindingKind } from './binding.ts';
import { Counter } from './counters.ts';
import { FaultReason } from './fault-reasons.ts';
import type { FaultRecorder } from './faults.ts';
import { Result } from './translation-result.ts';
import type { Translator } from './translator.ts';
import { WalkTick } from './walk-schedule.ts';
import { PROT_READ, PROT_WRITE } from './walker.ts';

/** Faults on one translation path. */
export class RequestFaults {
  /** The last translation request found no permission for the access. */
  denied = false;

  readonly #translator: Translator;
  readonly #recorder: FaultRecorder;

  constructor(translator: Translator, recorder: FaultRecorder) {
    this.#translator = translator;
    this.#recorder = recorder;
  }

  /** Reason of a page with nothing mapped. */
  absence(flags: number): number {
    const { walker, resolver } = this.#translator;
    return walker.permissionFault((flags & DmaFlag.write) !== 0 ? PROT_WRITE : PROT_READ, resolver.scalable);
  }

  /** Reason of an address that is too wide for the slot's tables. */
  width(slot: number): number {
    const { bindings, resolver, config } = this.#translator;
    if (bindings.kind[slot] !== BindingKind.secondStage) return FaultReason.fsNotCanonical;
    return resolver.scalable ? config.faultCodes.scalableSsBeyondWidth : FaultReason.addressBeyondWidth;
  }

  /**
   * Answers the request with the fault, as of `ticks[ready]`. `walked`: it comes from the page walk, not from context or
   * PASID entries.
   */
  raise(slot: number, low: number, high: number, flags: number, reason: number, walked: boolean): void {
    const { result, counters, bindings, resolver, config, ticks } = this.#translator;
    result[Result.outcome] = DmaOutcome.fault;
    result[Result.fault] = reason;
    if (walked && (flags & DmaFlag.translationRequest) !== 0) {
      this.denied = true;
      return;
    }
    counters.values[Counter['model.faults']]!++;
    if (bindings.faultsHidden[slot] === 1) return;
    const sourceId = bindings.sourceIds[bindings.requester(slot)]!;
    const write = (flags & DmaFlag.write) !== 0;
    const pasid = bindings.pasid(slot);
    const carriesRid = walked && resolver.scalable && config.faultCodes.walkFaultsCarryRidPasid;
    const readyTick = ticks[WalkTick.ready]!;
    this.#recorder.report(sourceId, pasid, pasid > 0 || carriesRid, reason, write, low, high, readyTick);
  }
}
