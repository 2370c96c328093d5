/**
 * The control plane of a study: passes every call on, and performs switches as the policy says. A replace becomes
 * detach, gap and attach under `detach-attach`; a recorded detach and attach become one replace, at the time of the
 * attach, under every other policy, and so does a move between containers ({@link ContainersAsSpaces}). Watches each switch
 * step by step on the way.
 */
import { descriptorKind } from '../../hw/vtd/invalidation.ts';
import type { IntelPagingDomain } from '../../stack/drivers/intel/domain.ts';
import type { EntryStep } from '../../stack/drivers/intel/entry-step.ts';
import { IntelNestedDomain } from '../../stack/drivers/intel/nested-domain.ts';
import type { Submission } from '../../stack/drivers/intel/qi.ts';
import { isTableDomain } from '../../stack/drivers/intel/table-domain.ts';
import type { IommuDomain } from '../../stack/iommu/ops.ts';
import type { CostBucket, KernelTask } from '../../stack/kernel/task.ts';
import { NONE_U32 } from '../../trace/schema/column-type.ts';
import { WITH_PASID } from '../../vfio-flags.ts';
import type { CallOutcome, ControlCalls } from '../control-player.ts';
import type { ControlRow } from '../control-row.ts';
import { frameBehind } from '../domain-view.ts';
import type { Machine } from '../machine.ts';
import type { MachineDevice } from '../machine-devices.ts';
import type { ContainersAsSpaces } from './containers-as-spaces.ts';
import { INJECTED_ROW, type InjectedMoves } from './injected-moves.ts';
import { type LaneTranslation, NO_TRANSLATION, translationKey } from './lane-translation.ts';
import type { StudySpec, SwitchKind } from './protocol.ts';
import type { StoppingDevices } from './stopping-devices.ts';
import { ACCESSES, type SwitchRole } from './switch-plan.ts';
import type { SwitchRecord } from './switch-record.ts';
import type { SwitchWatch } from './switch-watch.ts';

const DONE: CallOutcome = { result: 0 };
const ENTRY_TEXT: Readonly<Record<EntryStep['action'], string>> = {
  clear_present: 'clear P',
  zero: 'zero entry',
  setup: 'write new entry, P set',
  rewrite: 'store new entry at once',
  piece: 'store piece',
};

/** Calls of one machine under one policy. */
export class SwitchCalls implements ControlCalls {
  readonly #inner: ControlCalls;
  readonly #containers: ContainersAsSpaces | undefined;
  readonly #machine: () => Machine;
  readonly #watch: () => SwitchWatch;
  readonly #roles: ReadonlyMap<number, SwitchRole>;
  readonly #spec: StudySpec;
  /** Switches between their detach and their attach call. */
  readonly #halfDone = new Map<string, SwitchRecord>();
  /** The same by the container that the group has entered. */
  readonly #halfDoneIn = new Map<number, SwitchRecord>();
  /** Numbers of the address spaces that software accesses. */
  readonly #spaces = new Map<object, number>();
  /** Stops devices that fault; undefined = they go on. */
  stopping: StoppingDevices | undefined;
  /** Pins and copies of mediated devices so far. */
  accesses = 0;
  /** The switch whose code runs now. */
  #current: SwitchRecord | undefined;

  constructor(
    inner: ControlCalls,
    machine: () => Machine,
    watch: () => SwitchWatch,
    roles: ReadonlyMap<number, SwitchRole>,
    spec: StudySpec,
    containers: ContainersAsSpaces | undefined,
  ) {
    this.#containers = containers;
    this.#inner = inner;
    this.#machine = machine;
    this.#watch = watch;
    this.#roles = roles;
    this.#spec = spec;
  }

