/**
 * Recipes: what a synthetic bundle is made from. A recipe is a JSON file; the same recipe gives the same bytes on every
 * machine. docs/trace-format.md lists the kinds; workloads/recipes has one of each.
 */
import * as z from 'zod';
import { applyOverrides, decodeStrict } from '../../decode.ts';

/** [bytes] Leaf sizes of x86-64 and VT-d page tables. */
const pageBytes = z.union([z.literal(4096), z.literal(2_097_152), z.literal(1_073_741_824)]).default(4096);
const positive = z.int().positive();

/** Which pages of a region are touched. */
const locality = z
  .discriminatedUnion('kind', [
    /** Every page alike. */
    z.strictObject({ kind: z.literal('uniform') }),
    /** `share` of the requests go to `fraction` of the pages. */
    z.strictObject({ kind: z.literal('hot'), fraction: z.number().gt(0).max(1), share: z.number().min(0).max(1) }),
    /** Zipf's law with exponent 1. */
    z.strictObject({ kind: z.literal('zipf') }),
  ])
  .default({ kind: 'uniform' });

const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'a name of a-z, 0-9 and -'),
  description: z.string().default(''),
  /** Seed of the generator, 32 bits. */
  seed: z.int().min(0).max(0xffff_ffff),
  /** DMA rows to write. */
  rows: positive.max(4_000_000_000),
  /** IOMMU units; device i sits behind unit i modulo this. */
  units: positive.max(16).default(1),
  mode: z.enum(['legacy', 'scalable']).default('scalable'),
  stage: z.enum(['first', 'second']).default('second'),
  flushMode: z.enum(['strict', 'lazy']).default('strict'),
  pacing: z.enum(['recorded', 'closed']).default('closed'),
  /** [ns] Mean distance of DMA requests over all devices; distances are uniform between 0 and twice that. */
  gapNs: z.number().min(0.001).max(1e9).default(100),
  /** Share of reads among requests whose direction is free. */
  readFraction: z.number().min(0).max(1).default(0.5),
  /** Physical devices have ATS: they cache translations themselves, where the IOMMU and the kernel let them. */
  ats: z.boolean().default(false),
  /** Kernel profile to replay on when the user names none. */
  kernel: z.string().optional(),
  /** [bytes] Size of a request; requests do not cross a 4 KiB page. */
  requestBytes: z
    .int()
    .min(1)
    .max(4096)
    .refine((bytes) => 4096 % bytes === 0, 'a divisor of 4096')
    .default(256),
};

const region = {
  /** [bytes] Mapped per device or tenant, a multiple of `pageBytes`. */
  regionBytes: positive.max(2 ** 38),
  /** [bytes] Size and alignment of the physically contiguous runs behind it, hence the largest leaf it can have. */
  pageBytes,
};

