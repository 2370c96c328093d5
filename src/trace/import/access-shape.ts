/**
 * Size and direction of each DMA of a device-model log. The log's translation line has neither; they are inferred from,
 * in this order, the control log's own requests to the device, what the device model says about the access, the mapping's
 * direction and extent, the permissions of the leaf entry. What nothing tells is a read of {@link SMALLEST_BYTES}.
 */
import { PAGE_SIZE } from '../../address.ts';
import { DmaDirection } from '../schema/control-ops.ts';
import { DmaProvenance } from '../schema/dma-stream.ts';
import type { ControlCall } from './control-call.ts';
import type { AccessHintEvent, FaultEvent, TranslateEvent } from './device-event.ts';

/** [bytes] A PCIe memory request moves at least one doubleword (PCI Express Base Specification 2.2.5). */
export const SMALLEST_BYTES = 4;
/** [bytes] Queue-entry sizes, NVM Express Base Specification 2.0, 4.1 and 4.6. */
const NVME_SQ_ENTRY_BYTES = 64;
const NVME_CQ_ENTRY_BYTES = 16;
/** [bytes] Receive descriptor of the 82574 and its write-back status field. */
const E1000E_STATUS_BYTES = 4;

/** Size and direction of one access. */
export interface AccessShape {
  /** [bytes] */
  readonly bytes: number;
  readonly write: boolean;
  /** {@link DmaProvenance} bits. */
  readonly provenance: number;
}

/** How often nothing told the size or direction. */
export interface UnknownShapes {
  size: number;
  direction: number;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** A range that a device said it would access. */
interface DataSpan extends Span {
  readonly write: boolean | undefined;
}

/** State of the hints of one log; feed it hints and accesses in log order. */
export class AccessShapes {
  readonly unknown: UnknownShapes = { size: 0, direction: 0 };
  #submissionQueues: Span[] = [];
  #completionQueues: Span[] = [];
  /** Data ranges of the NVMe command being run. */
  #commandData: DataSpan[] = [];
  /** Direction of that command; undefined for an administrative one. */
  #commandWrites: boolean | undefined;
  /** Frame data that the network device said it would access next. */
  #frameData: DataSpan | undefined;
  /** Receive descriptor being filled. */
  #receiveDescriptor = -1;

  /** Takes a hint. */
  hint({ hint, iova, bytes }: AccessHintEvent): void {
    const span = { start: iova, end: iova + bytes };
    switch (hint) {
      case 'nvme_sq':
        this.#submissionQueues = withSpan(this.#submissionQueues, span);
        return;
      case 'nvme_cq':
        this.#completionQueues = withSpan(this.#completionQueues, span);
        return;
      case 'nvme_read':
      case 'nvme_write':
      case 'nvme_admin':
        // A command that reads the medium writes memory.
        this.#commandWrites = hint === 'nvme_admin' ? undefined : hint === 'nvme_read';
        this.#commandData = [];
        return;
      case 'nvme_data':
        this.#commandData.push({ ...span, write: this.#commandWrites });
        return;
      case 'e1000e_rx_data':
        this.#frameData = { ...span, write: true };
        return;
      case 'e1000e_tx_data':
        this.#frameData = { ...span, write: false };
        return;
      case 'e1000e_rx_descriptor':
        this.#receiveDescriptor = iova;
        return;
    }
  }

  /** Shape of a faulted access: the log has its direction; a fault is logged for each doubleword. */
  ofFault(fault: FaultEvent): AccessShape {
    return { bytes: SMALLEST_BYTES, write: fault.write, provenance: DmaProvenance.sizeInferred };
  }

  /** Shape of a translated access. `mapping` is the DMA-API call that mapped the page, `request` a logged device request. */
  ofTranslation(
    access: TranslateEvent,
    mapping: ControlCall | undefined,
    request: ControlCall | undefined,
  ): AccessShape {
    const { iova } = access;
    const toPageEnd = PAGE_SIZE - (iova % PAGE_SIZE);
    const known = directionOfCall(request) ?? directionOfLeaf(access.leaf) ?? directionOfCall(mapping);
    let write = known;
    let bytes = request === undefined ? Number.NaN : Number(request.iova) + Number(request.length) - iova;
    // Hints name no device: another device's buffer at the same IOVA is told by a direction that cannot be.
    const fits = (hinted: boolean | undefined): boolean =>
      known === undefined || hinted === undefined || hinted === known;
    const data = this.#dataAt(iova);
    if (Number.isNaN(bytes) && data !== undefined && fits(data.write)) {
      bytes = data.end - iova;
      write = data.write ?? write;
    }
    if (Number.isNaN(bytes)) {
      const queued = this.#ofQueue(iova);
      if (queued !== undefined && fits(queued.write)) {
        bytes = queued.bytes;
        write = queued.write;
      } else if (mapping !== undefined && mapping.op === 'dma_map') {
        bytes = Number(mapping.iova) + Number(mapping.length) - iova;
      }
    }
    if (!(bytes > 0)) {
      bytes = SMALLEST_BYTES;
      this.unknown.size++;
    }
    if (write === undefined) this.unknown.direction++;
    return {
      bytes: Math.min(bytes, toPageEnd),
      write: write ?? false,
      provenance: DmaProvenance.sizeInferred | DmaProvenance.directionInferred,
    };
  }

  #dataAt(iova: number): DataSpan | undefined {
    const holds = ({ start, end }: DataSpan): boolean => iova >= start && iova < end;
    const frame = this.#frameData;
    return frame !== undefined && holds(frame) ? frame : this.#commandData.find(holds);
  }

  #ofQueue(iova: number): { readonly bytes: number; readonly write: boolean } | undefined {
    if (within(this.#submissionQueues, iova)) return { bytes: NVME_SQ_ENTRY_BYTES, write: false };
    if (within(this.#completionQueues, iova)) return { bytes: NVME_CQ_ENTRY_BYTES, write: true };
    const intoDescriptor = iova - this.#receiveDescriptor;
    // The device writes back the descriptor it took last, then its status.
    if (intoDescriptor === 0) return { bytes: 16, write: true };
    if (intoDescriptor === 8) return { bytes: E1000E_STATUS_BYTES, write: true };
    return undefined;
  }
}

/** `undefined` when the call does not tell. */
function directionOfCall(call: ControlCall | undefined): boolean | undefined {
  if (call === undefined || (call.op !== 'dma_map' && call.op !== 'device_dma')) return undefined;
  if (call.flags === DmaDirection.fromDevice) return true;
  return call.flags === DmaDirection.toDevice ? false : undefined;
}

/** A leaf that allows one direction only tells it; bits 0 and 1 are R and W (VT-d spec 9.8). */
function directionOfLeaf(leaf: number): boolean | undefined {
  const permissions = leaf % 4;
  if (permissions === 2) return true;
  return permissions === 1 ? false : undefined;
}

/** A queue created at the address of an older one replaces it. */
function withSpan(spans: readonly Span[], span: Span): Span[] {
  return [...spans.filter(({ start, end }) => end <= span.start || start >= span.end), span];
}

function within(spans: readonly Span[], iova: number): boolean {
  return spans.some(({ start, end }) => iova >= start && iova < end);
}
