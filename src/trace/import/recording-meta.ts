/** Reads `meta.json` of a recording: where it comes from, and the IOMMU's registers. */
import { z } from 'zod';
import { InputError } from '../../input-error.ts';

const metaSchema = z.looseObject({
  workload: z.string().default(''),
  description: z.string().default(''),
  guest_kernel: z.string().default(''),
  device_model: z.string().default(''),
  guest_kernel_args: z.string().default(''),
  iommu_registers: z.looseObject({ cap: z.string(), ecap: z.string() }).optional(),
  ftrace_clock: z.string().default('mono'),
  clock_alignment: z.looseObject({ offset_s: z.number().nullish(), offset_s_median: z.number().nullish() }).nullish(),
});

/** What a recording says about itself. */
export interface RecordingMeta {
  readonly workload: string;
  readonly description: string;
  readonly kernel: string;
  readonly deviceModel: string;
  readonly commandLine: string;
  /** Hex digits without 0x. */
  readonly cap: string | undefined;
  readonly ecap: string | undefined;
  readonly clock: string;
  /** [s] The recorder's own estimate of device-model time minus guest time: a cross-check only. */
  readonly statedOffsetSeconds: number | undefined;
}

/** Decodes `meta.json`. @throws InputError when it is not what it should be. */
export function readRecordingMeta(file: string, text: string): RecordingMeta {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InputError({ file, reason: `is no JSON: ${(error as Error).message}` });
  }
  const result = metaSchema.safeParse(parsed);
  if (!result.success) throw new InputError({ file, reason: z.prettifyError(result.error) });
  const meta = result.data;
  return {
    workload: meta.workload,
    description: meta.description,
    kernel: meta.guest_kernel,
    deviceModel: meta.device_model,
    commandLine: meta.guest_kernel_args,
    cap: meta.iommu_registers?.cap,
    ecap: meta.iommu_registers?.ecap,
    clock: meta.ftrace_clock,
    statedOffsetSeconds: meta.clock_alignment?.offset_s ?? meta.clock_alignment?.offset_s_median ?? undefined,
  };
}

/** Kernel profile that a kernel release follows; undefined when none is known. Versions: docs of the profiles. */
export function kernelProfileOf(release: string): string | undefined {
  const match = /^(\d+)\.(\d+)/.exec(release.trim());
  if (match === null) return undefined;
  const version = Number(match[1]) * 1000 + Number(match[2]);
  if (version < 6012) return undefined;
  if (version < 6013) return 'v6.12';
  return version < 7000 ? 'v6.15' : 'v7.3';
}

/** Hardware profile of an emulated recorder, `qemu-<major>.<minor>`; undefined for other sources. */
export function recorderProfileOf(deviceModel: string): string | undefined {
  const match = /QEMU (\d+)\.(\d+)/.exec(deviceModel);
  return match === null ? undefined : `qemu-${match[1]}.${match[2]}`;
}
