/**
 * A process on a machine with self-test devices, calling the modelled kernel through the bytes of its ioctls: what the
 * kernel's own iommufd self-test has. Operations and argument names are those of transcripts.
 */
import { expect } from 'vitest';
import { errnoName } from '../../src/errno.ts';
import type { ConformMachine as Machine, StepOutcome } from '../../src/replay/conform/machine.ts';
import { exitProcess, forkProcess, startProcess } from '../../src/replay/conform/process-image.ts';
import { bootMachine } from '../../src/replay/conform/setups.ts';
import { StepArguments } from '../../src/replay/conform/step-arguments.ts';
import { Symbols } from '../../src/replay/conform/symbols.ts';
import { IommufdFile } from '../../src/stack/iommufd/iommufd-file.ts';
import type { Process } from '../../src/stack/kernel/process.ts';

/** Arguments of an operation. */
export type SceneArgs = Readonly<Record<string, number | bigint | string | undefined>>;

/** User memory that every scene has. */
export const BUFFER = 0x7f00_0000_0000n;
/** [bytes] */
export const BUFFER_BYTES = 0x100_0000n;
export const PAGE = 0x1000n;
/** First and last IOVA of a mock page table. */
export const APERTURE = 0x100_0000n;
export const APERTURE_LAST = 0x7fff_ffffn;
/** [bytes] Page of a mock page table. */
export const MOCK_PAGE = 0x800n;
export const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** A mock device made by a scene. */
export interface SceneDevice {
  readonly stdev: number;
  readonly hwpt: number;
  readonly idev: number;
}

/** One process with an open /dev/iommu. */
export class SelftestScene {
  readonly kernel: string;
  readonly machine: Machine;
  readonly symbols = new Symbols('self-test');
  process: Process;
  fd: number;

  constructor(kernel: string) {
    this.kernel = kernel;
    this.machine = bootMachine('self-test', 'mock', kernel);
    this.process = startProcess(this.machine, 'self-test');
    this.ok('mmap', { addr: BUFFER, length: BUFFER_BYTES });
    this.fd = this.open();
  }

  /** True for the kernel with PASIDs, vIOMMUs and file maps. */
  get newer(): boolean {
    return this.kernel !== 'v6.12';
  }

  /** The open file of `fd`. */
  get file(): IommufdFile {
    return this.process.files.getAs(this.fd, IommufdFile) as IommufdFile;
  }

  open(): number {
    return Number(this.run('open', { path: '/dev/iommu' }).values?.[0]);
  }

  /** Runs an operation; `fd` is the scene's file unless given. */
  run(op: string, args: SceneArgs = {}): StepOutcome {
    const operation = this.machine.operations.get(op);
    if (operation === undefined) throw new Error(`no operation ${op}`);
    const text: Record<string, string> = {};
    if (op.startsWith('IOMMU_') || op.startsWith('TEST_')) text['fd'] = String(this.fd);
    for (const [name, value] of Object.entries(args)) if (value !== undefined) text[name] = String(value);
    const unused = () => {
      throw new Error('forks are made by inChild');
    };
    return operation({
      machine: this.machine,
      process: this.process,
      args: new StepArguments(text, this.symbols),
      runInChild: unused,
    });
  }

  /** Runs an operation that must succeed; its outputs. */
  // biome-ignore lint/suspicious/noExplicitAny: outputs are whatever the operation writes back.
  ok(op: string, args: SceneArgs = {}): Record<string, any> {
    const { rc, out } = this.run(op, args);
    expect(rc < 0 ? `${op}: ${errnoName(rc)}` : '').toBe('');
    return { ...out };
  }

  /** Name of the error of an operation, '' for success. */
  errno(op: string, args: SceneArgs = {}): string {
    const { rc } = this.run(op, args);
    return rc < 0 ? errnoName(rc) : '';
  }

  /** Id of a new IOAS. */
  ioas(): number {
    return this.ok('IOMMU_IOAS_ALLOC')['ioas'];
  }

