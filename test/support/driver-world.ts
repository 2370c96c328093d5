/**
 * The modelled VT-d driver and unit under load: control operations run as kernel tasks one after the other, DMA lands
 * wherever it lands, and every DMA is held against what the calls promise. A call that is under way may be seen or not; one
 * that has returned has taken effect, and nothing of before is seen any more.
 */
import type { Pasid } from '../../src/address.ts';
import type { ResultColumns } from '../../src/hw/unit.ts';
import type { VtdUnit } from '../../src/hw/vtd/unit.ts';
import { emptyGather, type IommuDomain, type PagingDomain } from '../../src/stack/iommu/ops.ts';
import type { KernelTask } from '../../src/stack/kernel/task.ts';
import { columns, emptyResults } from './device-under-test.ts';
import { intelMachine, type MachineOptions } from './intel-machine.ts';
import { FAULT, OracleSpace } from './oracle-translator.ts';

/** [4 KiB pages] Areas that are mapped and unmapped as a whole: neighbours, large pages, other regions. */
const AREAS: readonly { readonly page: number; readonly pages: number }[] = [
  { page: 0x100, pages: 1 },
  { page: 0x101, pages: 3 },
  { page: 0x200, pages: 512 },
  { page: 0x400, pages: 515 },
  { page: 0x40000, pages: 1024 },
  { page: 0x7fffe01, pages: 1 },
];
/** Pages DMA goes to: ends of the areas, and one that is never mapped. */
const SAMPLES: readonly number[] = [0x99, ...AREAS.flatMap(({ page, pages }) => [page, page + pages - 1])];
const DOMAINS = 3;
const DEVICES = 2;
const PASIDS: readonly number[] = [0, 3];

/** How a driver world is built. */
export interface DriverWorldOptions extends MachineOptions {
  /** While a present entry is replaced no DMA may fault that both tables translate. */
  readonly hitless: boolean;
  readonly usesPasids: boolean;
  /** Flags of allocPaging. */
  readonly domainFlags?: number;
}

/** One operation; indices are taken modulo what there is. */
export type DriverOperation =
  | { op: 'dma'; device: number; pasid: number; sample: number; write: boolean; gap: number }
  | { op: 'map' | 'unmap'; domain: number; area: number; readOnly: boolean }
  | { op: 'attach'; device: number; pasid: number; domain: number }
  | { op: 'detach'; device: number; pasid: number }
  | { op: 'settle' };

interface World {
  readonly domain: PagingDomain;
  readonly space: OracleSpace;
  readonly mapped: Set<number>;
}

/** What translates a (device, PASID): an index of a domain, or -1 = blocked; several while a call is under way. */
interface Attachment {
  now: number;
  readonly possible: Set<number>;
}

/** See the file's header. */
export class DriverWorld {
  /** DMA by what became of it. */
  readonly seen = { translated: 0, fault: 0, duringCall: 0 };
  readonly #options: DriverWorldOptions;
  readonly #machine: ReturnType<typeof intelMachine>;
  readonly #unit: VtdUnit;
  readonly #domains: World[];
  readonly #attachments = new Map<string, Attachment>();
  readonly #out: ResultColumns = emptyResults(1);
  #nextPfn = 0x10_0000;
  #now = 0;

