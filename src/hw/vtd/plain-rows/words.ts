/**
 * What the compiled loop and TypeScript agree on: words of the parameter block, stop reasons, and the numbers of
 * counters, outcomes and fields that the loop uses. Plain constants, so that AssemblyScript can import this file as
 * TypeScript does; a test holds them equal to the originals.
 */

/** Why the loop stopped before the last row. */
export const STOP_END = 0;
/** The row would issue at or after the limit. */
export const STOP_LIMIT = 1;
/** The row is not a plain one: TypeScript handles it. */
export const STOP_ROW = 2;
/** A cache holds entries of past generations: TypeScript reclaims them. */
export const STOP_STALE = 3;

/** Int32 words of the block. Names of arrays: their byte offsets. First the bindings, by slot. */
export const REQUESTER_OF = 0;
export const BINDING_READY = 1;
export const BINDING_KIND = 2;
export const BINDING_SPACE = 3;
export const BINDING_DOMAIN = 4;
export const BINDING_ROOT = 5;
export const BINDING_LEVEL = 6;
export const BINDING_DIRTY = 7;
export const LAST_PASID = 8;
export const LAST_SLOT = 9;
/** Address spaces, by space. */
export const LEAF_GENERATION = 10;
export const NONLEAF_GENERATION = 11;
export const SIZES_IN_USE = 12;
export const LAST_USE = 13;
/** Device links. */
export const SHAPES = 14;
export const SHAPE_TLPS = 15;
export const DEVICE_TICKS = 16;
export const HEADS = 17;
export const RING = 18;
export const RING_SHIFT = 19;
export const RING_MASK = 20;
export const LAST_ISSUE = 21;
export const BYTES_DONE = 22;
export const MAX_READ_BYTES = 23;
export const MAX_WRITE_BYTES = 24;
/** Cache headers. Paging-structure caches of levels 2 .. 5, 0 = none: second stage, then first stage. */
export const IOTLB_HEADER = 25;
export const SS_HEADERS = 26;
export const FS_HEADERS = 30;
/** Walkers. */
export const WALKER_BUSY = 34;
export const WALKER_COUNT = 35;
/** When the port to memory is free: of anybody, then of walks (WalkSchedule.portFree). */
export const PORT_FREE = 36;
/** Counters and sums of times. */
export const COUNTS = 37;
export const TIMES = 38;
/** Modelled memory: the words, and how many frames there are. */
export const TABLE_WORDS = 39;
export const FRAME_COUNT = 40;
/** 1: the unit is in scalable mode. */
export const SCALABLE = 41;
/** 1: the loop walks tables, 0: it leaves every miss to TypeScript. */
export const WALKS = 42;
/** Why the last call stopped. */
export const STOP = 43;
/** Columns of the batch: input, then results. */
export const NOT_BEFORE = 44;
export const DEVICE = 45;
export const PASID = 46;
export const IOVA = 47;
export const BYTES = 48;
export const FLAGS = 49;
export const ISSUE = 50;
export const ARRIVE = 51;
export const READY = 52;
export const DONE = 53;
export const OUTCOME = 54;
export const FAULT = 55;
export const WALK_READS = 56;
export const PAGE_SHIFT = 57;
export const PFN = 58;
/** Of the walk under way: reads, size and permissions of the leaf, its words; slots and permissions by level. */
export const LEAF_READS = 59;
export const LEAF_SIZE = 60;
export const LEAF_PROT = 61;
export const LEAF_LOW = 62;
export const LEAF_HIGH = 63;
export const PATH_SLOT = 64;
export const PATH_PROT = 70;
/** Where 4 KiB pages were found last, by the top bits of the mixed key: saves scanning the set. Right shift of the mix. */
export const HINTS = 76;
export const HINT_SHIFT = 77;
/** Levels above 1 whose entries may be leaves, bit n for level n: second stage, first stage. */
export const SS_LEAF_LEVELS = 78;
export const FS_LEAF_LEVELS = 79;

/** Float64 words of the block, behind the int32 ones [ps]. */
export const HIT = 40;
export const ONE_WAY = 41;
export const MEMORY_READ = 42;
export const MEMORY_WRITE = 43;
export const WALK_FIXED = 44;
export const WALK_READ = 45;
export const BUSY_EXTRA = 46;
export const WALK_INTERVAL = 47;
export const READ_DELAY = 48;
export const LAST_DONE = 49;
/** Size of the block in float64 words. */
export const BLOCK_LENGTH = 50;

/** Counter numbers. */
export const COUNT_REQUESTS = 0;
export const COUNT_PW_OCCUPANCY = 1;
export const COUNT_MRDS = 2;
export const COUNT_MEM_BLOCKED = 3;
export const COUNT_CONTEXT_LOOKUP = 4;
export const COUNT_CONTEXT_HIT = 5;
export const COUNT_PASID_LOOKUP = 6;
export const COUNT_PASID_HIT = 7;
export const COUNT_SS_LOOKUP = 8;
export const COUNT_SS_HIT = 9;
export const COUNT_FS_LOOKUP = 10;
export const COUNT_FS_HIT = 11;
export const COUNT_IOTLB_LOOKUP = 12;
export const COUNT_IOTLB_HIT = 13;
export const COUNT_RELOOKUP = 14;
export const COUNT_MERGED = 15;
export const COUNT_WALKS = 16;
export const COUNT_WALKS_1_READ = 17;
export const COUNT_PASS_THROUGH = 21;

/** Numbers of the parts of a DMA's time. */
export const PART_WINDOW = 0;
export const PART_LINK = 1;
export const PART_IOTLB_HIT = 2;
export const PART_PAGE_WALK = 4;
export const PART_WALK_QUEUE = 5;
export const PART_MEMORY = 6;

/** Outcomes. */
export const OUTCOME_HIT = 0;
export const OUTCOME_MISS = 1;
export const OUTCOME_MERGED = 2;
export const OUTCOME_PASS_THROUGH = 4;

/** Kinds of bindings. */
export const KIND_SECOND_STAGE = 0;
export const KIND_FIRST_STAGE = 1;
export const KIND_PASS_THROUGH = 2;

/** Fields of IOTLB entries and keys. */
export const SPACE_SHIFT = 15;
export const KEY_SIZE_SHIFT = 13;
export const PAGE_HIGH_LIMIT = 0x1fff;
export const PROT_SHIFT = 12;
export const SIZE_SHIFT = 14;
export const DID_SHIFT = 16;
export const PFN_HIGH_MASK = 0xff;

/** Figures of a request shape and of a device's port. */
export const MAX_REQUEST = 4096;
export const SHAPE_STEP = 0;
export const SHAPE_SERIAL = 1;
export const SHAPE_DOWN_TOTAL = 2;
export const SHAPE_DOWN_STEP = 3;
export const SHAPE_HOLD = 4;
export const SHAPE_PORT = 5;
export const PORT_UP_FREE = 0;
export const PORT_DOWN_FREE = 1;
export const PORT_NEXT_ISSUE = 2;

/** Table entries. */
export const FRAME_BASE = 0x1000_0000;
export const FRAME_BYTES = 4096;
export const PERMISSION_READ = 1;
export const PERMISSION_WRITE = 2;
export const ENTRY_PAGE_SIZE = 0x80;
export const SS_ACCESSED = 0x100;
export const SS_DIRTY = 0x200;
export const FS_PRESENT = 0x1;
export const FS_WRITE = 0x2;
export const FS_USER = 0x4;
export const FS_ACCESSED = 0x20;
export const FS_DIRTY = 0x40;
