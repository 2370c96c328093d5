/** Published curves of window sweeps and the model's answer to them. */
import { hardwareProfile } from '../../hw/profiles/registry.ts';
import { makePoint } from './point.ts';
import type { ModelPoint, Tolerance } from './result.ts';
import { measureWindow, type SweepEffort, type WindowPoint } from './window-sweep.ts';

/** One published value of a curve. */
export interface CurveValue {
  /** [4 KiB pages] */
  readonly pages: number;
  readonly value: number;
  /** [Gb/s] Payload rate that `value` was made of, where that was measured. */
  readonly gbps?: number;
  /** [ns] Round trip of a 64-byte read to this window with the IOMMU off, where published. */
  readonly readRoundTripNs?: number;
  readonly tolerance?: Tolerance;
  readonly note?: string;
}

/** A curve over windows. */
export interface Curve {
  readonly series: string;
  readonly profile: string;
  readonly overrides: readonly string[];
  /** [ns] `latency`: mean. `added-latency`: mean with the IOMMU on less off. `interval`: mean time between requests. */
  readonly quantity: 'latency' | 'added-latency' | 'interval';
  readonly direction: 'read' | 'write';
  /** [bytes] */
  readonly bytes: number;
  readonly outstanding?: number;
  readonly superpages: boolean;
  /** Page after page instead of random ones. */
  readonly inTurn?: boolean;
  readonly use: ModelPoint['use'];
  readonly values: readonly CurveValue[];
}

/**
 * Runs a curve; `toleranceOf` says what a value is allowed where it does not say so itself. On a profile without an IOMMU
 * (`bypass`) nothing is translated.
 */
export function runCurve(
  curve: Curve,
  toleranceOf: (value: CurveValue, curve: Curve) => Tolerance,
  effort: SweepEffort,
): ModelPoint[] {
  const { config, kind } = hardwareProfile(curve.profile, curve.overrides);
  return curve.values.map((value) => {
    const point: WindowPoint = {
      direction: curve.direction,
      bytes: curve.bytes,
      windowPages: value.pages,
      superpages: curve.superpages,
      translating: kind === 'vtd',
      inTurn: curve.inTurn === true,
      ...(curve.outstanding === undefined ? {} : { outstanding: curve.outstanding }),
      ...(value.readRoundTripNs === undefined ? {} : { readRoundTripNs: value.readRoundTripNs }),
    };
    const measured = measureWindow(config, point, effort);
    let modelled = curve.quantity === 'interval' ? measured.intervalNs : measured.latencyNs;
    if (curve.quantity === 'added-latency') {
      modelled -= measureWindow(config, { ...point, translating: false }, effort).latencyNs;
    }
    return makePoint({
      series: curve.series,
      x: value.pages,
      label: `${value.pages} pages${value.gbps === undefined ? '' : `, ${value.gbps} Gb/s`}`,
      unit: 'ns',
      published: value.value,
      modelled,
      tolerance: value.tolerance ?? toleranceOf(value, curve),
      use: curve.use,
      note: value.note,
      rates: value.gbps === undefined ? undefined : ratesOf(value.gbps, curve.bytes, modelled),
    });
  });
}

/** [Gb/s] Rates of `bytes` each `intervalNs`: as measured, and modelled. */
function ratesOf(publishedGbps: number, bytes: number, intervalNs: number) {
  return { publishedGbps, modelledGbps: (bytes * 8) / intervalNs };
}

/** Values of a curve written as pairs of pages and value. */
export function values(...pairs: readonly (readonly [pages: number, value: number])[]): CurveValue[] {
  return pairs.map(([pages, value]) => ({ pages, value }));
}
