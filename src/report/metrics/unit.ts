/** The unit of a metric, by its name. */

/** `share` of 1; `count` of anything without a unit, quotients of counts among them. */
export type MetricUnit = 'ns' | 'bytes/s' | '1/s' | 'bytes' | 'share' | 'count';

/** Unit of the metric called `path`. */
export function unitOf(path: string): MetricUnit {
  const key = path.slice(path.lastIndexOf('.') + 1);
  if (/_ns(\.|$)/.test(path) && key !== 'count') return 'ns';
  if (key.endsWith('bytes_per_s')) return 'bytes/s';
  if (key.endsWith('_per_s')) return '1/s';
  if (key.endsWith('_share') || key === 'share') return 'share';
  return key.endsWith('_bytes') ? 'bytes' : 'count';
}
