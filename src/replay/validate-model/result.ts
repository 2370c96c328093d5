/** What `validate-model` says: tables of points, each with what was published, what the model gives, and whether it holds. */

/** Version of the JSON document. */
export const VALIDATE_MODEL_SCHEMA_VERSION = 2;

/**
 * How a table counts: `gate` decides the exit code; `regression` too, but its numbers are inputs of the model;
 * `report` is printed for information; `unvalidated` has no published data.
 */
export type TableRole = 'gate' | 'regression' | 'report' | 'unvalidated';

/** What is allowed between published and modelled: relative to the published value, in its unit, or a bound. */
export type Tolerance =
  | { readonly kind: 'relative'; readonly share: number }
  | { readonly kind: 'absolute'; readonly amount: number }
  | { readonly kind: 'at-most' }
  | { readonly kind: 'at-least' };

/** One point. */
export interface ModelPoint {
  /** Curve that the point belongs to: machine, direction, size. */
  readonly series: string;
  /** Where on the curve; [4 KiB pages] in window sweeps. Null where the points are no curve. */
  readonly x: number | null;
  readonly label: string;
  readonly unit: string;
  /** Null where nothing was published. */
  readonly published: number | null;
  /** Null where the model cannot say. */
  readonly modelled: number | null;
  /** Share of the published value, or a difference in its unit, as the tolerance has it. */
  readonly error: number | null;
  readonly tolerance: Tolerance | null;
  /** Null where nothing decides. */
  readonly pass: boolean | null;
  /** What the point rests on: fitted to this very curve, or predicted. */
  readonly use: 'fitted' | 'predicted' | 'input';
  /** [Gb/s] The same as payload rates, where those were measured; published, modelled and error are times all the same. */
  readonly publishedGbps?: number;
  readonly modelledGbps?: number;
  /** Why it does not hold, or what is missing, where that is known. */
  readonly note?: string;
}

/** One table. */
export interface ModelTable {
  readonly id: string;
  readonly title: string;
  readonly role: TableRole;
  readonly source: string;
  /** What was fitted, to what, and what is therefore a prediction. */
  readonly basis: string;
  /** Label of the horizontal axis where points are curves. */
  readonly axis: string | null;
  readonly points: readonly ModelPoint[];
  readonly notes: readonly string[];
}

/** One parameter of a fit. */
export interface FittedParameter {
  /** Path in the hardware profile, or `singleMissPenaltyNs`. */
  readonly path: string;
  readonly unit: string;
  readonly before: number;
  /** `before` where nothing better was found. */
  readonly proposed: number;
  /**
   * `proposed`: another value is better. `kept`: none is, or not by enough. `flat`: the curves do not depend on it near
   * `before`. `refused`: the profile accepts no value near `before`.
   */
  readonly state: 'proposed' | 'kept' | 'flat' | 'refused';
}

/** Values of parameters that bring the model nearer to measured curves. */
export interface ModelFit {
  readonly parameters: readonly FittedParameter[];
  /** Whether any value is proposed. */
  readonly improved: boolean;
  /** [share] By how much a proposal lowers `misfit` at least, or it is none. */
  readonly leastGainShare: number;
  /** Root mean square of the errors, each in units of what its point is allowed: what the search lowers. */
  readonly misfitBefore: number;
  readonly misfitAfter: number;
  /** [share] Root mean square of relative errors, over the points with one; null where there is none. */
  readonly errorShareBefore: number | null;
  readonly errorShareAfter: number | null;
  /** Overrides that apply the proposal, those of the command line among them: `path=value`. */
  readonly overrides: readonly string[];
  /** The curves with the proposed values. */
  readonly after: ModelTable;
}

/** The whole run. */
export interface ModelValidation {
  readonly schemaVersion: number;
  /** Tables that gate, all points of which hold. */
  readonly pass: boolean;
  readonly seed: number;
  /** Requests measured per point of a window sweep. */
  readonly samples: number;
  readonly tables: readonly ModelTable[];
  /** Of `--fit`; `tables` and `pass` are those of the values before it. */
  readonly fit?: ModelFit;
}

/** Points of a table that decide, and how many of them hold. */
export function tally(table: ModelTable): { readonly decided: number; readonly passed: number } {
  const decided = table.points.filter(({ pass }) => pass !== null);
  return { decided: decided.length, passed: decided.filter(({ pass }) => pass).length };
}

/** Whether a table lets the run pass. */
export function holds(table: ModelTable): boolean {
  if (table.role !== 'gate' && table.role !== 'regression') return true;
  const { decided, passed } = tally(table);
  return decided === passed;
}
