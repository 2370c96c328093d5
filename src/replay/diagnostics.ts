/** Counted anomalies of a replay: what a trace asked for that the model could not do as it stands. */
export class Diagnostics {
  readonly #counts = new Map<string, number>();

  /** Adds `times` to a code such as `unknown_object`. */
  count(code: string, times = 1): void {
    if (times > 0) this.#counts.set(code, (this.#counts.get(code) ?? 0) + times);
  }

  /** Counts by code in code-unit order. */
  snapshot(): Record<string, number> {
    return Object.fromEntries([...this.#counts.entries()].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