  constructor(options: DriverWorldOptions) {
    this.#options = options;
    this.#machine = intelMachine({
      deviceCount: DEVICES,
      hardware: 'vtd-emr',
      probe: options.usesPasids ? { pasidBits: 20 } : {},
      ...options,
    });
    const { kernel, driver, devices, hardware } = this.#machine;
    this.#unit = hardware as VtdUnit;
    const first = devices[0] as (typeof devices)[number];
    this.#domains = Array.from({ length: DOMAINS }, () => ({
      domain: kernel.run(driver.allocPaging(first, 'user', options.domainFlags ?? 0, undefined)) as PagingDomain,
      space: new OracleSpace(),
      mapped: new Set<number>(),
    }));
    for (const device of devices) kernel.run(driver.attach(device, driver.blockedDomain, undefined));
    this.#now = kernel.now;
  }

  /** Carries out one operation; throws when a DMA sees what no call explains. */
  run(operation: DriverOperation): void {
    switch (operation.op) {
      case 'dma':
        this.#dma(operation);
        return;
      case 'map':
      case 'unmap':
        this.#start(this.#change(operation));
        return;
      case 'attach':
        this.#start(this.#attach(operation.device % DEVICES, this.#pasid(operation.pasid), operation.domain % DOMAINS));
        return;
      case 'detach':
        this.#start(this.#attach(operation.device % DEVICES, this.#pasid(operation.pasid), -1));
        return;
      case 'settle':
        while (this.#machine.kernel.scheduler.running > 0) this.#machine.kernel.timeline.run();
        this.#now = Math.max(this.#now, this.#machine.kernel.now);
        return;
    }
  }

  #start(task: KernelTask<void>): void {
    const { kernel } = this.#machine;
    this.#now = Math.max(this.#now, kernel.now);
    kernel.scheduler.start(task, { cpu: 0, atTick: this.#now as never });
  }

  /** Maps an area that is not mapped, unmaps and flushes one that is. */
  *#change(operation: Extract<DriverOperation, { op: 'map' | 'unmap' }>): KernelTask<void> {
    const { domain, space, mapped } = this.#domains[operation.domain % DOMAINS] as World;
    const index = operation.area % AREAS.length;
    const area = AREAS[index] as (typeof AREAS)[number];
    if (mapped.has(index) === (operation.op === 'map')) return;
    const samples = SAMPLES.filter((page) => page >= area.page && page < area.page + area.pages);
    const [iova, lengthBytes] = [BigInt(area.page) << 12n, BigInt(area.pages) << 12n];
    if (operation.op === 'map') {
      mapped.add(index);
      const pfn = this.#nextPfn;
      this.#nextPfn += 2048;
      const prot = operation.readOnly ? 1 : 3;
      for (const page of samples) space.set(page, { pfn: pfn + page - area.page, prot });
      expectResult(yield* domain.map(iova, BigInt(pfn) << 12n, lengthBytes, prot), 0);
    } else {
      mapped.delete(index);
      for (const page of samples) space.set(page, undefined);
      const gather = emptyGather(false);
      expectResult(Number(yield* domain.unmap(iova, lengthBytes, gather)), Number(lengthBytes));
      expectResult(yield* domain.sync(gather), 0);
    }
    space.invalidated(area.page, area.pages);
  }

  /** Attaches, replaces or detaches (domain -1). */
  *#attach(deviceIndex: number, pasid: number, to: number): KernelTask<void> {
    const { driver, devices } = this.#machine;
    const device = devices[deviceIndex] as (typeof devices)[number];
    const attachment = this.#attachment(deviceIndex, pasid);
    if (attachment.now === to) return;
    const named = (index: number): IommuDomain =>
      index < 0 ? driver.blockedDomain : (this.#domains[index] as World).domain;
    const old = attachment.now;
    const replaces = old >= 0 && to >= 0;
    attachment.now = to;
    attachment.possible.add(to);
    if (replaces && !this.#options.hitless) attachment.possible.add(-1);
    const task =
      pasid === 0
        ? driver.attach(device, named(to), named(old))
        : driver.setPasid(device, pasid as Pasid, named(to), named(old));
    expectResult(yield* task, 0);
    attachment.possible.clear();
    attachment.possible.add(to);
  }

  #attachment(device: number, pasid: number): Attachment {
    const key = `${device}:${pasid}`;
    const known = this.#attachments.get(key) ?? { now: -1, possible: new Set([-1]) };
    this.#attachments.set(key, known);
    return known;
  }

  #pasid(index: number): number {
    return this.#options.usesPasids ? (PASIDS[index % PASIDS.length] as number) : 0;
  }

  #dma(operation: Extract<DriverOperation, { op: 'dma' }>): void {
    const { timeline } = this.#machine.kernel;
    this.#now += operation.gap * 1000;
    timeline.runUntil(this.#now as never);
    const device = operation.device % DEVICES;
    const pasid = this.#pasid(operation.pasid);
    const page = SAMPLES[operation.sample % SAMPLES.length] as number;
    const { input } = columns([{ at: this.#now / 1000, device, pasid, page, write: operation.write }]);
    const out = this.#out;
    while (this.#unit.translate(input, 0, 1, timeline.next, out) === 0) timeline.run();
    const seen = out.outcome[0] === 3 ? FAULT : (out.pfn[0] as number);
    const { possible } = this.#attachment(device, pasid);
    const allowed = new Set<number>();
    for (const index of possible) {
      if (index < 0) allowed.add(FAULT);
      else
        for (const answer of (this.#domains[index] as World).space.answers(page, operation.write)) allowed.add(answer);
    }
    this.seen[seen === FAULT ? 'fault' : 'translated']++;
    if (possible.size > 1) this.seen.duringCall++;
    if (allowed.has(seen)) return;
    const what = `device ${device} PASID ${pasid} page ${page.toString(16)} ${operation.write ? 'write' : 'read'}`;
    throw new Error(`${what}: ${seen}, which none of [${[...allowed].join(', ')}] explains`);
  }
}

function expectResult(given: number, expected: number): void {
  if (given !== expected) throw new Error(`a call returned ${given} instead of ${expected}`);
}
