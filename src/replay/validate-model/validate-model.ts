/** `validate-model`: runs the validation tables. */
import { holds, type ModelTable, type ModelValidation, VALIDATE_MODEL_SCHEMA_VERSION } from './result.ts';
import { VALIDATION_TABLES } from './tables/registry.ts';
import type { SweepEffort } from './window-sweep.ts';

/** What is simulated unless told otherwise. */
export const DEFAULT_EFFORT: SweepEffort = { seed: 1, samples: 60_000 };

/** Runs every published table. Deterministic in `effort`. */
export function validateModel(effort: SweepEffort = DEFAULT_EFFORT): ModelValidation {
  return validation(
    VALIDATION_TABLES.map((table) => table.run(effort)),
    effort,
  );
}

/** The document of some tables. */
export function validation(tables: readonly ModelTable[], { seed, samples }: SweepEffort): ModelValidation {
  return { schemaVersion: VALIDATE_MODEL_SCHEMA_VERSION, pass: tables.every(holds), seed, samples, tables };
}
