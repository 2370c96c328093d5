/**
 * One switch while it is under way and for a while after: counts what became of its device's requests, and at the end
 * puts them into a {@link SwitchOutcome}. All ticks in here are absolute.
 */
import type { CostBucket } from '../../stack/kernel/task.ts';
import { NEVER } from '../../units.ts';
import type { Lane, LaneBaseline } from './lane.ts';
import { type LaneTranslation, NO_TRANSLATION, oneStoreSuffices, type TranslationKey } from './lane-translation.ts';
import {
  REFILL_BLOCK_ROWS,
  REFILL_CURVE_ROWS,
  type SwitchKind,
  type SwitchOutcome,
  type SwitchStep,
} from './protocol.ts';
import { BINS_PER_SIDE, CurveBins } from './window-curves.ts';

/** Hit rates closer than one in this many count as equal. */
const REFILL_TOLERANCE = 100;

/** Blocks of the refill curve. */
export const MAX_REFILL_BLOCKS = 64;

/** Windows after a switch in which the hit rate may come back. */
const REFILL_WINDOWS = 16;

interface Served {
  count: number;
  lastArrive: number;
}

/** Collects one switch. */
export class SwitchRecord {
  readonly row: number;
  readonly kind: SwitchKind;
  readonly lane: Lane;
  readonly startTick: number;
  readonly baseline: LaneBaseline;
  readonly old: LaneTranslation;
  readonly curves = new CurveBins();
  readonly steps: SwitchStep[] = [];
  readonly descriptors = new Map<string, number>();
  /** Hits of the refill curve by block; all blocks but the last are full. */
  readonly refillHits: number[] = [];
  /** -1 while calls are under way. */
  endTick = -1;
  result = 0;
  submissions = 0;
  next: LaneTranslation = NO_TRANSLATION;
  closed = false;
  /** [ps] When the first fault since the device went on was back at it. */
  firstFaultDone = NEVER as number;

  readonly #windowPs: number;
  readonly #binPs: number;
  readonly #served = new Map<TranslationKey, Served>();
  #faulted = 0;
  #unmapped = 0;
  #delayed = 0;
  #staleAfterReturn = 0;
  #lastStale = 0;
  /** The same until an absent entry was set up: a new table may get the number and place of the old one. */
  #lastBeforeSetup = 0;
  #setUp = false;
  #servedAfterSetup = 0;
  #firstFault = -1;
  #lastFaultDone = 0;
  /** When the device stopped, -1 = it has not; when it went on the last time. */
  #stoppedTick = -1;
  #goneOnTick = 0;
  #stoppedPs = 0;
  #clearedTick = -1;
  #absentPs = 0;
  #worstLatency = 0;
  #stallPs = 0;
  #lastSuccess: number;
  #refillStart = -1;
  #refillDoneRows = -1;
  #refillDoneTick = 0;
  #blockHits = 0;
  #blockRows = 0;
  #rowsAfter = 0;
  #missesAfter = 0;
  #walkReadsAfter = 0;
  #waitPs = 0;
  #lockPs = 0;
  #cpuPs = 0;

