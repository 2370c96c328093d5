/** How long one synchronous invalidation takes: tail write to the status word, on an idle queue. */
import { addressHigh, addressLow } from '../../address.ts';
import { PhysicalMemory } from '../../hw/memory.ts';
import type { VtdConfig } from '../../hw/vtd/config.ts';
import {
  DESCRIPTOR_WORDS_128,
  Descriptor,
  DescriptorType,
  GRANULARITY_SHIFT,
  IotlbGranularity,
} from '../../hw/vtd/layout.ts';
import { GCMD_REG, GlobalCommand, IQA_REG, IQT_REG } from '../../hw/vtd/registers.ts';
import { VtdUnit } from '../../hw/vtd/unit.ts';
import { Timeline } from '../../timeline.ts';
import { NEVER, nsFromTicks } from '../../units.ts';

/** [ns] One IOTLB descriptor and its wait. */
export function measureSync(config: VtdConfig): number {
  const memory = new PhysicalMemory();
  const timeline = new Timeline();
  const unit = new VtdUnit({ name: 'dmar0', config, memory, timeline, deviceSourceIds: [] });
  const ring = memory.allocFrame();
  const status = memory.allocFrame();
  const iotlb = DescriptorType.iotlb | (IotlbGranularity.domain << GRANULARITY_SHIFT);
  const wait = DescriptorType.wait | Descriptor.waitStatusWrite;
  memory.writeWord(ring, 0, iotlb);
  memory.writeQword(ring, DESCRIPTOR_WORDS_128, wait, 1);
  memory.writeQword(ring, DESCRIPTOR_WORDS_128 + 2, addressLow(status), addressHigh(status));
  unit.mmioWrite(IQA_REG, addressLow(ring), addressHigh(ring), 0);
  unit.mmioWrite(GCMD_REG, GlobalCommand.qie, 0, 0);
  let doneTick: number = NEVER;
  memory.watch(status, 0, (_, atTick) => {
    doneTick = atTick;
  });
  unit.mmioWrite(IQT_REG, 2 * DESCRIPTOR_WORDS_128 * 4, 0, 0);
  while (timeline.run());
  return nsFromTicks(doneTick);
}
