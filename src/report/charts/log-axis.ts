/** Domain and ticks of a logarithmic axis: decades, or 1-2-5 where the data span few of them. */

const FEW_DECADES = 2.5;
const LESS_THAN_A_DECADE = 0.8;

/** `domain` covers the data with a little air; `ticks` lie inside it. */
export interface LogAxis {
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly number[];
}

/** Axis for values from `low` to `high`; both are positive. */
export function logAxis(low: number, high: number): LogAxis {
  const min = low / 1.1;
  const max = high * 1.1;
  const decades = Math.log10(max / min);
  const steps =
    decades > FEW_DECADES ? [1] : decades > LESS_THAN_A_DECADE ? [1, 2, 5] : [1, 1.2, 1.5, 2, 3, 4, 5, 6, 8];
  const ticks: number[] = [];
  for (let exponent = Math.floor(Math.log10(min)); exponent <= Math.ceil(Math.log10(max)); exponent++) {
    for (const step of steps) {
      const tick = exponent < 0 ? step / 10 ** -exponent : step * 10 ** exponent;
      if (tick >= min && tick <= max) ticks.push(tick);
    }
  }
  return { min, max, ticks };
}
