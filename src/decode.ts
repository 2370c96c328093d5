/**
 * One decoder for everything a user writes as JSON: profiles, recipes, plans, thresholds. A key that the schema does not
 * know is an error with its path and the nearest known key, whether or not the schema was declared strict; what comes
 * out is deeply frozen.
 */
import * as z from 'zod';
import { ConfigError } from './input-error.ts';
import { nearestName } from './nearest-name.ts';

/** Decodes `value` by `schema`, names `source` in messages, freezes the result; throws {@link ConfigError}. */
export function decodeStrict<T extends z.ZodType>(schema: T, value: unknown, source: string): z.output<T> {
  const unknown = findUnknownKey(schema, value, []);
  if (unknown !== undefined) {
    const hint = nearestName(unknown.key, unknown.known);
    const reason = hint === undefined ? 'unknown key' : `unknown key, did you mean '${hint}'?`;
    throw new ConfigError({ source, path: formatPath([...unknown.path, unknown.key]), reason });
  }
  const result = schema.safeParse(value);
  if (!result.success) {
    const issue = innermostIssue(result.error.issues[0]);
    throw new ConfigError({ source, path: formatPath(issue?.path ?? []), reason: issueReason(issue) });
  }
  return deepFreeze(result.data);
}

/** Parses JSON text, a byte order mark before it skipped, and decodes it; throws {@link ConfigError} for what is no JSON. */
export function decodeJson<T extends z.ZodType>(schema: T, text: string, source: string): z.output<T> {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new ConfigError({ source, reason: `not JSON: ${(error as Error).message}` });
  }
  return decodeStrict(schema, value, source);
}

/** Parses JSON text as editors write it: a byte order mark before it is skipped. Throws SyntaxError. */
export function parseJson(text: string): unknown {
  return JSON.parse(text.startsWith('\uFEFF') ? text.slice(1) : text);
}

/**
 * Copy of `value` with `path=value` assignments applied in order, as `--set a.b.c=1` gives them. The right-hand side is
 * JSON when it parses and a string otherwise; a number in the path indexes an array. Whether the path means anything is
 * for {@link decodeStrict} to say. Throws {@link ConfigError}.
 */
export function applyOverrides(value: unknown, overrides: readonly string[], source = '--set'): unknown {
  const root = { value: structuredClone(value) };
  for (const override of overrides) {
    const equals = override.indexOf('=');
    if (equals <= 0) throw new ConfigError({ source, reason: `'${override}' is not of the form path=value` });
    const path = override.slice(0, equals);
    const keys = ['value', ...path.split('.')];
    const last = keys.pop() as string;
    let target: unknown = root;
    for (const key of keys) target = enter(target, key, path, source);
    assignKey(target, last, parseScalar(override.slice(equals + 1)), path, source);
  }
  return root.value;
}

/** Freezes plain objects and arrays all the way down. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

interface UnknownKey {
  readonly path: readonly PropertyKey[];
  readonly key: string;
  readonly known: readonly string[];
}

function findUnknownKey(schema: z.core.$ZodType, value: unknown, path: readonly PropertyKey[]): UnknownKey | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const inner = unwrap(schema, value);
  if (inner instanceof z.ZodArray) return findInEntries(inner.element, value, path);
  if (inner instanceof z.ZodRecord) return findInEntries(inner.valueType, value, path);
  if (inner instanceof z.ZodUnion) return findInUnion(inner, value, path);
  if (!(inner instanceof z.ZodObject) || Array.isArray(value)) return undefined;
  const shape: Readonly<Record<string, z.core.$ZodType>> = inner.shape;
  const catchall = inner.def.catchall;
  const open = catchall !== undefined && !(catchall instanceof z.ZodNever);
  for (const [key, member] of Object.entries(value)) {
    const memberSchema = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (memberSchema === undefined) {
      if (!open) return { path, key, known: Object.keys(shape) };
      continue;
    }
    const found = findUnknownKey(memberSchema, member, [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A value that is none of a union's objects, a misspelt discriminator for instance: a key that none of them knows. */
