/** A study inside one job: the machine's parts that differ, the watched calls, injected switches, the result. */
import type { VtdConfig } from '../../hw/vtd/config.ts';
import type { EntryStepObserver } from '../../stack/drivers/intel/entry-step.ts';
import type { SubmissionObserver } from '../../stack/drivers/intel/qi.ts';
import type { BundleReader } from '../../trace/reader.ts';
import { type Tick, ticksFromNs } from '../../units.ts';
import type { ControlCalls } from '../control-player.ts';
import type { DmaChunk } from '../dma-chunk.ts';
import type { Machine } from '../machine.ts';
import type { MachineDevice } from '../machine-devices.ts';
import type { JobSpec } from '../protocol.ts';
import { ContainerTwins } from './container-twins.ts';
import { ContainersAsSpaces } from './containers-as-spaces.ts';
import { DomainTwins } from './domain-twins.ts';
import type { InjectedMoves } from './injected-moves.ts';
import type { DisruptionResult, Injection, ON_FAULT, QueueVariant, StudySpec } from './protocol.ts';
import { SpaceTwins } from './space-twins.ts';
import { type DeviceSwitch, StoppingDevices } from './stopping-devices.ts';
import { SwitchCalls } from './switch-calls.ts';
import { countAccesses, planSwitches } from './switch-plan.ts';
import { SwitchWatch } from './switch-watch.ts';

/** Hardware with the queue's latencies scaled. */
export function withQueueVariant(config: VtdConfig, { factor, trapNs }: QueueVariant): VtdConfig {
  const { queue } = config;
  const scaled = (ticks: number): number => Math.round(ticks * factor);
  return {
    ...config,
    queue: {
      ...queue,
      doorbellTicks: scaled(queue.doorbellTicks) + ticksFromNs(trapNs),
      fetchTicks: scaled(queue.fetchTicks),
      executeTicks: scaled(queue.executeTicks),
      statusTicks: scaled(queue.statusTicks),
    },
  };
}

/** The study of one job. */
export class JobStudy {
  /** For the machine. */
  readonly watch: { readonly onSubmission: SubmissionObserver; readonly onEntryStep: EntryStepObserver };
  readonly #spec: StudySpec;
  readonly #job: JobSpec;
  readonly #bundle: BundleReader;
  #calls: SwitchCalls | undefined;
  #switches: SwitchWatch | undefined;

  constructor(spec: StudySpec, job: JobSpec, bundle: BundleReader) {
    this.#spec = spec;
    this.#job = job;
    this.#bundle = bundle;
    this.watch = {
      onSubmission: (submission) => this.#calls?.onSubmission(submission),
      onEntryStep: (step) => this.#calls?.onEntryStep(step),
    };
  }

  /** Calls to be replayed instead of the machine's own. */
  start(machine: Machine): SwitchCalls {
    const { devices } = this.#bundle.manifest.topology;
    const switches = new SwitchWatch({
      originTick: machine.originTick,
      windowPs: ticksFromNs(this.#spec.windowNs),
      fromArrival: this.#job.pacing.mode !== 'closed',
      unitAt: (index) => machine.unitAt(index),
      unitOf: (device) => devices[device]?.unit ?? -1,
      nameOf: (device) => devices[device]?.name ?? `device ${device}`,
    });
    const roles = planSwitches(this.#bundle);
    const groupOf = (device: number): number => devices[device]?.group ?? -1;
    const { policy, inject } = this.#spec;
    const apart = policy === 'detach-attach';
    const movesContainers = inject?.kind === 'container' || [...roles.values()].some(({ container }) => container);
    const containers = movesContainers && !apart ? new ContainersAsSpaces(machine.calls, roles, groupOf) : undefined;
    const injected = inject && this.#injectedMoves(machine, containers ?? machine.calls, inject.kind, groupOf);
    const calls = new SwitchCalls(
      injected !== undefined && 'perform' in injected ? injected : (containers ?? machine.calls),
      () => machine,
      () => switches,
      roles,
      this.#spec,
      containers,
    );
    this.#calls = calls;
    this.#switches = switches;
    if (injected !== undefined) this.#scheduleInjection(machine, calls, switches, injected);
    return calls;
  }

  #injectedMoves(
    machine: Machine,
    calls: ControlCalls,
    kind: Injection['kind'],
    groupOf: (device: number) => number,
  ): InjectedMoves | (InjectedMoves & ControlCalls) {
    const gapNs = this.#spec.policy === 'detach-attach' ? (this.#spec.gapNs ?? 0) : undefined;
    const { kernel, driver } = machine;
    const deviceAt = (device: number): MachineDevice | undefined => machine.deviceAt(device);
    if (kind === 'container') return new ContainerTwins(calls, kernel, groupOf, gapNs);
    if (kind === 'mdev') return new SpaceTwins(calls, kernel, (device) => deviceAt(device) === undefined, gapNs);
    return new DomainTwins({ kernel, driver, deviceAt, withPasid: kind === 'pasid', gapNs });
  }

  /** Rows were issued. @hot */
  onIssued(chunk: DmaChunk, unitIndex: number, from: number, to: number): void {
    this.#switches?.onIssued(unitIndex, chunk.input, chunk.results, from, to);
  }

  finish(): DisruptionResult | undefined {
    return this.#switches?.finish(this.#spec.policy, this.#spec.queue.name, this.#onFault);
  }

  /** The replay is built: devices that stop at a fault are stopped there. */
  connect(devices: DeviceSwitch, machine: Machine): void {
    if (this.#calls === undefined || this.#onFault === 'continue') return;
    this.#calls.stopping = new StoppingDevices(machine.kernel.timeline, devices);
  }

  get #onFault(): (typeof ON_FAULT)[number] {
    return this.#spec.onFault ?? (this.#job.pacing.mode === 'closed' ? 'stop' : 'continue');
  }

  /** One switch every so often, lane after lane, until the last request was issued and the last access made. */
  #scheduleInjection(machine: Machine, calls: SwitchCalls, switches: SwitchWatch, moves: InjectedMoves): void {
    const { inject } = this.#spec;
    const { dmaRows, world } = this.#job;
    const accesses = countAccesses(this.#bundle, world.devices);
    if (inject === undefined || dmaRows + accesses === 0) return;
    const { timeline, scheduler } = machine.kernel;
    const everyTicks = ticksFromNs(inject.everyNs);
    let turn = 0;
    let busy = false;
    const injectOne = (atTick: Tick): void => {
      if (switches.issuedRows >= dmaRows && calls.accesses >= accesses) return;
      const lanes = switches.lanes.filter(({ device, pasid }) => moves.canMove(device, pasid));
      const lane = lanes[turn % Math.max(1, lanes.length)];
      // A switch longer than the interval holds up the next one: a user waits for the call to return.
      if (lane !== undefined && !busy) {
        turn++;
        busy = true;
        const onDone = (): void => {
          busy = false;
        };
        scheduler.start(calls.inject(moves, lane.device, lane.pasid), { atTick, onDone });
      }
      timeline.schedule((atTick + everyTicks) as Tick, injectOne);
    };
    timeline.schedule((machine.originTick + everyTicks) as Tick, injectOne);
  }
}