  /** A new mock device attached to an IOAS or page table. */
  device(pt: number, flags = 0): SceneDevice {
    return this.ok('TEST_MOCK_DOMAIN_FLAGS', { id: pt, dev_flags: flags }) as unknown as SceneDevice;
  }

  /** Removes a mock device. */
  remove({ stdev }: SceneDevice): void {
    this.ok('IOMMU_DESTROY', { id: stdev });
  }

  destroy(id: number): string {
    return this.errno('IOMMU_DESTROY', { id });
  }

  /** Maps user memory at a fixed IOVA: '' or the error. */
  map(ioas: number, va: bigint, length: bigint, iova: bigint, flags = 'WRITEABLE|READABLE'): string {
    return this.errno('IOMMU_IOAS_MAP', { ioas, va, length, iova, flags: `FIXED_IOVA|${flags}` });
  }

  /** Maps user memory wherever the kernel likes; the IOVA. */
  mapAnywhere(ioas: number, va: bigint, length: bigint): bigint {
    return BigInt(this.ok('IOMMU_IOAS_MAP', { ioas, va, length, flags: 'WRITEABLE|READABLE' })['iova']);
  }

  unmap(ioas: number, iova: bigint, length: bigint): string {
    return this.errno('IOMMU_IOAS_UNMAP', { ioas, iova, length });
  }

  /** Removes every mapping; bytes removed. */
  unmapAll(ioas: number): bigint {
    return BigInt(this.ok('IOMMU_IOAS_UNMAP', { ioas, iova: 0, length: 'U64MAX' })['length']);
  }

  copy(dst: number, src: number, srcIova: bigint, length: bigint, iova: bigint): string {
    const flags = 'FIXED_IOVA|WRITEABLE|READABLE';
    return this.errno('IOMMU_IOAS_COPY', { dst, src, src_iova: srcIova, length, iova, flags });
  }

  /** Whether a page table translates the range to that user memory. */
  checkMap(hwpt: number, iova: bigint, length: bigint, va: bigint): string {
    return this.errno('TEST_MD_CHECK_MAP', { id: hwpt, iova, length, va });
  }

  /** Whether every page of the memory has so many pins. */
  checkRefs(va: bigint, length: bigint, refs: number): string {
    return this.errno('TEST_MD_CHECK_REFS', { va, length, refs });
  }

  /** A page table: its id, or the name of the error. */
  hwpt(dev: number, pt: number, flags: string | number = 0, more: SceneArgs = {}): number | string {
    const { rc, out } = this.run('IOMMU_HWPT_ALLOC', { dev, pt, flags, ...more });
    return rc < 0 ? errnoName(rc) : (out?.['hwpt'] as number);
  }

  /** User data of a nested page table: its IOTLB entries begin as `iotlb`. */
  nestedData(iotlb = 0xbad_beef, at = BUFFER + 0xf0_0000n): SceneArgs {
    this.ok('poke32', { va: at, val: iotlb });
    return { data_type: 'DATA_SELFTEST', data_len: 4, data_uptr: at };
  }

  /** An access: its descriptor, or the name of the error. */
  access(ioas: number, flags: string | number = 'NEEDS_PIN'): number | string {
    const { rc, out } = this.run('TEST_CREATE_ACCESS', { id: ioas, flags });
    return rc < 0 ? errnoName(rc) : (out?.['access'] as number);
  }

  read(va: bigint, length: number): Uint8Array {
    return this.process.memory.read(va, length) as Uint8Array;
  }

  /** Runs `body` in a forked child, which exits afterwards. */
  inChild(body: () => void): void {
    const parent = this.process;
    const child = forkProcess(this.machine, parent);
    this.process = child;
    body();
    this.process = parent;
    exitProcess(this.machine, child);
  }

  /** Closes the file; every object of the context goes. */
  close(): string {
    return this.errno('close', { fd: this.fd });
  }
}
