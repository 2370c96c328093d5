/**
 * Holds the model against a recording: the modelled kernel plays the control plane in the recorder's order, its driver
 * fills modelled memory, and the recorder's own IOMMU rules (its hardware profile) translate every recorded access from
 * that memory. Time plays no part; descriptors act on the caches where the recorder executed them.
 */
import type { Pasid, SourceId } from '../../address.ts';
import { DmaFlag } from '../../hw/unit.ts';
import type { VtdUnit } from '../../hw/vtd/unit.ts';
import { InputError } from '../../input-error.ts';
import type { Submission } from '../../stack/drivers/intel/qi.ts';
import type { KernelProfile } from '../../stack/kernel/profile.ts';
import { BundleReader } from '../../trace/reader.ts';
import { NONE_U32 } from '../../trace/schema/column-type.ts';
import { ControlReader, type ControlRow } from '../control-row.ts';
import { Machine } from '../machine.ts';
import { hardwareForRun, type JobHardware, kernelForRun } from '../run-profiles.ts';
import { planShards, shardFacts } from '../shards.ts';
import { AccessChecks } from './access-checks.ts';
import { compareInOrder, compareLazy, isInterruptEntry, type SubmittedDescriptor } from './descriptor-checks.ts';
import { type HardwareRow, mergedRows, type SubmissionRow } from './merged-rows.ts';
import { RecordedTables } from './recorded-tables.ts';
import { VERIFY_SCHEMA_VERSION, type VerifyResult } from './result.ts';
import { TableChecks } from './table-checks.ts';

/** Profiles to verify with, where they are not to come from the manifest. */
export interface VerifyOptions {
  readonly kernel?: string | undefined;
  readonly hardware?: string | undefined;
}

/** Verifies one bundle; throws InputError when it carries no observations, ConfigError for unknown profiles. */
export function verifyBundle(path: string, options: VerifyOptions = {}): VerifyResult {
  const bundle = BundleReader.open(path);
  try {
    return new Verification(bundle, options).run();
  } finally {
    bundle.close();
  }
}

/** Share of the accesses in the window that the checks must cover. */
const REQUIRED_COVERAGE = 0.99;

class Verification {
  readonly #bundle: BundleReader;
  readonly #kernelName: string;
  readonly #recorderName: string;
  readonly #machine: Machine;
  readonly #accesses = new AccessChecks();
  readonly #recorded: RecordedTables;
  readonly #tables: TableChecks;
  readonly #submissions: SubmittedDescriptor[] = [];
  readonly #modelled: SubmittedDescriptor[] = [];
  readonly #apart: Record<string, number> = {};
  readonly #lazy: boolean;
  readonly #lastDetach: ReadonlyMap<number, number>;
  /** Sequence at which the call of a control row began to take effect, by row. */
  readonly #effectSequence = new Map<number, number>();
  /** CPU and sequence of the call whose submissions the driver reports now. */
  #caller: { cpu: number; sequence: number } | undefined;
  #faultRecords = 0;