  constructor(
    row: number,
    kind: SwitchKind,
    lane: Lane,
    old: LaneTranslation,
    startTick: number,
    windowPs: number,
    binPs: number,
  ) {
    this.row = row;
    this.kind = kind;
    this.lane = lane;
    this.old = old;
    this.startTick = startTick;
    this.#windowPs = windowPs;
    this.#binPs = binPs;
    this.baseline = lane.baseline();
    this.#lastSuccess = lane.lastSuccess;
    lane.visit((done, latency, bytes) => this.#plot(done, latency, bytes));
  }

  /** True when nothing that comes at `tick` or later matters any more. */
  settledAt(tick: number): boolean {
    if (this.endTick < 0 || tick <= this.endTick + this.#windowPs) return false;
    return this.#refillDoneRows >= 0 || tick > this.endTick + REFILL_WINDOWS * this.#windowPs;
  }

  /** A request of the lane that was translated. @hot */
  onSuccess(
    arrive: number,
    done: number,
    latency: number,
    bytes: number,
    hit: boolean,
    reads: number,
    key: number,
  ): void {
    this.#plot(done, latency, bytes);
    if (latency > this.#worstLatency) this.#worstLatency = latency;
    if (latency > this.baseline.maxLatencyPs) this.#delayed++;
    if (done - this.#lastSuccess > this.#stallPs && this.#lastSuccess > 0) this.#stallPs = done - this.#lastSuccess;
    if (done > this.#lastSuccess) this.#lastSuccess = done;
    if (key === this.old.key) this.#lastStale = arrive;
    if (!this.#setUp) this.#lastBeforeSetup = arrive;
    else if (this.endTick < 0) this.#servedAfterSetup++;
    if (this.endTick < 0) {
      const served = this.#served.get(key);
      if (served === undefined) this.#served.set(key, { count: 1, lastArrive: arrive });
      else {
        served.count++;
        served.lastArrive = arrive;
      }
    }
    if (this.#refillStart < 0 && key === this.old.key && !this.#setUp) return;
    if (this.#refillStart < 0) this.#refillStart = arrive;
    const block = Math.floor(this.#rowsAfter / REFILL_CURVE_ROWS);
    if (block < MAX_REFILL_BLOCKS) this.refillHits[block] = (this.refillHits[block] ?? 0) + (hit ? 1 : 0);
    this.#rowsAfter++;
    if (!hit) this.#missesAfter++;
    this.#walkReadsAfter += reads;
    this.#blockRows++;
    if (hit) this.#blockHits++;
    if (this.#blockRows === REFILL_BLOCK_ROWS) this.#endBlock(done);
  }

  /** After the call: whether the answer is that of the new table. */
  checkAfterReturn(iovaPfn: number, pfn: number, arrive: number): void {
    const frame = this.next.frameOf?.(iovaPfn);
    if (frame === undefined || frame === pfn) return;
    this.#staleAfterReturn++;
    this.#lastStale = arrive;
  }

  /** A request faulted: by the switch, unless it came later and to a page that the new table does not have. */
  onDmaFault(iovaPfn: number, arrive: number, done: number): void {
    if (this.endTick >= 0 && this.next.frameOf?.(iovaPfn) === -1) this.#unmapped++;
    else this.onFault(arrive, done);
  }

  /** A request of the lane that the switch made fail. */
  onFault(arrive: number, done: number): void {
    this.#faulted++;
    if (this.#firstFault < 0) this.#firstFault = arrive;
    if (done > this.#lastFaultDone) this.#lastFaultDone = done;
    if (done < this.firstFaultDone && arrive >= this.#goneOnTick) this.firstFaultDone = done;
    const bin = this.#bin(done);
    if (bin >= 0) this.curves.faults[bin]!++;
  }

  /** The device issues nothing at the moment. */
  get isStopped(): boolean {
    return this.#stoppedTick >= 0;
  }

  /** It stops. */
  stop(atTick: number): void {
    this.#stoppedTick = atTick;
  }

  /** It goes on, if it had stopped: until now it was affected. */
  goOn(atTick: number): boolean {
    if (this.#stoppedTick < 0) return false;
    this.#stoppedPs += atTick - this.#stoppedTick;
    this.#stoppedTick = -1;
    this.#goneOnTick = atTick;
    this.firstFaultDone = NEVER;
    this.#lastFaultDone = Math.max(this.#lastFaultDone, atTick);
    return true;
  }

  /** A request of any device of the unit completed. @hot */
  onUnit(done: number, bytes: number): void {
    const bin = this.#bin(done);
    if (bin >= 0) this.curves.unitBytes[bin]! += bytes;
  }

  /** An entry in memory changed. */
  onEntry(text: string, present: boolean, atTick: number): void {
    if (!present) {
      if (this.#clearedTick < 0) this.#clearedTick = atTick;
    } else if (this.#clearedTick >= 0) {
      this.#absentPs += atTick - this.#clearedTick;
      this.#clearedTick = -1;
      this.#setUp = true;
    }
    this.step('entry', text, atTick, atTick);
  }

  /** Time of the calls. */
  charge(bucket: CostBucket, fromTick: number, toTick: number): void {
    if (bucket === 'wait') {
      this.#waitPs += toTick - fromTick;
      this.step('wait', 'wait for invalidation', fromTick, toTick);
    } else if (bucket === 'lock') {
      this.#lockPs += toTick - fromTick;
      this.step('lock', 'wait for lock', fromTick, toTick);
    } else {
      this.#cpuPs += toTick - fromTick;
    }
  }

  step(lane: SwitchStep['lane'], text: string, fromTick: number, toTick: number): void {
    this.steps.push({ lane, text, fromTick: fromTick - this.startTick, toTick: toTick - this.startTick });
  }

  /** The calls have ended. */
  end(atTick: number, result: number, next: LaneTranslation): void {
    this.endTick = atTick;
    this.result = Math.min(result, 0);
    this.next = next;
    if (this.#clearedTick >= 0) this.#absentPs += atTick - this.#clearedTick;
    this.#clearedTick = -1;
  }

  /** Requests in the blocks of the refill curve. */
  get refillRows(): number {
    return this.#rowsAfter;
  }

  /** Everything seen, relative to `originTick`. */
  outcome(deviceName: string, unitName: string, originTick: number): SwitchOutcome {
    const { baseline, old, next } = this;
    if (this.#lastSuccess > 0 && this.#faulted > 0) {
      // A device that never got through again stalls to the end of the window.
      this.#stallPs = Math.max(this.#stallPs, this.#lastFaultDone - this.#lastSuccess);
    }
    const sameKey = next.key === old.key;
    let torn = 0;
    for (const [key, { count }] of this.#served) if (key !== old.key && key !== next.key) torn += count;
    const usual = [...this.curves.bytes.subarray(0, BINS_PER_SIDE)];
    const after = this.curves.bytes.subarray(BINS_PER_SIDE);
    const usualBinBytes = Math.floor(usual.reduce((sum, bytes) => sum + bytes, 0) / BINS_PER_SIDE);
    const expected = (perRows: number): number =>
      baseline.rows === 0 ? 0 : Math.round((perRows * this.#rowsAfter) / baseline.rows);
    return {
      row: this.row,
      kind: this.kind,
      device: deviceName,
      pasid: this.lane.pasid,
      unit: unitName,
      transition: `${old.stage}>${next.stage}`,
      layoutAllowsHitless: this.result < 0 ? null : (oneStoreSuffices(old, next) ?? null),
      oldDomainId: old.domainId,
      newDomainId: next.domainId,
      startTick: this.startTick - originTick,
      endTick: this.endTick < 0 ? -1 : this.endTick - originTick,
      result: this.result,
      servedOld: (this.#served.get(old.key)?.count ?? 0) - (sameKey ? this.#servedAfterSetup : 0),
      servedNew: sameKey ? this.#servedAfterSetup : (this.#served.get(next.key)?.count ?? 0),
      servedTorn: torn,
      faulted: this.#faulted,
      unmapped: this.#unmapped,
      delayed: this.#delayed,
      staleAfterReturn: this.#staleAfterReturn,
      blackoutPs: this.#firstFault < 0 ? 0 : this.#lastFaultDone - this.#firstFault,
      stoppedPs: this.#stoppedPs,
      absentPs: this.#absentPs,
      staleWindowPs:
        this.result < 0 ? 0 : Math.max(0, (sameKey ? this.#lastBeforeSetup : this.#lastStale) - this.startTick),
      worstAddedPs: Math.max(0, this.#worstLatency - baseline.medianLatencyPs),
      stallPs: this.#stallPs,
      usualGapPs: baseline.maxGapPs,
      refillRows: this.#refillDoneRows,
      refillPs: this.#refillDoneRows < 0 ? -1 : this.#refillDoneTick - this.#refillStart,
      extraWalks: Math.max(0, this.#missesAfter - expected(baseline.rows - baseline.hits)),
      extraWalkReads: Math.max(0, this.#walkReadsAfter - expected(baseline.walkReads)),
      submissions: this.submissions,
      descriptors: Object.fromEntries([...this.descriptors].sort(([a], [b]) => (a < b ? -1 : 1))),
      waitPs: this.#waitPs,
      lockPs: this.#lockPs,
      cpuPs: this.#cpuPs,
      usualBinBytes,
      lostBytes: Math.max(
        0,
        after.reduce((missing, bytes) => missing - bytes, usualBinBytes * BINS_PER_SIDE),
      ),
    };
  }

  #endBlock(done: number): void {
    const { hits, rows } = this.baseline;
    // hits/rows of the block at least hits/rows of before less 1 %, without a quotient.
    const enough = this.#blockHits * rows * REFILL_TOLERANCE >= this.#blockRows * (hits * REFILL_TOLERANCE - rows);
    if (enough && this.#refillDoneRows < 0) {
      this.#refillDoneRows = this.#rowsAfter;
      this.#refillDoneTick = done;
    }
    this.#blockHits = 0;
    this.#blockRows = 0;
  }

  #plot(done: number, latency: number, bytes: number): void {
    const bin = this.#bin(done);
    if (bin < 0) return;
    const { curves } = this;
    curves.bytes[bin]! += bytes;
    curves.latencySum[bin]! += latency;
    curves.requests[bin]!++;
    if (latency > curves.latencyMax[bin]!) curves.latencyMax[bin] = latency;
  }

  #bin(tick: number): number {
    const bin = Math.floor((tick - this.startTick + this.#windowPs) / this.#binPs);
    return bin >= 0 && bin < 2 * BINS_PER_SIDE ? bin : -1;
  }
}
