/** What `verify` says: per check how many units of comparison agreed, and where they first did not. */

/** Version of the JSON document. */
export const VERIFY_SCHEMA_VERSION = 1;

/** One check. */
export interface CheckResult {
  readonly matched: number;
  readonly total: number;
  /** Whether the check's requirement holds. */
  readonly pass: boolean;
  /** Submissions of different CPUs that swapped although their spans overlap: allowed, counted. */
  readonly reordered?: number;
  /** Units that taught the model what they would have checked. */
  readonly learned?: number;
  /** Table rows changed outside the traced window; not part of the total. */
  readonly outsideWindow?: number;
  /** Units that the check does not cover, by reason; not part of the total. */
  readonly apart?: Readonly<Record<string, number>>;
  /** Position and both sides of the first disagreement. */
  readonly firstDivergence?: string;
}

/** A request that the recorder made a device issue itself: its accesses, and how many ended as recorded. */
export interface RoundResult {
  readonly controlRow: number;
  /** Index into `topology.devices`. */
  readonly device: number;
  /** Call that landed while the request was outstanding, in the recorder's words. */
  readonly action: string;
  /** [bytes] Asked for. */
  readonly lengthBytes: number;
  /** Rows of the DMA stream: a translated request is one, a faulted one a row an access. */
  requests: number;
  /** [bytes] */
  bytes: number;
  /** Of the rows, those that were recorded as faulted. */
  faulted: number;
  /** Rows whose frame or fault reason is the recorded one. */
  matched: number;
}

/** The document. */
export interface VerifyResult {
  readonly schemaVersion: number;
  readonly bundle: string;
  readonly kernelProfile: string;
  readonly recorderProfile: string;
  /** [ns] Traced window, relative to the bundle's origin. */
  readonly window: { readonly startNs: number; readonly endNs: number };
  readonly coverage: {
    /** DMA rows inside the window. */
    readonly inWindow: number;
    /** Of these, rows that the model could be asked about: device and mapping are known. */
    readonly covered: number;
    /** Of these, rows whose mapping was learned from themselves. */
    readonly learned: number;
    /** covered / inWindow; 1 when the window has no DMA. */
    readonly share: number;
  };
  readonly checks: Readonly<Record<string, CheckResult>>;
  /** Requests that the recorder made devices issue, in order; absent when there are none. */
  readonly rounds?: readonly RoundResult[];
  /** Every requirement holds. */
  readonly pass: boolean;
}

/** Counts agreements of one check. */
export class CheckCounter {
  matched = 0;
  total = 0;
  learned = 0;
  #firstDivergence: string | undefined;

  /** One unit of comparison; `describe` is called for the first disagreement only. */
  compare(agrees: boolean, describe: () => string): void {
    this.total++;
    if (agrees) this.matched++;
    else this.diverge(describe);
  }

  /** Remembers the first disagreement. */
  diverge(describe: () => string): void {
    this.#firstDivergence ??= describe();
  }

  /** The check's result; it passes when every unit agreed, unless `pass` says otherwise. */
  result(extra: Partial<CheckResult> = {}): CheckResult {
    return {
      matched: this.matched,
      total: this.total,
      pass: this.matched === this.total,
      ...(this.learned > 0 ? { learned: this.learned } : {}),
      ...extra,
      ...(this.#firstDivergence === undefined ? {} : { firstDivergence: this.#firstDivergence }),
    };
  }
}
