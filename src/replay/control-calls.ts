/** Which modelled call a control row is: DMA API, driver binding or system call. */
import type { KernelTask } from '../stack/kernel/task.ts';
import type { CallOutcome, ControlCalls } from './control-player.ts';
import type { ControlRow } from './control-row.ts';
import type { DmaApiCalls } from './dma-api-calls.ts';
import type { VfioCalls } from './vfio-calls.ts';

const NOTHING: CallOutcome = { result: 0, skipped: true };

/** Binding and unbinding of drivers. */
export interface DriverBinding {
  bind(device: number): KernelTask<CallOutcome>;
  unbind(device: number): KernelTask<CallOutcome>;
}

/** Calls of one world. */
export class MachineCalls implements ControlCalls {
  readonly #dmaApi: DmaApiCalls;
  readonly #vfio: VfioCalls;
  readonly #binding: DriverBinding;

  constructor(dmaApi: DmaApiCalls, vfio: VfioCalls, binding: DriverBinding) {
    this.#dmaApi = dmaApi;
    this.#vfio = vfio;
    this.#binding = binding;
  }

  *perform(row: ControlRow): KernelTask<CallOutcome> {
    switch (row.op) {
      case 'marker':
      case 'lost_events':
      case 'device_dma':
        return NOTHING;
      case 'driver_bind':
        return yield* this.#binding.bind(row.device);
      case 'driver_unbind':
        return yield* this.#binding.unbind(row.device);
      case 'dma_map':
      case 'dma_alloc':
        return yield* this.#dmaApi.map(row);
      case 'dma_unmap':
      case 'dma_free':
        return yield* this.#dmaApi.unmap(row);
      default:
        return yield* this.#vfio.perform(row);
    }
  }
}