  perform(row: ControlRow): KernelTask<CallOutcome> {
    const role = this.#roles.get(row.row);
    if (role !== undefined) return this.#switch(row, role);
    if (ACCESSES.has(row.op)) return this.#access(row);
    if (this.#halfDone.size === 0) return this.#inner.perform(row);
    const record = this.#halfDone.get(`${row.device} 0`) ?? this.#halfDoneIn.get(row.context);
    if (record === undefined) return this.#inner.perform(row);
    // Between leaving one container and coming back to life in another: part of the switch.
    if (row.op === 'VFIO_GROUP_SET_CONTAINER') this.#halfDoneIn.set(row.context, record);
    return this.#observed(record, this.#inner.perform(row));
  }

  /** The driver submitted descriptors. */
  onSubmission({ count, words, atTick }: Submission): void {
    const record = this.#current;
    if (record === undefined) return;
    record.submissions++;
    const kinds: string[] = [];
    for (let index = 0; index < count; index++) {
      const kind = descriptorKind(words[8 * index]! >>> 0);
      kinds.push(kind);
      record.descriptors.set(kind, (record.descriptors.get(kind) ?? 0) + 1);
    }
    record.step('queue', `submit ${kinds.join(', ')} + wait`, atTick, atTick);
  }

  /** The driver changed an entry. */
  onEntryStep({ action, piece, atTick }: EntryStep): void {
    const text = piece < 0 ? ENTRY_TEXT[action] : `${ENTRY_TEXT[action]} ${piece}`;
    const record = this.#current;
    if (record === undefined) return;
    const present = action !== 'clear_present' && action !== 'zero';
    record.onEntry(text, present, atTick);
    if (present) this.stopping?.entrySetUp(record);
    else this.stopping?.entryCleared(record);
  }

  /** A switch in a workload that has none. */
  *inject(moves: InjectedMoves, device: number, pasid: number): KernelTask<void> {
    if (!(yield* moves.prepare(device, pasid))) return;
    const record = this.#begin(INJECTED_ROW, moves.kind, device, pasid);
    const result = yield* this.#observed(record, moves.move(device, pasid));
    this.#end(record, result);
  }

  *#switch(row: ControlRow, role: SwitchRole): KernelTask<CallOutcome> {
    const { policy, gapNs } = this.#spec;
    const pasid = pasidOf(row);
    const key = `${row.device} ${pasid}`;
    const apart = policy === 'detach-attach';
    const asRecorded = role.container ? this.#containers?.covers(row.device) !== true : apart && gapNs === undefined;
    if (role.part === 'detach') {
      if (!asRecorded) return DONE;
      const record = this.#begin(
        row.row,
        kindOf(row, role, this.#machine().deviceAt(row.device) === undefined),
        row.device,
        pasid,
      );
      this.#halfDone.set(key, record);
      const outcome = yield* this.#observed(record, this.#inner.perform(row));
      if (apart && role.container && gapNs !== undefined && gapNs > 0) yield gapNs * 1000;
      return outcome;
    }
    const started = this.#halfDone.get(key);
    this.#halfDone.delete(key);
    for (const [context, record] of this.#halfDoneIn) if (record === started) this.#halfDoneIn.delete(context);
    const record =
      started ??
      this.#begin(row.row, kindOf(row, role, this.#machine().deviceAt(row.device) === undefined), row.device, pasid);
    const calls =
      apart && started === undefined ? this.#detachThenAttach(row, gapNs ?? role.gapNs) : this.#inner.perform(row);
    const outcome = yield* this.#observed(record, calls);
    this.#end(record, outcome.result);
    return outcome;
  }

  *#detachThenAttach(row: ControlRow, gapNs: number): KernelTask<CallOutcome> {
    const op = 'VFIO_DEVICE_DETACH_IOMMUFD_PT';
    yield* this.#inner.perform({ ...row, op, target: NONE_U32, recordedObject: NONE_U32, frames: [] });
    if (gapNs > 0) yield gapNs * 1000;
    return yield* this.#inner.perform(row);
  }

