/**
 * Event counters of a unit, named as the VT-d performance monitor names them (Linux drivers/iommu/intel/perfmon.c,
 * `perf stat -e dmar0/.../`). Counters of the model's own follow under `model.`.
 */
import { type ArraySource, HEAP_ARRAYS } from '../linear-memory.ts';

/** Index of each counter in {@link UnitCounters.values}. */
export const Counter = {
  /** TLPs that asked for a translation. */
  iommu_requests: 0,
  /** [ps] Sum of walker occupancy; reported in IOMMU clocks. */
  pw_occupancy: 1,
  /** Memory reads for root, context, PASID and page-table entries. */
  iommu_mrds: 2,
  /** [ps] Walks waiting for a walker or for the port to memory; reported in IOMMU clocks. */
  iommu_mem_blocked: 3,
  ctxt_cache_lookup: 4,
  ctxt_cache_hit: 5,
  pasid_cache_lookup: 6,
  pasid_cache_hit: 7,
  ss_nonleaf_lookup: 8,
  ss_nonleaf_hit: 9,
  fs_nonleaf_lookup: 10,
  fs_nonleaf_hit: 11,
  /** First lookups, one a TLP; a miss is a lookup that started a walk, so misses = lookup - hit. */
  iotlb_lookup: 12,
  /** Lookups answered without a walk of their own, those that had to wait for a fill included. */
  iotlb_hit: 13,
  /** Second lookups of requests that waited for a fill: all lookups = iotlb_lookup + these. */
  'model.iotlb_relookup': 14,
  /** Requests that joined a walk under way. */
  'model.merged_misses': 15,
  'model.page_walks': 16,
  /** Page walks by reads made: 1, 2, 3, 4 and more. */
  'model.walks_1_read': 17,
  'model.walks_2_reads': 18,
  'model.walks_3_reads': 19,
  'model.walks_4_reads': 20,
  'model.pass_through': 21,
  'model.faults': 22,
  /** Fault records written, faults merged into a pending record of the requester, faults lost to overflow. */
  'model.fault_records': 23,
  'model.fault_records_collapsed': 24,
  'model.fault_records_lost': 25,
  /** DMA writes to the interrupt address range, which are not translated. */
  'model.interrupt_writes': 26,
} as const;

/** Name of a counter. */
export type CounterName = keyof typeof Counter;

const TIMES: readonly CounterName[] = ['pw_occupancy', 'iommu_mem_blocked'];

/** Counters of one unit. */
export class UnitCounters {
  readonly values: Float64Array;

  constructor(arrays: ArraySource = HEAP_ARRAYS) {
    this.values = arrays.float64(Object.keys(Counter).length);
  }

  /** All counters by name; times in clocks of `clockTicks` picoseconds. */
  snapshot(clockTicks: number): Record<string, number> {
    const snapshot: Record<string, number> = {};
    for (const [name, index] of Object.entries(Counter)) {
      const value = this.values[index]!;
      snapshot[name] = TIMES.includes(name as CounterName) ? Math.floor(value / clockTicks) : value;
    }
    return snapshot;
  }
}

/**
 * Index of each part of the time of a DMA in {@link TimeSums}. Their sum is completion minus the tick from which the
 * request was its device's next: its earliest issue, or the issue of the request before it if that was later.
 */
export const TimePart = {
  /** Waiting for a tag or credit of the device. */
  window: 0,
  /** Waiting for the link, and on it towards the IOMMU. */
  link: 1,
  iotlbHit: 2,
  contextWalk: 3,
  pageWalk: 4,
  /** Waiting for a walker, or for a walk already under way. */
  walkQueue: 5,
  /** Memory behind the IOMMU and the way back. */
  memory: 6,
  /** Device-TLB lookups, and translation requests as far as they are not the unit's work. */
  deviceTlb: 7,
  /** Waiting for the answer to a page request. */
  pageRequest: 8,
} as const;

/** [ps] Sums over page pieces of DMA, by {@link TimePart}. Exact below 2^53 ps of one part; see {@link carry}. */
export class TimeSums {
  readonly low: Float64Array;
  readonly high = new Float64Array(Object.keys(TimePart).length);

  constructor(arrays: ArraySource = HEAP_ARRAYS) {
    this.low = arrays.float64(Object.keys(TimePart).length);
  }

  /** Moves whole multiples of 2^50 ps to the high words; to be called at least once per 2^52 ps of time added. */
  carry(): void {
    for (let part = 0; part < this.low.length; part++) {
      if (this.low[part]! < UNIT) continue;
      const units = Math.floor(this.low[part]! / UNIT);
      this.low[part]! -= units * UNIT;
      this.high[part]! += units;
    }
  }

  /** [ps] Exact sum of a part. */
  total(part: number): bigint {
    return BigInt(this.high[part]!) * BigInt(UNIT) + BigInt(this.low[part]!);
  }
}

const UNIT = 2 ** 50;
