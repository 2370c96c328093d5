/** From the name a user gives to the name of a metric: whole, or any tail of it that is clear. */
import { ConfigError } from '../../input-error.ts';
import { nearestNames } from '../../nearest-name.ts';

/** How many candidates an error lists: of those that a name may mean, and of those that it may have been meant for. */
const LISTED = 6;
const SUGGESTED = 3;

/** Where all names are, with their values. */
const ALL_NAMES = 'compare.json (compare RUN RUN -o FOLDER) lists the names';

/**
 * The metric that `name` means among `known`: that very name, or else the shallowest that ends in `.name`, so that
 * `dma_latency_ns.p99` is that of all devices. Throws {@link ConfigError} for a name that means none, or several.
 */
export function resolveMetric(name: string, known: readonly string[], source: string): string {
  const [first, ...others] = metricsMeant(name, known);
  if (first === undefined) {
    const near = nearestNames(name, known.flatMap(tails), SUGGESTED).map((tail) => `'${tail}'`);
    const last = near.pop();
    const hint =
      last === undefined ? '' : `, did you mean ${near.length === 0 ? last : `${near.join(', ')} or ${last}`}?`;
    throw new ConfigError({ source, reason: `no metric '${name}'${hint === '' ? ';' : hint} ${ALL_NAMES}` });
  }
  if (others.length > 0) {
    const all = [first, ...others];
    // The nearest are those with the least in front of what was typed.
    const listed = all.toSorted((a, b) => a.length - b.length).slice(0, LISTED);
    const more = all.length > listed.length ? ` and ${all.length - listed.length} more` : '';
    throw new ConfigError({
      source,
      reason: `'${name}' is one of ${all.length} metrics: ${listed.join(', ')}${more}; ${ALL_NAMES}`,
    });
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

/** Every tail of the path, the shortest first: what people type. */
function tails(path: string): string[] {
  const keys = path.match(/(?:\[[^\]]*\]|[^.[])+/g) ?? [];
  return keys.map((_, index) => keys.slice(keys.length - 1 - index).join('.'));
}

/** The path with its labels taken out: the same metric of whatever device or cache. */
export function withoutLabels(path: string): string {
  return path.replace(/\[[^\]]*\]/g, '[]');
}