function findInUnion(union: z.ZodUnion, value: object, path: readonly PropertyKey[]): UnknownKey | undefined {
  const options = union.options.map((option) => unwrap(option, value));
  const objects = options.filter((option) => option instanceof z.ZodObject);
  const closed = objects.every(({ def }) => def.catchall === undefined || def.catchall instanceof z.ZodNever);
  if (objects.length === 0 || objects.length < options.length || !closed || Array.isArray(value)) return undefined;
  const known = [...new Set(objects.flatMap(({ shape }) => Object.keys(shape)))];
  const key = Object.keys(value).find((one) => !known.includes(one));
  return key === undefined ? undefined : { path, key, known };
}

function findInEntries(schema: z.core.$ZodType, value: object, path: readonly PropertyKey[]): UnknownKey | undefined {
  for (const [key, member] of Object.entries(value)) {
    const found = findUnknownKey(schema, member, [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The schema that will judge `value`: wrappers removed, of a union the option meant. */
function unwrap(schema: z.core.$ZodType, value: object): z.core.$ZodType {
  let inner = schema;
  for (;;) {
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodNullable || inner instanceof z.ZodDefault) {
      inner = inner.def.innerType;
    } else if (inner instanceof z.ZodReadonly || inner instanceof z.ZodPrefault) {
      inner = inner.def.innerType;
    } else if (inner instanceof z.ZodPipe) {
      inner = inner.def.in;
    } else if (inner instanceof z.ZodLazy) {
      inner = inner.def.getter();
    } else if (inner instanceof z.ZodUnion) {
      const option = unionOption(inner, value);
      if (option === undefined) return inner;
      inner = option;
    } else {
      return inner;
    }
  }
}

/** The option meant: by the union's discriminator, or else that whose literal members equal those of `value`. */
function unionOption(union: z.ZodUnion, value: object): z.core.$ZodType | undefined {
  const discriminator = union instanceof z.ZodDiscriminatedUnion ? union.def.discriminator : undefined;
  const takes = (key: string, member: z.core.$ZodType): boolean =>
    z.safeParse(member, (value as Record<string, unknown>)[key]).success;
  return union.options.find((option) => {
    const inner = unwrap(option, value);
    if (!(inner instanceof z.ZodObject)) return inner instanceof z.ZodArray && Array.isArray(value);
    const telling = Object.entries(inner.shape as Readonly<Record<string, z.core.$ZodType>>).filter(([key, member]) =>
      discriminator === undefined ? member instanceof z.ZodLiteral : key === discriminator,
    );
    return telling.every(([key, member]) => takes(key, member));
  });
}

/** Of an issue of a union that of the option which got furthest: what is wrong, instead of that nothing fits. */
function innermostIssue(issue: z.core.$ZodIssue | undefined): z.core.$ZodIssue | undefined {
  if (issue?.code !== 'invalid_union') return issue;
  let furthest: z.core.$ZodIssue | undefined;
  for (const [first] of issue.errors) {
    const inner = innermostIssue(first);
    if (inner !== undefined && inner.path.length > (furthest?.path.length ?? 0)) furthest = inner;
  }
  return furthest === undefined ? issue : { ...furthest, path: [...issue.path, ...furthest.path] };
}

function issueReason(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return 'invalid';
  const first = issue.message.charAt(0).toLowerCase() + issue.message.slice(1);
  return first.replace(/^invalid input: /, '');
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.map(String).join('.');
}

function enter(target: unknown, key: string, path: string, source: string): unknown {
  const object = container(target, key, path, source);
  if (!Object.hasOwn(object, key)) object[key] = {};
  return object[key];
}

function assignKey(target: unknown, key: string, value: unknown, path: string, source: string): void {
  container(target, key, path, source)[key] = value;
}

function container(target: unknown, key: string, path: string, source: string): Record<string, unknown> {
  if (key === '' || key === '__proto__') throw new ConfigError({ source, path, reason: `bad key '${key}'` });
  if (typeof target !== 'object' || target === null) {
    throw new ConfigError({ source, path, reason: `'${key}' is set inside something that is no object` });
  }
  if (Array.isArray(target) && !(/^\d+$/.test(key) && Number(key) < target.length)) {
    throw new ConfigError({ source, path, reason: `'${key}' is no index of a list of ${target.length}` });
  }
  return target as Record<string, unknown>;
}

function parseScalar(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
