/** Which columns of measured DMA rows were not measured, in words. */
import { formatShare } from './format.ts';
import type { IdentitySection } from './schema/identity.ts';

type Provenance = IdentitySection['provenance'];

/** `size inferred in 100.0 % and direction in 57.5 % of the measured rows`; `null` when all was measured or nothing is known. */
export function inferredColumnsText({ measured, inferred_columns: columns }: Provenance): string | null {
  if (columns === null || measured === 0) return null;
  const parts = (['size', 'direction', 'time'] as const)
    .filter((column) => columns[column] > 0)
    .map((column, index) => `${column}${index === 0 ? ' inferred' : ''} in ${formatShare(columns[column] / measured)}`);
  if (parts.length === 0) return null;
  const last = parts.pop();
  return `${parts.length === 0 ? last : `${parts.join(', ')} and ${last}`} of the measured rows`;
}
