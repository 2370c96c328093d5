/** What `validate-model` says: tables of points, each with what was published, what the model gives, and whether it holds. */

/** Version of the JSON document. */
export const VALIDATE_MODEL_SCHEMA_VERSION = 1;

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

/** The whole run. */
export interface ModelValidation {
  readonly schemaVersion: number;
  /** Tables that gate, all points of which hold. */
  readonly pass: boolean;
  readonly seed: number;
  /** Requests measured per point of a window sweep. */
  readonly samples: number;
  readonly tables: readonly ModelTable[];
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
