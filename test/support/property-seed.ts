/**
 * Seeds of long properties: fixed, so that every run of the suite tries the same cases, and printed with the title. The
 * environment may choose others: `ORACLE_SEED=7 ORACLE_FACTOR=10 npx vitest run --project property`.
 */

/** Seed of the properties that use {@link seeded}. */
export const ORACLE_SEED = Number(process.env['ORACLE_SEED'] ?? 20_261);
const FACTOR = Number(process.env['ORACLE_FACTOR'] ?? 1);

/** Parameters of `fc.assert`. */
export function seeded(runs: number): { readonly seed: number; readonly numRuns: number } {
  return { seed: ORACLE_SEED, numRuns: Math.max(1, Math.round(runs * FACTOR)) };
}

/** A title that names what to repeat a failure with. */
export function seededTitle(title: string, runs: number): string {
  return `${title} (${seeded(runs).numRuns} runs, seed ${ORACLE_SEED})`;
}
