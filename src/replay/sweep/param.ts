/** One `--param PATH=RANGE`: whose number it is, and what a profile itself has there. */
import { ConfigError } from '../../input-error.ts';
import { nearestName } from '../../nearest-name.ts';
import { formatPacing, parsePacing } from '../pacing.ts';
import type { JobSpec, Pacing, ProfileCard } from '../protocol.ts';
import { splitOverrides } from '../run-profiles.ts';
import type { OwnValue, ParamKind, SweptParam } from './protocol.ts';
import { parseRange } from './range.ts';

/** Default domain of kernel-driven devices by the words that users know (`iommu.strict`, `iommu.passthrough`). */
export const DOMAIN_MODES = { strict: 'dma', lazy: 'dma-fq', passthrough: 'identity' } as const satisfies Readonly<
  Record<string, NonNullable<JobSpec['defaultDomain']>>
>;

/** Parameters that say how a trace is replayed. */
const SCENARIO_PARAMS: readonly string[] = ['pace', 'mode'];
/** Options that take several names already. */
const OPTIONS: Readonly<Record<string, string>> = { hw: '--hw', hardware: '--hw', kernel: '--kernel' };

/** Parses all `--param`; throws {@link ConfigError}. */
export function parseParams(texts: readonly string[]): SweptParam[] {
  const params = texts.map(parseParam);
  const twice = params.find(({ path }, index) => params.findIndex((other) => other.path === path) < index);
  if (twice !== undefined) throw new ConfigError({ source: `--param ${twice.path}`, reason: 'is given twice' });
  return params;
}

function parseParam(text: string): SweptParam {
  const equals = text.indexOf('=');
  if (equals <= 0) throw new ConfigError({ source: '--param', reason: `'${text}' is not of the form PATH=RANGE` });
  const path = text
    .slice(0, equals)
    .trim()
    .replace(/\.value$/, '');
  const source = `--param ${path}`;
  const option = OPTIONS[path];
  if (option !== undefined) {
    throw new ConfigError({ source, reason: `is an option: ${option} takes several names, comma-separated` });
  }
  const range = parseRange(text.slice(equals + 1), source);
  const kind = kindOf(path);
  if (kind === 'scenario') for (const value of range.values) scenarioChange(path, value, source);
  return { path, kind, ...range };
}

function kindOf(path: string): ParamKind {
  if (SCENARIO_PARAMS.includes(path)) return 'scenario';
  return splitOverrides([`${path}=`]).kernel.length > 0 ? 'kernel' : 'hardware';
}

/** What a value of a scenario parameter changes; throws {@link ConfigError}. */
export function scenarioChange(
  path: string,
  value: string,
  source = `--param ${path}`,
): { readonly pacing: Pacing } | { readonly defaultDomain: NonNullable<JobSpec['defaultDomain']> } {
  if (path === 'pace') return { pacing: parsePacing(value, source) };
  if (Object.hasOwn(DOMAIN_MODES, value)) return { defaultDomain: DOMAIN_MODES[value as keyof typeof DOMAIN_MODES] };
  throw new ConfigError({ source, reason: `'${value}' is none of ${Object.keys(DOMAIN_MODES).join(', ')}` });
}

/** Members of a profile that its card does not list when they are left out. */
const OPTIONAL: readonly string[] = ['version', 'behaviours.omitsFlush', 'behaviours.nestedDomainIds'];

/** What the profile has at `path`; throws {@link ConfigError} where it has no number. */
export function ownNumber({ kind, name, numbers }: ProfileCard, path: string): OwnValue {
  const at = /^(.*)\.value\.(\d+)$/.exec(path);
  const found = numbers.find((number) => number.path === (at?.[1] ?? path));
  if (found === undefined) {
    if (kind === 'kernel' && OPTIONAL.includes(path)) return { value: null, unit: '', basis: 'D', source: null };
    const near = nearestName(path, [...numbers.map((number) => number.path), ...SCENARIO_PARAMS]);
    const hint = near === undefined ? '; `profiles` lists them' : `, did you mean '${near}'?`;
    throw new ConfigError({ source: `--param ${path}`, reason: `${kind} profile ${name} has no such number${hint}` });
  }
  const { unit, basis, source } = found;
  const list = String(found.value).split('/');
  const value = at === null ? (list.length > 1 ? `[${list.join(',')}]` : list[0]!) : (list[Number(at[2])] ?? null);
  return { value, unit, basis, source };
}

/** How the case itself is replayed. */
export function ownScenario(path: string, { pacing, defaultDomain }: JobSpec): OwnValue {
  const mode = Object.entries(DOMAIN_MODES).find(([, domain]) => domain === defaultDomain)?.[0] ?? null;
  return { value: path === 'pace' ? formatPacing(pacing) : mode, unit: '', basis: null, source: null };
}
