/** A small machine around the VT-d driver: one unit, devices in groups, every submission on record. */
import { sourceId } from '../../src/address.ts';
import { PhysicalMemory } from '../../src/hw/memory.ts';
import { hardwareProfile } from '../../src/hw/profiles/registry.ts';
import { VtdUnit } from '../../src/hw/vtd/unit.ts';
import { type BootGroup, bootIntel } from '../../src/stack/drivers/intel/boot.ts';
import type { DeviceProbe } from '../../src/stack/drivers/intel/device-info.ts';
import { IntelDriver } from '../../src/stack/drivers/intel/driver.ts';
import { IommuGroup } from '../../src/stack/iommu/group.ts';
import type { IommuDevice } from '../../src/stack/iommu/ops.ts';
import { Kernel } from '../../src/stack/kernel/kernel.ts';
import { KERNEL_PROFILES } from '../../src/stack/profiles/kernels.ts';
import { resolveKernelProfile } from '../../src/stack/profiles/schema.ts';
import { QueueUnit } from './queue-unit.ts';

/** Capability registers of the recorded machines. */
export const REGISTERS = {
  legacy: { cap: 'd2008c222f0606', ecap: 'f00f4a', scalable: false },
  cachingMode: { cap: 'd2008c222f0686', ecap: 'f00f4a', scalable: false },
  scalable: { cap: 'd2008c222f0606', ecap: '480080f00f4a', scalable: true },
  scalableCachingMode: { cap: 'd2008c222f0686', ecap: '480080f00f4a', scalable: true },
  firstStage: { cap: '81d2008c222f0606', ecap: '880000f00f4a', scalable: true },
  /** No recording: scalable with both stages, nesting, 20-bit PASIDs, device TLB, page requests, dirty bits, coherent. */
  server: { cap: '81d2008c222f0606', ecap: '1e998a4f00fcf', scalable: true },
  /** The same unit in legacy mode. */
  legacyDeviceTlb: { cap: '81d2008c222f0606', ecap: '1e998a4f00fcf', scalable: false },
  serverCachingMode: { cap: '81d2008c222f0686', ecap: '1e998a4f00fcf', scalable: true },
} as const;

/** How a test machine is built. */
export interface MachineOptions {
  readonly kernel?: string;
  readonly overrides?: readonly string[];
  readonly registers?: keyof typeof REGISTERS;
  readonly defaultDomain?: BootGroup['defaultDomain'];
  /** Extra devices: bus numbers from 1 on, one group each. */
  readonly deviceCount?: number;
  readonly probe?: DeviceProbe;
  readonly aliases?: readonly number[];
  readonly queueDelayTicks?: number;
  /** Name of a hardware profile: a full unit with these registers instead of a bare queue. */
  readonly hardware?: string;
  readonly hardwareOverrides?: readonly string[];
  /** Every device has ATS, with or without page requests, down to its configuration registers (full units only). */
  readonly endpoints?: { readonly pri: boolean };
}

/** One line a descriptor, as the qi_submit trace event prints its four 64-bit words. */
export function formatDescriptor(words: ArrayLike<number>, at: number): string {
  const qword = (index: number): string => {
    const value =
      (BigInt((words[at + index * 2 + 1] as number) >>> 0) << 32n) | BigInt((words[at + index * 2] as number) >>> 0);
    return `0x${value.toString(16)}`;
  };
  return `${qword(0)} ${qword(1)} ${qword(2)} ${qword(3)}`;
}

function fullUnit(options: MachineOptions, memory: PhysicalMemory, kernel: Kernel): VtdUnit {
  const registers = REGISTERS[options.registers ?? 'legacy'];
  const words = (hex: string): readonly [number, number] => {
    const value = BigInt(`0x${hex}`);
    return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
  };
  const { config } = hardwareProfile(options.hardware as string, options.hardwareOverrides ?? []);
  const deviceSourceIds = Array.from({ length: options.deviceCount ?? 1 }, (_, index) => sourceId(index + 1, 0, 0));
  return new VtdUnit({
    name: 'dmar0',
    config: { ...config, cap: words(registers.cap), ecap: words(registers.ecap) },
    memory,
    timeline: kernel.timeline,
    deviceSourceIds,
    endpoints:
      options.endpoints === undefined
        ? []
        : deviceSourceIds.map((id, device) => ({ device, sourceId: id, pri: options.endpoints?.pri === true })),
  });
}

/** Builds and boots a machine with `deviceCount` devices 01:00.0, 02:00.0 … */
export function intelMachine(options: MachineOptions = {}) {
  const registers = REGISTERS[options.registers ?? 'legacy'];
  const source = KERNEL_PROFILES[options.kernel ?? 'v6.12'];
  const kernel = new Kernel(resolveKernelProfile(source, options.overrides ?? []).profile);
  const memory = new PhysicalMemory();
  const unit = new QueueUnit(memory, kernel.timeline, registers.cap, registers.ecap, options.queueDelayTicks ?? 0);
  const hardware = options.hardware === undefined ? undefined : fullUnit(options, memory, kernel);
  /** Descriptors by submission, since the last clear. */
  const submissions: string[][] = [];
  const driver = new IntelDriver({
    kernel,
    memory,
    units: [{ name: 'dmar0', registers: hardware ?? unit, scalable: registers.scalable }],
    onSubmission: ({ count, words }) => {
      submissions.push(Array.from({ length: count }, (_, index) => formatDescriptor(words, index * 8)));
    },
  });
  const rules = {
    pasidNeedsBlockedDomain: options.kernel !== undefined && options.kernel !== 'v6.12',
    refusesDuringReset: false,
  };
  const devices: IommuDevice[] = [];
  const groups: BootGroup[] = Array.from({ length: options.deviceCount ?? 1 }, (_, index) => {
    const device: IommuDevice = {
      name: `0000:0${index + 1}:00.0`,
      sourceIds: [sourceId(index + 1, 0, 0), ...((options.aliases ?? []) as never[])],
      unit: 'dmar0',
      driver,
      maxPasids: (options.probe?.pasidBits ?? 0) > 0 ? 2 ** (options.probe?.pasidBits as number) : 0,
      isVirtualFunction: false,
      supportsPri: options.endpoints?.pri === true,
      isolatedMsi: true,
    };
    devices.push(device);
    const group = new IommuGroup(index, rules, kernel.timeline);
    group.add(device);
    return {
      group,
      devices: [
        {
          device,
          probe: {
            ...options.probe,
            ...(options.endpoints === undefined ? {} : { ats: true, config: hardware?.functionAt(index), group }),
          },
        },
      ],
      defaultDomain: options.defaultDomain ?? 'dma',
    };
  });
  const booted = kernel.run(bootIntel(driver, groups));
  const boot = submissions.splice(0);
  return {
    kernel,
    memory,
    unit,
    hardware,
    driver,
    devices,
    groups: groups.map(({ group }) => group),
    booted,
    boot,
    /** Submissions since the last call. */
    take: () => submissions.splice(0),
  };
}
