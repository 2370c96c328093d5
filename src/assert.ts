/** Assertions for conditions that only a defect in this program can break; never used to check input. */

/** Thrown when an internal invariant does not hold. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws {@link InvariantError} with `message` unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Marks a `switch` arm that the type system proves unreachable. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable value ${String(value)}`);
}
