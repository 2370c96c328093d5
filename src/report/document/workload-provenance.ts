/** Provenance of a workload's DMA stream: what share of it was measured, inferred, made up, and where it comes from. */
import { formatCount, formatShare, plural } from '../format.ts';
import { inferredColumnsText } from '../inferred-columns.ts';
import type { IdentitySection } from '../schema/identity.ts';
import type { Provenance } from './block.ts';

/** For pages that compare replays of the workload; `null` without a readable manifest. */
export function workloadProvenance(identity: IdentitySection | null): Provenance | null {
  if (identity === null) return null;
  return streamProvenance(identity, [`recorded with ${identity.tool}`, identity.description]);
}

/** Shares of the stream and what was lost of it, then what a page adds; empty notes are left out. */
export function streamProvenance(identity: IdentitySection, notes: readonly string[]): Provenance {
  const split = identity.provenance;
  const columns = inferredColumnsText(split);
  const part = (name: string, rows: number, share: number | null) => ({
    name,
    share: share ?? 0,
    text: `${name} ${formatShare(share)} (${formatCount(rows)})`,
  });
  return {
    parts: [
      part('measured', split.measured, split.measured_share),
      part('inferred', split.inferred, split.inferred_share),
      part('synthetic', split.synthetic, split.synthetic_share),
    ],
    notes: [
      ...(columns === null ? [] : [columns]),
      `${plural(identity.lost_events ?? 0, 'event')} lost`,
      ...notes,
    ].filter((note) => note !== ''),
  };
}
