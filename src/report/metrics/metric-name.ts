/** From the name a user gives to the name of a metric: whole, or any tail of it that is clear. */
import { ConfigError } from '../../input-error.ts';
import { nearestName } from '../../nearest-name.ts';

/** How many candidates an error lists. */
const LISTED = 6;

/**
 * The metric that `name` means among `known`: that very name, or else the shallowest that ends in `.name`, so that
 * `dma_latency_ns.p99` is that of all devices. Throws {@link ConfigError} for a name that means none, or several.
 */
export function resolveMetric(name: string, known: readonly string[], source: string): string {
  const [first, ...others] = metricsMeant(name, known);
  if (first === undefined) {
    const near = nearestName(name, [...known, ...tails(known)]);
    const hint = near === undefined ? 'report.json has the names' : `did you mean '${near}'?`;
    throw new ConfigError({ source, reason: `no metric '${name}', ${hint}` });
  }
  if (others.length > 0) {
    const listed = [first, ...others].slice(0, LISTED).join(', ');
    throw new ConfigError({ source, reason: `'${name}' is one of ${others.length + 1} metrics: ${listed}` });
  }
  return first;
}

/** The metrics that `name` may mean: that very name, or else the shallowest that end in it. */
export function metricsMeant(name: string, known: readonly string[]): string[] {
  if (known.includes(name)) return [name];
  const matches = known.filter((path) => canMean(name, path));
  const least = Math.min(...matches.map(depth));
  return matches.filter((path) => depth(path) === least);
}

/** Whether `name` can mean the metric at `path`: that very name, or a tail of it. */
export function canMean(name: string, path: string): boolean {
  return path === name || path.endsWith(`.${name}`);
}

/** Segments of a path; dots inside brackets belong to a name. */
function depth(path: string): number {
  return withoutLabels(path).split('.').length + (path.match(/\[/g)?.length ?? 0);
}

/** Last two segments of every path: what people type. */
function tails(known: readonly string[]): string[] {
  return known.filter((path) => !path.includes('[')).map((path) => path.split('.').slice(-2).join('.'));
}

/** The path with its labels taken out: the same metric of whatever device or cache. */
export function withoutLabels(path: string): string {
  return path.replace(/\[[^\]]*\]/g, '[]');
}
