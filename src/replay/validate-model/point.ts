/** Makes points: error and verdict from published and modelled values. */
import type { ModelPoint, Tolerance } from './result.ts';

/** What a point is made of. */
export interface PointSource {
  readonly series: string;
  readonly x?: number;
  readonly label: string;
  readonly unit: string;
  readonly published: number;
  readonly modelled: number;
  readonly tolerance: Tolerance;
  readonly use: ModelPoint['use'];
  readonly note?: string | undefined;
  /** [Gb/s] Payload rates, where they were measured instead of times. */
  readonly rates?: { readonly publishedGbps: number; readonly modelledGbps: number } | undefined;
}

/** A point that decides. */
export function makePoint(from: PointSource): ModelPoint {
  const { published, modelled } = from;
  const tolerance = meant(from);
  const difference = modelled - published;
  const error = tolerance.kind === 'relative' ? difference / published : difference;
  return {
    series: from.series,
    x: from.x ?? null,
    label: from.label,
    unit: from.unit,
    published,
    modelled,
    error,
    tolerance,
    pass: allows(tolerance, error, difference),
    use: from.use,
    ...from.rates,
    ...(from.note === undefined ? {} : { note: from.note }),
  };
}

/** A published value beside a modelled one, with no bound between them. */
export function reportedPoint(
  series: string,
  label: string,
  unit: string,
  published: number,
  modelled: number,
  note?: string,
): ModelPoint {
  const error = published === 0 ? null : (modelled - published) / Math.abs(published);
  const known = { series, x: null, label, unit, published, modelled, error, tolerance: null, pass: null };
  return { ...known, use: 'predicted', ...(note === undefined ? {} : { note }) };
}

/** A modelled value that nothing was published for. */
export function modelPoint(series: string, label: string, unit: string, modelled: number, note?: string): ModelPoint {
  const known = { series, x: null, label, unit, published: null, modelled, error: null, tolerance: null, pass: null };
  return { ...known, use: 'predicted', ...(note === undefined ? {} : { note }) };
}

/** A share of 0 or of less says nothing: what it allows is counted in the unit of the value. */
function meant({ published, tolerance }: PointSource): Tolerance {
  if (tolerance.kind !== 'relative' || published > 0) return tolerance;
  return { kind: 'absolute', amount: tolerance.share * Math.abs(published) };
}

function allows(tolerance: Tolerance, error: number, difference: number): boolean {
  switch (tolerance.kind) {
    case 'relative':
      return Math.abs(error) <= tolerance.share;
    case 'absolute':
      return Math.abs(error) <= tolerance.amount;
    case 'at-most':
      return difference <= 0;
    case 'at-least':
      return difference >= 0;
  }
}