  constructor(bundle: BundleReader, options: VerifyOptions) {
    const { manifest } = bundle;
    this.#bundle = bundle;
    this.#kernelName = options.kernel ?? requireOrigin(bundle, 'kernelProfile');
    this.#recorderName = options.hardware ?? requireOrigin(bundle, 'recorderProfile');
    if (!bundle.has('observed-hardware')) {
      throw new InputError({ file: bundle.path, reason: 'the bundle has no observations to verify against' });
    }
    const hardware = hardwareForRun(this.#recorderName, []).planned.profile as JobHardware;
    const kernel = kernelForRun(this.#kernelName, []).planned.profile as KernelProfile;
    // One world of everything: domain ids depend on every device the kernel probed.
    const world = {
      units: manifest.topology.units.map((_, index) => index),
      devices: manifest.topology.devices.map((_, index) => index),
      contexts: [...new Set(planShards(shardFacts(bundle)).flatMap(({ contexts }) => contexts))],
    };
    this.#machine = new Machine({
      bundle,
      world,
      hardware,
      kernel,
      follow: { onSubmission: (submission) => this.#onSubmission(submission) },
    });
    this.#lazy = [...this.#machine.dmaApis].some((api) => api.lazy) && manifest.dmaPolicy.flushMode === 'lazy';
    this.#recorded = new RecordedTables(bundle);
    this.#tables = new TableChecks(this.#machine.memory, this.#recorded, (device) => {
      const topology = manifest.topology.devices[device];
      const unit = topology === undefined ? undefined : this.#machine.driver.units[topology.unit];
      if (topology === undefined || unit === undefined) return undefined;
      const sourceId = (topology.aliasIds?.[0] ?? topology.sourceId) as SourceId;
      return { rootTable: unit.root, scalable: unit.caps.scalable, sourceId };
    });
    this.#lastDetach = lastDetachRows(bundle);
    const rows = new ControlReader(bundle);
    for (let row = rows.next(); row !== undefined; row = rows.next()) {
      if (row.op === 'device_dma') this.#accesses.expectRound(row);
    }
  }

  run(): VerifyResult {
    let inPrehistory = true;
    for (const merged of mergedRows(this.#bundle)) {
      switch (merged.kind) {
        case 'control':
          this.#control(merged.row);
          break;
        case 'submission':
          this.#submission(merged.row);
          break;
        case 'hardware':
          if (merged.row.inWindow === 1) inPrehistory = false;
          this.#hardware(merged.row, inPrehistory);
          break;
        case 'dma': {
          const { row, observed, unit } = merged;
          const device = this.#bundle.manifest.topology.devices[row.device];
          const sourceId = (device?.aliasIds?.[0] ?? device?.sourceId ?? 0) as SourceId;
          const flags = row.flags & (DmaFlag.write | DmaFlag.translationRequest | DmaFlag.translated);
          const page = Number(row.iova >> 12n);
          const answer = this.#unit(unit).access(sourceId, row.pasid as Pasid, page, flags);
          this.#accesses.compare(`dma-${unit} row ${merged.index}`, row, observed, answer);
          break;
        }
      }
    }
    this.#tables.compareWithDump(this.#bundle);
    return this.#result();
  }

  #control(row: ControlRow): void {
    this.#effectSequence.set(row.row, row.sequence);
    if (this.#lastDetach.get(row.device) === row.row) this.#tables.compareWithEvents(row.device);
    this.#caller = { cpu: row.cpu, sequence: row.sequence };
    this.#machine.kernel.run(this.#machine.calls.perform(row));
    this.#caller = undefined;
    this.#recorded.apply(row);
  }

  #submission(row: SubmissionRow): void {
    if (isInterruptEntry(row.type)) {
      this.#apart['interrupt_entry'] = (this.#apart['interrupt_entry'] ?? 0) + 1;
      return;
    }
    const fromSequence =
      row.controlRow === 0 ? row.sequence : (this.#effectSequence.get(row.controlRow - 1) ?? row.sequence);
    this.#submissions.push({
      words: [row.word0, row.word1, row.word2, row.word3],
      cpu: row.cpu,
      fromSequence,
      atSequence: row.sequence,
    });
    // A flush outside any call is the flush queue's timer: that it expired is the recorder's, the rest is the model's.
    if (this.#lazy && row.controlRow === 0) this.#expireTimer(row);
  }

  #expireTimer(row: SubmissionRow): void {
    const domainId = Number((row.word0 >> 16n) & 0xffffn);
    for (const api of this.#machine.dmaApis) {
      const queue = api.flushQueue;
      if (queue === undefined || !queue.timerArmed || !this.#serves(api.domain, domainId)) continue;
      this.#caller = { cpu: row.cpu, sequence: row.sequence };
      this.#machine.kernel.run(queue.expireTimer());
      this.#caller = undefined;
      return;
    }
  }

  #serves(domain: unknown, domainId: number): boolean {
    const { devices } = this.#bundle.manifest.topology;
    return devices.some((_, index) => {
      const installed = this.#tables.installedDomain(index);
      return installed === domainId && this.#machine.domainOf(index) === domain;
    });
  }

  #hardware(row: HardwareRow, prehistory: boolean): void {
    const unit = this.#unit(row.unit);
    switch (row.kind) {
      case 'descriptor': {
        const low = Number(row.word0 & 0xffff_ffffn);
        const word1 = Number(row.word0 >> 32n);
        unit.executeDescriptor(low, word1, Number(row.word1 & 0xffff_ffffn), Number(row.word1 >> 32n));
        return;
      }
      case 'iotlb_fill':
        if (this.#knows(row.sourceId)) seedFill(unit, row);
        return;
      case 'iotlb_reset':
        if (prehistory) unit.resetIotlb();
        return;
      case 'context_fill':
        if (prehistory && this.#knows(row.sourceId)) {
          // The recorder's table pages are not the model's: the model's own entry is what this requester gets.
          unit.access(row.sourceId as SourceId, 0 as Pasid, 0, 0);
        }
        return;
      case 'fault_record':
        if (row.inWindow === 1) this.#faultRecords++;
        return;
      default:
    }
  }

  #knows(sourceId: number): boolean {
    return this.#bundle.manifest.topology.devices.some(
      (device) => device.sourceId === sourceId || device.aliasIds?.includes(sourceId) === true,
    );
  }

  #unit(index: number): VtdUnit {
    return this.#machine.unitAt(index);
  }

  #onSubmission({ count, words }: Submission): void {
    if (this.#caller === undefined) return;
    const { cpu, sequence } = this.#caller;
    for (let index = 0; index < count; index++) {
      const qword = (at: number): bigint =>
        (BigInt(words[8 * index + 2 * at + 1]! >>> 0) << 32n) | BigInt(words[8 * index + 2 * at]! >>> 0);
      const descriptor: [bigint, bigint, bigint, bigint] = [qword(0), qword(1), qword(2), qword(3)];
      this.#modelled.push({ words: descriptor, cpu, fromSequence: sequence, atSequence: sequence });
    }
  }

  #result(): VerifyResult {
    const { manifest } = this.#bundle;
    const { translations, iotlb, faults } = this.#accesses;
    let earlyReuse = 0;
    for (const api of this.#machine.dmaApis) earlyReuse += api.counters.forcedFlushes;
    const descriptors = this.#lazy
      ? compareLazy(this.#submissions, this.#modelled, earlyReuse, this.#apart)
      : compareInOrder(this.#submissions, this.#modelled, this.#apart);
    const outside = this.#accesses.outside;
    const apart = outside > 0 ? { apart: { outside_window: outside } } : {};
    const checks = {
      translations: translations.result(apart),
      iotlb: iotlb.result(),
      faults: faults.result({ apart: { fault_records: this.#faultRecords } }),
      descriptors,
      pageTables: this.#tables.result(),
    };
    const { inWindow } = this.#accesses;
    const covered = Math.max(0, inWindow - unexplainedAccesses(this.#bundle));
    const share = inWindow === 0 ? 1 : covered / inWindow;
    return {
      schemaVersion: VERIFY_SCHEMA_VERSION,
      bundle: manifest.name,
      kernelProfile: this.#kernelName,
      recorderProfile: this.#recorderName,
      window: { startNs: manifest.time.windowStartNs, endNs: manifest.time.windowEndNs },
      coverage: { inWindow, covered, learned: translations.learned, share },
      checks,
      ...(this.#accesses.rounds.length === 0 ? {} : { rounds: this.#accesses.rounds }),
      pass: share >= REQUIRED_COVERAGE && Object.values(checks).every(({ pass }) => pass),
    };
  }
}

function requireOrigin(bundle: BundleReader, key: 'kernelProfile' | 'recorderProfile'): string {
  const name = bundle.manifest.origin[key];
  if (name !== undefined) return name;
  throw new InputError({ file: bundle.path, reason: `the manifest names no ${key}; say which one to verify with` });
}

/** Row of the last successful detach of each device. */
function lastDetachRows(bundle: BundleReader): Map<number, number> {
  const rows = new Map<number, number>();
  let index = 0;
  for (const row of bundle.stream('control').rows()) {
    if (row.op === 'VFIO_DEVICE_DETACH_IOMMUFD_PT' && row.device !== NONE_U32) rows.set(row.device, index);
    index++;
  }
  return rows;
}

/** Accesses in the window whose page no recorded mapping explains, as the importer counted them. */
function unexplainedAccesses(bundle: BundleReader): number {
  return bundle.manifest.diagnostics
    .filter(({ code }) => code === 'translation_unexplained')
    .reduce((sum, { count }) => sum + count, 0);
}

/** A fill before the window, as the recorder logged it: leaf entry and page. */
function seedFill(unit: VtdUnit, row: HardwareRow): void {
  const leaf = row.word1;
  const pfn = Number((leaf & 0x000f_ffff_ffff_f000n) >> 12n);
  const prot = Number(leaf & 3n);
  unit.seedIotlb(row.sourceId as SourceId, row.domainId, Number(row.word0 >> 12n), row.pageShift, pfn, prot);
}
