/** V8: NVMe random reads by IOMMU mode: strict mode must not be over-penalised. */
import { hardwareProfile } from '../../../hw/profiles/registry.ts';
import { KERNEL_PROFILES } from '../../../stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../../stack/profiles/schema.ts';
import { nsFromTicks } from '../../../units.ts';
import { reportedPoint } from '../point.ts';
import { measureSync } from '../queue-sync.ts';
import type { TableRun } from './table.ts';

const JOBS = 4;
/** Published, as shares of pass-through. */
const STRICT = 554.4 / 567.9;
const LAZY = 568.6 / 567.9;
/** [I/Os per second] With pass-through. */
const PASS_THROUGH_IOPS = 567_900;

/** V8. */
export const V8_NVME: TableRun = {
  id: 'V8',
  run: () => {
    const { costs } = resolveKernelProfile(KERNEL_PROFILES['v7.3']).profile;
    const syncNs = measureSync(hardwareProfile('vtd-icx').config);
    const mapNs = nsFromTicks(costs.iovaAlloc + costs.mapCall + costs.mapLeaf);
    const unmapNs = nsFromTicks(costs.iovaFree + costs.unmapCall + costs.unmapLeaf);
    const submitNs = nsFromTicks(costs.qiSubmit + costs.qiDescriptor + costs.mmioWrite);
    const perIoNs = (JOBS / PASS_THROUGH_IOPS) * 1e9;
    const exposed = (extraNs: number): number => perIoNs / (perIoNs + extraNs);
    const strictNs = mapNs + unmapNs + submitNs + syncNs;
    const lazyNs = mapNs + unmapNs + nsFromTicks(costs.flushQueueAdd);
    return {
      id: 'V8',
      title: 'NVMe 4 KiB random reads, 4 jobs of queue depth 128, by mode',
      role: 'report',
      source:
        'zhzh2001/nvme-iommu, c6620, Linux 7.0.6: 567.9k (pass-through), 568.6k (lazy), 554.4k (strict) I/Os per second',
      basis:
        'One map and one unmap per I/O at modelled cost, one synchronous invalidation in strict mode. Queues of 128 hide ' +
        'CPU time behind the device; how much is not modelled here, so two bounds are reported and nothing gates.',
      axis: null,
      points: [
        reportedPoint('all of it hidden', 'strict', 'of pass-through', STRICT, 1),
        reportedPoint('none of it hidden', 'strict', 'of pass-through', STRICT, exposed(strictNs)),
        reportedPoint('all of it hidden', 'lazy', 'of pass-through', LAZY, 1),
        reportedPoint('none of it hidden', 'lazy', 'of pass-through', LAZY, exposed(lazyNs)),
      ],
      notes: [
        `Per I/O: strict ${Math.round(strictNs)} ns, lazy ${Math.round(lazyNs)} ns of ${Math.round(perIoNs)} ns that a job has.`,
      ],
    };
  },
};
