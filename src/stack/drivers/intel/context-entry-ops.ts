/**
 * Setting up and clearing legacy context entries, once for every requester id of a device (Linux
 * domain_context_mapping, domain_context_clear of drivers/iommu/intel/iommu.c).
 */
import type { Pfn, SourceId } from '../../../address.ts';
import { LegacyContext, TranslationType } from '../../../hw/vtd/layout.ts';
import type { KernelTask } from '../../kernel/task.ts';
import {
  clearPresent,
  contextPlace,
  type EntryPlace,
  isPresent,
  type LegacyContextFields,
  legacyDomainId,
  writeLegacyContext,
  zeroEntry,
} from './context-table.ts';
import { DescriptorBatch, pushContextDevice } from './descriptors.ts';
import type { DeviceInfo } from './device-info.ts';
import type { IntelUnit } from './intel-unit.ts';
import { chargeEntryWrite, submitDeviceTlb, submitIotlbDomain } from './pasid-entry-ops.ts';

/** What a device's context entries are to say. */
export interface ContextTarget {
  readonly did: number;
  /** Root and levels of the second-stage table; absent = pass-through. */
  readonly table: { readonly root: Pfn; readonly levels: number } | undefined;
}

/**
 * Writes the entries of all requester ids. One that is present already (a sibling's alias) is left alone. Caching mode:
 * context cache and IOTLB must forget the absent entry, with domain id 0 as the tag of what was not present.
 */
export function* setupContextEntries(info: DeviceInfo, target: ContextTarget): KernelTask<void> {
  const unit = info.unit;
  for (const sourceId of info.device.sourceIds) {
    const place = contextPlace(unit, sourceId, true) as EntryPlace;
    if (isPresent(unit.memory, place)) continue;
    writeLegacyContext(unit.memory, place, contextFields(info, target));
    unit.noteEntry(sourceId, 0, 'setup');
    yield* chargeEntryWrite(unit);
    if (unit.caps.cachingMode) {
      yield* submitContext(unit, 0, sourceId);
      yield* submitIotlbDomain(unit, target.did);
    } else {
      yield* unit.flushWriteBuffer();
    }
  }
}

/**
 * Clears the entries of all requester ids, each with its own flushes (domain_context_clear_one). As in the kernel, the
 * entry is not asked whether it is present (a sibling may have cleared a shared alias: then the flushes carry domain id
 * 0), and the context-cache descriptor names the device itself, also for an alias.
 */
export function* clearContextEntries(info: DeviceInfo): KernelTask<void> {
  const unit = info.unit;
  const ownId = info.device.sourceIds[0] as SourceId;
  for (const sourceId of info.device.sourceIds) {
    const place = contextPlace(unit, sourceId, false);
    if (place === undefined) continue;
    const did = legacyDomainId(unit.memory, place);
    clearPresent(unit.memory, place);
    unit.noteEntry(sourceId, 0, 'clear_present');
    yield* chargeEntryWrite(unit);
    yield* submitContext(unit, did, ownId);
    yield* submitIotlbDomain(unit, did);
    yield* submitDeviceTlb(info, 0);
    zeroEntry(unit.memory, place, LegacyContext.words);
    unit.noteEntry(sourceId, 0, 'zero');
    yield* chargeEntryWrite(unit);
  }
}

/**
 * Rewrites present entries with one 128-bit store each, then flushes with the old domain id: what a hitless RID replace
 * does in legacy mode. Absent entries are set up.
 */
export function* replaceContextEntries(info: DeviceInfo, target: ContextTarget): KernelTask<void> {
  const unit = info.unit;
  for (const sourceId of info.device.sourceIds) {
    const place = contextPlace(unit, sourceId, true) as EntryPlace;
    const oldDid = isPresent(unit.memory, place) ? legacyDomainId(unit.memory, place) : undefined;
    writeLegacyContext(unit.memory, place, contextFields(info, target));
    unit.noteEntry(sourceId, 0, oldDid === undefined ? 'setup' : 'rewrite');
    yield* chargeEntryWrite(unit);
    if (oldDid !== undefined) {
      yield* submitContext(unit, oldDid, sourceId);
      yield* submitIotlbDomain(unit, oldDid);
      yield* submitDeviceTlb(info, 0);
    } else if (unit.caps.cachingMode) {
      yield* submitContext(unit, 0, sourceId);
      yield* submitIotlbDomain(unit, target.did);
    } else {
      yield* unit.flushWriteBuffer();
    }
  }
}

function contextFields(info: DeviceInfo, target: ContextTarget): LegacyContextFields {
  const { did, table } = target;
  if (table === undefined) {
    const addressWidth = info.unit.caps.levels - 2;
    return { did, addressWidth, translationType: TranslationType.passThrough, tableRoot: undefined };
  }
  const translationType = info.atsSupported ? TranslationType.devIotlb : TranslationType.multiLevel;
  return { did, addressWidth: table.levels - 2, translationType, tableRoot: table.root };
}

function* submitContext(unit: IntelUnit, did: number, sourceId: SourceId): KernelTask<void> {
  const batch = new DescriptorBatch(1);
  pushContextDevice(batch, did, sourceId);
  yield* unit.queue.submit(batch);
}
