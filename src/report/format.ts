/**
 * Numbers as people read them: three significant digits, SI prefixes for rates and times, IEC for sizes, comma groups for
 * counts. No locale is consulted, so the same number is the same text on every machine. Every function takes `null`
 * ("the run does not say") and returns a dash.
 */

/** Text for a number the run does not hold. */
export const NOT_AVAILABLE = '–';

/** `value` with three significant digits and no exponent: 0.0123, 1.23, 12.3, 123, 1230. */
function significant(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  // The bounds are where rounding carries into one more digit: 0.9996 is 1.00, not 1.000.
  const decimals = magnitude >= 99.95 ? 0 : magnitude >= 9.995 ? 1 : magnitude >= 0.9995 ? 2 : 3;
  return value.toFixed(decimals);
}

/** Picks the largest step whose rounded value is at least 1 and appends its suffix. */
function scaled(value: number, steps: readonly (readonly [number, string])[]): string {
  const magnitude = Math.abs(value);
  for (const [size, suffix] of steps) {
    if (magnitude >= size * 0.9995) return `${significant(value / size)} ${suffix}`;
  }
  const last = steps[steps.length - 1]!;
  return `${significant(value / last[0])} ${last[1]}`;
}

/** [ns] as ns, µs, ms or s. */
export function formatDuration(nanoseconds: number | null): string {
  if (nanoseconds === null) return NOT_AVAILABLE;
  if (nanoseconds === 0) return '0 ns';
  return scaled(nanoseconds, [
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'µs'],
    [1, 'ns'],
  ]);
}

/** [bytes/s] as B/s, kB/s, MB/s, GB/s. */
export function formatByteRate(bytesPerSecond: number | null): string {
  if (bytesPerSecond === null) return NOT_AVAILABLE;
  return scaled(bytesPerSecond, [
    [1e9, 'GB/s'],
    [1e6, 'MB/s'],
    [1e3, 'kB/s'],
    [1, 'B/s'],
  ]);
}

/** [1/s] as /s, k/s, M/s. */
export function formatRate(perSecond: number | null): string {
  if (perSecond === null) return NOT_AVAILABLE;
  return scaled(perSecond, [
    [1e6, 'M/s'],
    [1e3, 'k/s'],
    [1, '/s'],
  ]);
}

/** [bytes] as B, KiB, MiB, GiB, TiB. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null) return NOT_AVAILABLE;
  return scaled(bytes, [
    [2 ** 40, 'TiB'],
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
    [1, 'B'],
  ]);
}

/** An integer with comma groups. */
export function formatCount(count: number | null): string {
  if (count === null) return NOT_AVAILABLE;
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A share of 1 as percent; never rounds something to 0 % or nearly all to 100 %. */
export function formatShare(share: number | null): string {
  if (share === null) return NOT_AVAILABLE;
  const percent = share * 100;
  if (percent > 0 && percent < 0.01) return '< 0.01 %';
  if (percent < 100 && percent > 99.99) return '> 99.99 %';
  if (percent !== 0 && percent < 1) return `${percent.toFixed(2)} %`;
  if (percent > 99 && percent < 100) return `${percent.toFixed(2)} %`;
  return `${percent.toFixed(1)} %`;
}

/** A plain quotient such as memory reads per DMA. */
export function formatQuotient(value: number | null): string {
  return value === null ? NOT_AVAILABLE : significant(value);
}

/** `1 fault`, `2 faults`. */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : nouns}`;
}

/** `text` as the beginning of a sentence. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `text` of a magnitude with the sign of `value`: a change; nothing has no sign. */
export function withSign(value: number, text: string): string {
  return value === 0 ? text : `${value > 0 ? '+' : '−'}${text}`;
}
