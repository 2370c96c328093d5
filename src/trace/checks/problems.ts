/** What `validate` finds: problems of one kind in one file are one entry with its first row and a count. */

/** A problem of a bundle. */
export interface ValidationProblem {
  /** A bundle with an error is not valid; a warning says what a replay will make less of. */
  readonly severity: 'error' | 'warning';
  /** File inside the bundle. */
  readonly file: string;
  /** First row concerned; undefined when the file as a whole is. */
  readonly row: number | undefined;
  readonly reason: string;
  /** Rows concerned; 1 for the file as a whole. */
  readonly count: number;
}

interface Entry extends Omit<ValidationProblem, 'count'> {
  count: number;
}

/** Collects problems. */
export class Problems {
  readonly #entries = new Map<string, Entry>();

  /** Counts a problem; `reason` is made only for the first of its `kind` in `file`. */
  add(
    severity: ValidationProblem['severity'],
    file: string,
    row: number | undefined,
    kind: string,
    reason: () => string,
  ): void {
    const key = `${file} ${kind}`;
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.count++;
    else this.#entries.set(key, { severity, file, row, reason: reason(), count: 1 });
  }

  /** Problems in the order of their first occurrence; a reason says how many rows it concerns. */
  list(): ValidationProblem[] {
    return [...this.#entries.values()].map((entry) => ({
      ...entry,
      reason: entry.count === 1 ? entry.reason : `${entry.reason} (${entry.count} rows)`,
    }));
  }
}

/** Problems of one file. */
export class FileProblems {
  readonly file: string;
  readonly #problems: Problems;

  constructor(problems: Problems, file: string) {
    this.#problems = problems;
    this.file = file;
  }

  error(row: number | undefined, kind: string, reason: () => string): void {
    this.#problems.add('error', this.file, row, kind, reason);
  }

  warning(row: number | undefined, kind: string, reason: () => string): void {
    this.#problems.add('warning', this.file, row, kind, reason);
  }
}
