/** What the driver does to context and PASID entries in memory, for those who watch a switch step by step. */
import type { Tick } from '../../../units.ts';

/**
 * `clear_present`: P goes off and the rest stays. `zero`: the whole entry. `setup`: an absent entry is written.
 * `rewrite`: a present entry changes in one store. `piece`: one 128-bit part of a present entry changes.
 */
export type EntryAction = 'clear_present' | 'zero' | 'setup' | 'rewrite' | 'piece';

/** One store, or a few that no hardware access can separate. */
export interface EntryStep {
  readonly unit: string;
  readonly sourceId: number;
  /** 0 = the RID's entry. */
  readonly pasid: number;
  readonly action: EntryAction;
  /** [128-bit pieces] Which piece of the entry; -1 = all. */
  readonly piece: number;
  /** [ps] When it was visible to hardware. */
  readonly atTick: Tick;
}

/** Called in the order of the stores. */
export type EntryStepObserver = (step: EntryStep) => void;