/** Schema of a recipe file. */
export const RECIPE_SCHEMA = z.discriminatedUnion('kind', [
  /** A network device: descriptor fetch, packet buffer, descriptor write-back; buffers used in ring order. */
  z.strictObject({
    ...common,
    kind: z.literal('ring'),
    devices: positive.max(4096).default(1),
    ringEntries: positive.max(65_536).default(1024),
    /** [bytes] Buffer of one ring entry. */
    bufferBytes: z.int().min(64).max(65_536).default(2048),
    /** [bytes] Part of the buffer that a packet fills. */
    packetBytes: z.int().min(64).max(65_536).default(1500),
  }),
  /** Random requests over a region that stays mapped. */
  z.strictObject({
    ...common,
    ...region,
    kind: z.literal('scatter'),
    devices: positive.max(4096).default(1),
    locality,
  }),
  /** Requests at a fixed distance, wrapping around at the end of the region. */
  z.strictObject({
    ...common,
    ...region,
    kind: z.literal('strided'),
    devices: positive.max(4096).default(1),
    /** [bytes] A multiple of `requestBytes`. */
    strideBytes: positive.max(2 ** 38),
  }),
  /** Many guests on one host: each has a device, an iommufd context and an address space of its own. */
  z.strictObject({
    ...common,
    ...region,
    kind: z.literal('tenants'),
    tenants: positive.max(4096),
    locality,
    /** Requests of a tenant in a row before the next one's turn. */
    burst: positive.max(1_000_000).default(1),
    order: z.enum(['round-robin', 'random']).default('round-robin'),
  }),
  /** A guest under live migration: dirty tracking on, the bitmap read and cleared once a round. */
  z.strictObject({
    ...common,
    ...region,
    kind: z.literal('migration'),
    rounds: positive.max(100_000).default(8),
    locality,
  }),
  /** Guests whose devices or PASIDs are moved between two page tables of the same addresses, again and again. */
  z.strictObject({
    ...common,
    ...region,
    kind: z.literal('switches'),
    devices: positive.max(4096).default(1),
    /** PASIDs of each device, each with page tables of its own; 0 = requests without PASID. */
    pasids: z.int().min(0).max(1024).default(0),
    locality,
    /** Switches over all devices and PASIDs, in turn, at equal distances. */
    switches: positive.max(100_000),
    /** Stage of the tables that a device or PASID starts with, and of those it alternates with. */
    fromStage: z.enum(['first', 'second', 'nested']).default('second'),
    toStage: z.enum(['first', 'second', 'nested']).default('second'),
    /** `replace`: one call. `detach-attach`: two, `userGapNs` apart. `container-move`: groups and type1 containers. */
    call: z.enum(['replace', 'detach-attach', 'container-move']).default('replace'),
    /** Mediated devices besides, whose drivers copy and pin while they are moved between two IOASes. */
    mediated: z.int().min(0).max(256).default(0),
    /** [ns] Between two copies of a mediated device; every eighth is a pin of `pinPages` pages, given back by the next. */
    accessGapNs: z.number().min(100).max(1e9).default(2000),
    pinPages: positive.max(512).default(16),
    /** [ns] */
    userGapNs: z.number().min(0).max(1e9).default(0),
    /** Every so many switches goes to a target that the kernel refuses, then the next one elsewhere; 0 = none. */
    failEvery: z.int().min(0).default(0),
    /** Why: a mapping over the device's reserved range, or memory that cannot be pinned. */
    failBy: z.enum(['reserved', 'unmappable']).default('reserved'),
    /** [ns] Mapping and attaching is over by then; requests begin. */
    startNs: z.number().min(0).max(1e10).default(50_000_000),
  }),
  /**
   * Devices of guests with demand paging: nothing is mapped, pages come in by page requests (ATS and PRI) through a
   * fault queue; once a round the oldest part of the memory is taken away again.
   */
  z.strictObject({
    ...common,
    ...region,
    kind: z.literal('demand'),
    devices: positive.max(4096).default(1),
    /** PASIDs of each device, each with a page table of its own; 0 = requests without PASID. */
    pasids: z.int().min(0).max(1024).default(0),
    /** [bytes] What the fault handler maps for one fault; a power of two. */
    blockBytes: z
      .int()
      .min(4096)
      .max(2 ** 30)
      .refine((bytes) => (bytes & (bytes - 1)) === 0, 'a power of two')
      .default(4096),
    /** Times that memory is taken away, at equal distances. */
    rounds: z.int().min(0).max(100_000).default(8),
    /** Share of the region taken away at a time. */
    reclaim: z.number().gt(0).max(1).default(0.25),
    locality,
  }),
  /** Devices of one guest in a VFIO container; once a round one slot of memory is unplugged and plugged in again. */
  z.strictObject({
    ...common,
    ...region,
    kind: z.literal('container'),
    devices: positive.max(4096).default(1),
    /** Mappings the guest's memory consists of. */
    slots: positive.max(32_768).default(8),
    rounds: z.int().min(0).max(100_000).default(8),
    locality,
  }),
  /** A mediated device that pins, copies and unpins once a round, beside a physical one that does DMA. */
  z.strictObject({
    ...common,
    ...region,
    kind: z.literal('mdev'),
    /** Both devices through their nodes and an iommufd, or through their groups and a container. */
    path: z.enum(['iommufd', 'container']).default('iommufd'),
    rounds: positive.max(100_000).default(8),
    /** [4 KiB pages] Pinned once a round; a container takes 512 at a time. */
    pinPages: positive.max(512).default(64),
    locality,
  }),
  /** Guests with page tables of their own: every device or PASID is translated by a guest's table on the host's. */
  z.strictObject({
    ...common,
    ...region,
    kind: z.literal('nested'),
    devices: positive.max(4096).default(1),
    /** PASIDs of each device, each with a table of its own; 0 = requests without PASID. */
    pasids: z.int().min(0).max(1024).default(0),
    /** Mappings of a guest's table. Once a round one of each is taken away, invalidated and put elsewhere. */
    slots: positive.max(32_768).default(8),
    rounds: z.int().min(0).max(100_000).default(8),
    /** Every so many rounds the guests forget to invalidate, a defect to be found; 0 = never. */
    forgetEvery: z.int().min(0).default(0),
    locality,
  }),
  /** A storage device through the DMA API: every I/O is mapped, transferred and unmapped. */
  z.strictObject({
    ...common,
    kind: z.literal('churn'),
    devices: positive.max(4096).default(1),
    /** I/Os under way per device. */
    queueDepth: positive.max(4096).default(32),
    /** [bytes] Size of an I/O, a multiple of `requestBytes`. */
    ioBytes: positive.max(2 ** 24).default(4096),
    /** CPUs that submit, in turn. */
    cpus: positive.max(256).default(1),
  }),
]);

/** A decoded recipe. */
export type Recipe = z.output<typeof RECIPE_SCHEMA>;

/** Recipe of one kind. */
export type RecipeOf<K extends Recipe['kind']> = Extract<Recipe, { readonly kind: K }>;

/** Pages of a region that a request may choose. */
export type Locality = RecipeOf<'scatter'>['locality'];

/** Decodes a recipe with `--set`-like overrides; throws ConfigError. */
export function decodeRecipe(value: unknown, source: string, overrides: readonly string[] = []): Recipe {
  return decodeStrict(RECIPE_SCHEMA, applyOverrides(value, overrides), source);
}