  *#access(row: ControlRow): KernelTask<CallOutcome> {
    const { kernel } = this.#machine();
    const startTick = kernel.now;
    const { key } = this.#translationOf(row.device, 0);
    const outcome = yield* this.#inner.perform(row);
    this.accesses++;
    const bytes = row.op === 'vfio_dma_rw' ? Number(row.length) : 0;
    if (outcome.skipped === true) return outcome;
    this.#watch().onAccess(row.device, startTick, kernel.now, bytes, outcome.result, key);
    return outcome;
  }

  #begin(row: number, kind: SwitchKind, device: number, pasid: number): SwitchRecord {
    const now = this.#machine().kernel.now;
    return this.#watch().begin(row, kind, device, pasid, this.#translationOf(device, pasid), now);
  }

  #end(record: SwitchRecord, result: number): void {
    const { device, pasid } = record.lane;
    const now = this.#machine().kernel.now;
    record.step('call', `returns ${Math.min(result, 0)}`, now, now);
    record.end(now, result, this.#translationOf(device, pasid));
    this.stopping?.ended(record);
  }

  /** Runs a call with its switch as the current one, and books its time. */
  *#observed<T>(record: SwitchRecord, task: KernelTask<T>): KernelTask<T> {
    const { kernel } = this.#machine();
    for (;;) {
      this.#current = record;
      const step = task.next();
      this.#current = undefined;
      if (step.done === true) return step.value;
      const suspension = step.value;
      const bucket: CostBucket = typeof suspension === 'number' ? 'other' : (suspension.bucket ?? 'other');
      const from = kernel.now;
      yield suspension;
      if (kernel.now > from && !record.closed) record.charge(bucket, from, kernel.now);
    }
  }

  #domainOf(machine: MachineDevice, pasid: number): IommuDomain | undefined {
    const info = this.#machine().driver.info(machine.device);
    return pasid === 0 ? info.domain : info.pasids.get(pasid)?.domain;
  }

  #translationOf(device: number, pasid: number): LaneTranslation {
    const { driver, memory } = this.#machine();
    const machine = this.#machine().deviceAt(device);
    const domain = machine === undefined ? undefined : this.#domainOf(machine, pasid);
    if (machine === undefined) return this.#accessOf(device);
    if (domain === undefined) return NO_TRANSLATION;
    if (!isTableDomain(domain)) return { ...NO_TRANSLATION, stage: 'PT' };
    const domainId = domain.domainId(driver.info(machine.device).unit);
    const frameOf = (iovaPfn: number): number => frameBehind(memory, domain, iovaPfn);
    if (domain instanceof IntelNestedDomain) {
      const secondRoot = memory.slotOf(domain.parent.table.root);
      const key = translationKey(domainId, domain.firstPage);
      return { key, domainId, idHolder: domain.ids, stage: 'nested', secondRoot, frameOf };
    }
    const { table, stage } = domain as IntelPagingDomain;
    const slot = memory.slotOf(table.root);
    const key = translationKey(domainId, slot);
    if (stage === 'first') return { key, domainId, idHolder: domain, stage: 'FS', secondRoot: -1, frameOf };
    return { key, domainId, idHolder: domain, stage: 'SS', secondRoot: slot, frameOf };
  }

  /** What the driver of a mediated device reaches: an IOAS, or nothing. */
  #accessOf(device: number): LaneTranslation {
    const ioas = this.#machine().vfioDeviceAt(device)?.iommufdAccess?.ioas;
    if (ioas === undefined) return NO_TRANSLATION;
    const number = this.#spaces.get(ioas) ?? this.#spaces.size + 1;
    this.#spaces.set(ioas, number);
    return { ...NO_TRANSLATION, key: translationKey(-1, number), stage: 'SW' };
  }
}

function pasidOf(row: ControlRow): number {
  return (row.flags & WITH_PASID) !== 0 && row.pasid !== NONE_U32 ? row.pasid : 0;
}

function kindOf(row: ControlRow, role: SwitchRole, mediated: boolean): SwitchKind {
  if (mediated) return 'mdev-access';
  if (row.op.startsWith('VFIO_GROUP')) return 'legacy-container';
  if (pasidOf(row) !== 0) return 'pasid';
  return role.part === 'replace' ? 'cdev-replace' : 'cdev-detach-attach';
}
