/** What `manifest.json` holds. */
import type { DeviceTopology, UnitTopology } from './topology.ts';

/** Current {@link Manifest.formatVersion}. */
export const FORMAT_VERSION = 2;

/** Share of rows by how their content is known. Counts of DMA rows. */
export interface ProvenanceSplit {
  readonly measured: number;
  readonly inferred: number;
  readonly synthetic: number;
}

/** Measured DMA rows of which one column was inferred. Counts of DMA rows. */
export interface InferredColumns {
  readonly size: number;
  readonly direction: number;
  readonly time: number;
}

/** A stream of the bundle as the manifest lists it. */
export interface StreamEntry {
  /** File name inside the bundle. */
  readonly file: string;
  readonly rows: number;
  /** Hex digest of the file's bytes. */
  readonly sha256: string;
}

/** A counted anomaly of the import. */
export interface DiagnosticEntry {
  readonly code: string;
  readonly severity: 'info' | 'data-loss' | 'error';
  readonly count: number;
  /** First occurrence: `file:line: text`. */
  readonly first: string;
}

/** `manifest.json`. */
export interface Manifest {
  readonly formatVersion: number;
  readonly name: string;
  readonly description: string;
  readonly origin: {
    readonly importer: string;
    readonly tool: string;
    readonly kernel: string;
    /** Kernel profile the recording follows, e.g. `v6.12`; undefined when unknown. */
    readonly kernelProfile?: string | undefined;
    /** Hardware profile of the recorder, e.g. `qemu-7.2`; undefined for real hardware. */
    readonly recorderProfile?: string | undefined;
    readonly clock: string;
    /** Kernel command line, when known. */
    readonly commandLine?: string | undefined;
  };
  readonly time: {
    /** [ns] Source-clock value of time 0, decimal. */
    readonly originNs: string;
    /** [ns] Traced window, relative to the origin. */
    readonly windowStartNs: number;
    readonly windowEndNs: number;
  };
  readonly dmaPolicy: {
    /** How DMA-API unmaps invalidate: at once, or through the flush queue. */
    readonly flushMode: 'strict' | 'lazy';
  };
  readonly pacing: {
    /** Pacing a replay uses unless told otherwise. */
    readonly default: 'recorded' | 'closed';
    readonly reason: string;
  };
  readonly topology: { readonly units: readonly UnitTopology[]; readonly devices: readonly DeviceTopology[] };
  readonly provenance: {
    readonly dma: ProvenanceSplit;
    /** Undefined in bundles that were written before it was counted. */
    readonly inferredColumns?: InferredColumns | undefined;
  };
  readonly lostEvents: number;
  /** Keyed by stream: `control`, `frames`, `initial`, `user-data`, `dma-<unit>`, `observed-...`. */
  readonly streams: Readonly<Record<string, StreamEntry>>;
  readonly diagnostics: readonly DiagnosticEntry[];
}
