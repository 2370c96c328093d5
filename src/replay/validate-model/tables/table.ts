/** What a validation table is to the runner. */
import type { ModelTable } from '../result.ts';
import type { SweepEffort } from '../window-sweep.ts';

/** A table that can be run. Deterministic in the effort. */
export interface TableRun {
  readonly id: string;
  run(effort: SweepEffort): ModelTable;
}

/** Where the window sweeps come from. */
export const PCIE_BENCH = 'pcie-bench/data (Neugebauer et al., SIGCOMM 2018), raw sweeps, random access, warm cache';

/** What all window sweeps of the model rest on. */
export const BROADWELL_FIT =
  'Fitted on one machine, Broadwell (Xeon E5-2630 v4): single-miss penalty and IOTLB reach on its latency sweep, the ' +
  'interval between walks on its writes of 64 and 128 bytes, what a read takes of the port to memory on its reads of 64 and ' +
  '256 bytes at 64 MB, windows of the device on its plateaus and its sweeps of 256 bytes. Another machine changes the ' +
  'single-miss penalty only; Ivy Bridge also takes the interval between walks of Sandy Bridge (reads of 64 bytes, window ' +
  'of 64 MB), with which it shares a platform.';
