/** Counted anomalies of an import: dirty input is counted with its first position, never thrown and never hidden. */
import { InputError } from '../../input-error.ts';
import type { DiagnosticEntry } from '../schema/manifest.ts';

/** How much an anomaly matters. */
export type DiagnosticSeverity = DiagnosticEntry['severity'];

interface MutableEntry {
  readonly code: string;
  readonly severity: DiagnosticSeverity;
  readonly first: string;
  count: number;
}

/** Counter of anomalies, keyed by code. Under `strict` an anomaly that is not merely informative is an error. */
export class DiagnosticCounts {
  readonly #entries = new Map<string, MutableEntry>();
  readonly #strict: boolean;

  constructor(options: { readonly strict: boolean }) {
    this.#strict = options.strict;
  }

  /**
   * Counts `amount` occurrences of `code` at `file:line`.
   * @throws InputError under `strict` unless the severity is `info`.
   */
  count(
    code: string,
    severity: DiagnosticSeverity,
    at: { readonly file: string; readonly line?: number | undefined; readonly text?: string | undefined },
    amount = 1,
  ): void {
    if (amount === 0 || this.again(code, amount)) return;
    const text = at.text === undefined ? '' : `: ${at.text.length > 160 ? `${at.text.slice(0, 157)}...` : at.text}`;
    if (this.#strict && severity !== 'info') {
      throw new InputError({ file: at.file, row: at.line, reason: `${code.replaceAll('_', ' ')}${text}` });
    }
    const first = at.line === undefined ? `${at.file}${text}` : `${at.file}:${at.line}${text}`;
    this.#entries.set(code, { code, severity, count: amount, first });
  }

  /** Counts `amount` more of a `code` that was counted before; false when it was not. @hot */
  again(code: string, amount: number): boolean {
    const entry = this.#entries.get(code);
    if (entry === undefined) return false;
    entry.count += amount;
    return true;
  }

  /** Occurrences of `code` so far. */
  countOf(code: string): number {
    return this.#entries.get(code)?.count ?? 0;
  }

  /** All anomalies, ordered by code. */
  entries(): DiagnosticEntry[] {
    return [...this.#entries.values()]
      .map(({ code, severity, count, first }) => ({ code, severity, count, first }))
      .sort((a, b) => (a.code < b.code ? -1 : a.code > b.code ? 1 : 0));
  }
}
