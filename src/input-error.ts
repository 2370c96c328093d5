/**
 * The two errors a user can cause. Both are thrown before or instead of work, carry a position, and are turned into a
 * message and an exit code by the command line: {@link InputError} exit 3, {@link ConfigError} exit 2.
 */

/** Input that cannot be read or is not what it claims to be; exit code 3. */
export class InputError extends Error {
  override readonly name = 'InputError';
  /** Exit code of the process. */
  readonly exitCode = 3;
  /** File as the user named it. */
  readonly file: string;
  /** Line of a text file (from 1) or row of a stream (from 0); undefined when the file as a whole is meant. */
  readonly row: number | undefined;
  /** What is wrong, without file and row. */
  readonly reason: string;

  constructor(position: { readonly file: string; readonly row?: number | undefined; readonly reason: string }) {
    super(formatPosition(position.file, position.row, position.reason));
    this.file = position.file;
    this.row = position.row;
    this.reason = position.reason;
  }
}

/** Bad usage: an option, profile, recipe or override that cannot be meant as it stands; exit code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Exit code of the process. */
  readonly exitCode = 2;
  /** Where the value came from: a file, `--set`, the command line. */
  readonly source: string;
  /** Dotted path of the offending key; empty when the value as a whole is meant. */
  readonly path: string;
  /** What is wrong, without source and path. */
  readonly reason: string;

  constructor(position: { readonly source: string; readonly path?: string | undefined; readonly reason: string }) {
    const path = position.path ?? '';
    super(path === '' ? `${position.source}: ${position.reason}` : `${position.source}: ${path}: ${position.reason}`);
    this.source = position.source;
    this.path = path;
    this.reason = position.reason;
  }
}

function formatPosition(file: string, row: number | undefined, reason: string): string {
  return row === undefined ? `${file}: ${reason}` : `${file}: row ${row}: ${reason}`;
}
