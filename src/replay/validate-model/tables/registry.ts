/** All validation tables, in the order in which they are printed. */
import type { TableRun } from './table.ts';
import { V1_LATENCY } from './v1-latency.ts';
import { V2_BANDWIDTH } from './v2-bandwidth.ts';
import { V2_HELD_OUT, V2_SIZES } from './v2-held-out.ts';
import { V3_SUPERPAGES } from './v3-superpages.ts';
import { V4_REGION_WALKS } from './v4-region-walks.ts';
import { V5_RECEIVE } from './v5-receive.ts';
import { V6_NESTED } from './v6-nested.ts';
import { V7_MAP_UNMAP } from './v7-map-unmap.ts';
import { V8_NVME } from './v8-nvme.ts';
import { V9_HYPERSIO } from './v9-hypersio.ts';
import { V10_REPLACE } from './v10-replace.ts';

/** Tables by rising number. */
export const VALIDATION_TABLES: readonly TableRun[] = [
  V1_LATENCY,
  V2_BANDWIDTH,
  V2_HELD_OUT,
  V2_SIZES,
  V3_SUPERPAGES,
  V4_REGION_WALKS,
  V5_RECEIVE,
  V6_NESTED,
  V7_MAP_UNMAP,
  V8_NVME,
  V9_HYPERSIO,
  V10_REPLACE,
];
