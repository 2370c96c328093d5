/** A study inside one job: the machine's parts that differ, the watched calls, injected switches, the result. */
import type { VtdConfig } from '../../hw/vtd/config.ts';
import type { EntryStepObserver } from '../../stack/drivers/intel/entry-step.ts';
import type { SubmissionObserver } from '../../stack/drivers/intel/qi.ts';
import type { BundleReader } from '../../trace/reader.ts';
import { type Tick, ticksFromNs } from '../../units.ts';
import type { ControlCalls } from '../control-player.ts';
import type { DmaChunk } from '../dma-chunk.ts';
import type { Machine } from '../machine.ts';
import type { JobSpec } from '../protocol.ts';
import { ContainersAsSpaces } from './containers-as-spaces.ts';
import type { DisruptionResult, QueueVariant, StudySpec } from './protocol.ts';
import { SwitchCalls } from './switch-calls.ts';
import { planSwitches, type SwitchRole } from './switch-plan.ts';
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
    const calls = new SwitchCalls(
      this.#callsUnder(machine, roles, (device) => devices[device]?.group ?? -1),
      () => machine,
      () => switches,
      roles,
      this.#spec,
    );
    this.#calls = calls;
    this.#switches = switches;
    this.#scheduleInjection(machine, calls, switches);
    return calls;
  }

  /** The machine's calls; with containers replaced where a policy needs what their interface does not have. */
  #callsUnder(
    machine: Machine,
    roles: ReadonlyMap<number, SwitchRole>,
    groupOf: (device: number) => number,
  ): ControlCalls {
    const moves = [...roles.values()].some(({ container }) => container);
    if (!moves || this.#spec.policy === 'detach-attach') return machine.calls;
    return new ContainersAsSpaces(machine.calls, roles, groupOf);
  }

  /** Rows were issued. @hot */
  onIssued(chunk: DmaChunk, unitIndex: number, from: number, to: number): void {
    this.#switches?.onIssued(unitIndex, chunk.input, chunk.results, from, to);
  }

  finish(): DisruptionResult | undefined {
    return this.#switches?.finish(this.#spec.policy, this.#spec.queue.name);
  }

  /** One switch every so often, lane after lane, until the last request was issued. */
  #scheduleInjection(machine: Machine, calls: SwitchCalls, switches: SwitchWatch): void {
    const { inject } = this.#spec;
    if (inject === undefined || this.#job.dmaRows === 0) return;
    const { timeline, scheduler } = machine.kernel;
    const everyTicks = ticksFromNs(inject.everyNs);
    let turn = 0;
    let busy = false;
    const injectOne = (atTick: Tick): void => {
      if (switches.issuedRows >= this.#job.dmaRows) return;
      const lanes = switches.lanes.filter((lane) => (inject.kind === 'pasid' ? lane.pasid !== 0 : lane.pasid === 0));
      const lane = lanes[turn % Math.max(1, lanes.length)];
      // A switch longer than the interval holds up the next one: a user waits for the call to return.
      if (lane !== undefined && !busy) {
        turn++;
        busy = true;
        const onDone = (): void => {
          busy = false;
        };
        scheduler.start(calls.inject(lane.device, lane.pasid), { atTick, onDone });
      }
      timeline.schedule((atTick + everyTicks) as Tick, injectOne);
    };
    timeline.schedule((machine.originTick + everyTicks) as Tick, injectOne);
  }
}
