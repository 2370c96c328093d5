/**
 * Joins the control log with ftrace: a logged call is the ioctl that its thread entered next with the right command
 * number, and what happened in that thread up to the exit is its effect. Effects outside any ioctl are those of closing
 * the files at the end.
 */
import { PAGE_SIZE } from '../../address.ts';
import { NONE_U32 } from '../schema/column-type.ts';
import { CONTROL_OPS, type ControlOp, DmaDirection } from '../schema/control-ops.ts';
import { type ControlCall, controlCall, type FrameRun, joinFrames } from './control-call.ts';
import { addressField, type ControlLogCall, numberField, textField } from './control-log-parser.ts';
import type { DeviceIndex } from './device-index.ts';
import type { DiagnosticCounts } from './diagnostics.ts';
import type { GuestEvent, GuestEventOf } from './guest-event.ts';

/** ioctl numbers: Linux include/uapi/linux/iommufd.h (type ';', base 0x80), vfio.h (base 100 = 0x64). */
const COMMANDS: Readonly<Record<string, number>> = {
  IOMMU_DESTROY: 0x3b80,
  IOMMU_IOAS_ALLOC: 0x3b81,
  IOMMU_IOAS_COPY: 0x3b83,
  IOMMU_IOAS_MAP: 0x3b85,
  IOMMU_IOAS_UNMAP: 0x3b86,
  IOMMU_HWPT_ALLOC: 0x3b89,
  IOMMU_HWPT_SET_DIRTY_TRACKING: 0x3b8b,
  IOMMU_HWPT_GET_DIRTY_BITMAP: 0x3b8c,
  VFIO_SET_IOMMU: 0x3b66,
  VFIO_GROUP_SET_CONTAINER: 0x3b68,
  VFIO_GROUP_UNSET_CONTAINER: 0x3b69,
  VFIO_GROUP_GET_DEVICE_FD: 0x3b6a,
  VFIO_IOMMU_MAP_DMA: 0x3b71,
  VFIO_IOMMU_UNMAP_DMA: 0x3b72,
  VFIO_DEVICE_BIND_IOMMUFD: 0x3b76,
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: 0x3b77,
  VFIO_DEVICE_DETACH_IOMMUFD_PT: 0x3b78,
};

/** Ops of the control log that are requests to the device itself. */
const DEVICE_REQUESTS = new Set(['edu_dma', 'edu_dma_deferred']);

/** An event of a thread with its index. */
export interface ThreadEvent {
  readonly index: number;
  readonly event: GuestEvent;
}

/** Files that logged calls refer to: the log names none, so the latest opened of each kind is meant. */
interface OpenFiles {
  context: number;
  device: number;
}

/** An ioctl seen in ftrace. */
interface SeenIoctl {
  readonly enter: ThreadEvent;
  readonly command: number;
  readonly effects: ThreadEvent[];
  taken: boolean;
}

/** FIXED_IOVA | WRITEABLE | READABLE of IOMMU_IOAS_MAP and IOMMU_IOAS_COPY. */
const MAP_FIXED_READ_WRITE = 7;

/** Calls that change which page table a device uses. */
const SWITCHES: ReadonlySet<string> = new Set([
  'VFIO_DEVICE_BIND_IOMMUFD',
  'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
  'VFIO_DEVICE_DETACH_IOMMUFD_PT',
]);

/** Builds control calls from logged calls and the guest events of their threads. */
export class SystemCallJoiner {
  readonly calls: ControlCall[] = [];
  readonly #devices: DeviceIndex;
  readonly #diagnostics: DiagnosticCounts;
  readonly #files: OpenFiles = { context: NONE_U32, device: NONE_U32 };
  readonly #open = new Map<number, SeenIoctl>();
  readonly #seen = new Map<number, SeenIoctl[]>();
  readonly #threads = new Set<number>();
  /** Effects outside any ioctl, of threads that make ioctls. */
  readonly #outside: ThreadEvent[] = [];
  #contexts = 0;

  constructor(devices: DeviceIndex, diagnostics: DiagnosticCounts) {
    this.#devices = devices;
    this.#diagnostics = diagnostics;
  }

  /** Takes the event at `index`; true when it belongs to a system call of a user-space driver. */
  push(event: GuestEvent, index: number): boolean {
    switch (event.kind) {
      case 'ioctl_enter': {
        const ioctl: SeenIoctl = { enter: { index, event }, command: event.command, effects: [], taken: false };
        this.#threads.add(event.thread);
        this.#open.set(event.thread, ioctl);
        const same = this.#seen.get(event.command);
        if (same === undefined) this.#seen.set(event.command, [ioctl]);
        else same.push(ioctl);
        return true;
      }
      case 'ioctl_exit':
        this.#open.delete(event.thread);
        return true;
      case 'map':
      case 'unmap':
      case 'flush':
      case 'submit':
      case 'attach':
      case 'tag_assign':
      case 'tag_unassign': {
        const open = this.#open.get(event.thread);
        if (open !== undefined) open.effects.push({ index, event });
        else if (this.#threads.has(event.thread)) this.#outside.push({ index, event });
        return open !== undefined || this.#threads.has(event.thread);
      }
      default:
        return false;
    }
  }

  /** Effects of the running ioctl that are not its own: an interrupt's DMA-API call in the same thread. */
  release(event: GuestEventOf<'dma_map' | 'dma_alloc' | 'dma_unmap' | 'dma_free'>): ThreadEvent[] {
    const effects = this.#open.get(event.thread)?.effects ?? [];
    const [first] = event.kind === 'dma_map' ? event.ranges : [event];
    const kind = event.kind === 'dma_map' || event.kind === 'dma_alloc' ? 'map' : 'unmap';
    const end = (first?.iova ?? 0) + (first?.bytes ?? 0);
    const released: ThreadEvent[] = [];
    for (let at = effects.length - 1; at >= 0 && first !== undefined; at--) {
      const { event: effect } = effects[at] as ThreadEvent;
      const floor = Math.floor(first.iova / PAGE_SIZE) * PAGE_SIZE;
      if (effect.kind !== kind || effect.iova < floor || effect.iova >= end) continue;
      released.unshift(...effects.splice(at, 1));
    }
    return released;
  }

  /**
   * Makes calls of `logged`; `positionOf` places a call that ftrace does not show. `alone`: there is no ftrace, so calls
   * missing there are no anomaly, and the log's markers count.
   */
  join(
    file: string,
    logged: readonly ControlLogCall[],
    positionOf: (timeNs: number) => number,
    { alone }: { readonly alone: boolean },
  ): void {
    for (const call of logged) {
      if (call.op === 'marker' && !alone) continue;
      const command = COMMANDS[call.op];
      const seen = command === undefined ? undefined : this.#take(command, call);
      if (command !== undefined && seen === undefined && !alone) {
        this.#diagnostics.count('logged_call_not_traced', 'info', { file, line: call.line, text: call.op });
      }
      this.#emit(file, call, seen, positionOf);
    }
    this.#countUnlogged();
    this.#close();
  }

  #take(command: number, call: ControlLogCall): SeenIoctl | undefined {
    const candidates = this.#seen.get(command) ?? [];
    // The trace clock may print whole microseconds.
    const found = candidates.find(
      ({ taken, enter }) =>
        !taken && enter.event.timeNs > call.timeNs - 2000 && enter.event.timeNs <= call.timeNs + call.durationNs,
    );
    if (found !== undefined) found.taken = true;
    return found;
  }

  #emit(
    file: string,
    logged: ControlLogCall,
    seen: SeenIoctl | undefined,
    positionOf: (timeNs: number) => number,
  ): void {
    const { op, timeNs, durationNs, result, fields } = logged;
    const known = DEVICE_REQUESTS.has(op) ? 'device_dma' : CONTROL_OPS.find((name) => name === op);
    if (known === undefined) {
      this.#diagnostics.count('unknown_event', 'data-loss', { file, line: logged.line, text: op });
      return;
    }
    // A switch of page tables counts from its first invalidation: until then the device uses the old table, however much
    // of the new one is filled already.
    const switched = SWITCHES.has(op) ? seen?.effects.find(({ event }) => event.kind === 'submit') : undefined;
    const first = switched ?? seen?.effects[0] ?? seen?.enter;
    const call = controlCall({
      op: known,
      position: first?.index ?? positionOf(timeNs),
      timeNs,
      cpu: first?.event.cpu ?? 0,
      thread: first?.event.thread ?? 0,
      result,
      durationNs,
      iova: addressField(fields, 'iova') ?? 0,
      length: addressField(fields, 'length') ?? 0,
      frames: framesOf(seen?.effects ?? []),
      submits: (seen?.effects ?? []).filter(({ event }) => event.kind === 'submit').map(({ index }) => index),
    });
    this.#arguments(call, known, fields);
    this.calls.push(call);
  }

  /** Fills in what the op's own fields say. */
  #arguments(call: ControlCall, op: ControlOp, fields: Readonly<Record<string, unknown>>): void {
    const number = (name: string): number => numberField(fields, name) ?? NONE_U32;
    call.flags = numberField(fields, 'flags') ?? 0;
    call.pasid = number('pasid');
    call.context = this.#files.context;
    switch (op) {
      case 'open_iommufd':
        this.#files.context = this.#contexts++;
        call.context = this.#files.context;
        break;
      case 'open_cdev':
        this.#files.device = this.#devices.byName(textField(fields, 'bdf') ?? '');
        call.device = this.#files.device;
        call.context = NONE_U32;
        break;
      case 'IOMMU_IOAS_ALLOC':
        call.recordedObject = number('ioas_id');
        break;
      case 'IOMMU_IOAS_MAP':
        call.object = number('ioas_id');
        call.userAddress = addressField(fields, 'user_va') ?? 0;
        break;
      case 'IOMMU_IOAS_UNMAP':
        call.object = number('ioas_id');
        break;
      case 'IOMMU_IOAS_COPY':
        call.object = number('dst');
        call.target = number('src');
        call.userAddress = addressField(fields, 'src_iova') ?? addressField(fields, 'iova') ?? 0;
        // ASSUMPTION: a copy logged without flags gave full access; without READABLE or WRITEABLE it would have failed.
        if (!Object.hasOwn(fields, 'flags')) call.flags = MAP_FIXED_READ_WRITE;
        break;
      case 'IOMMU_HWPT_ALLOC':
        call.object = number('pt_id');
        call.target = number('dev_id');
        call.recordedObject = number('hwpt_id');
        call.device = this.#files.device;
        break;
      case 'IOMMU_DESTROY':
        call.object = number('id');
        break;
      case 'VFIO_DEVICE_BIND_IOMMUFD':
        call.recordedObject = number('devid');
        call.device = this.#files.device;
        break;
      case 'VFIO_DEVICE_ATTACH_IOMMUFD_PT':
        call.target = number('pt_id');
        call.recordedObject = number('out_pt_id');
        call.device = this.#files.device;
        break;
      case 'VFIO_DEVICE_DETACH_IOMMUFD_PT':
        call.device = this.#files.device;
        break;
      case 'marker':
        call.context = NONE_U32;
        call.text = textField(fields, 'text') ?? '';
        break;
      case 'device_dma':
        call.device = this.#files.device;
        call.context = NONE_U32;
        call.length = numberField(fields, 'len') ?? 0;
        call.flags = textField(fields, 'dir') === 'to_ram' ? DmaDirection.fromDevice : DmaDirection.toDevice;
        call.text = JSON.stringify(fields);
        break;
      default:
        call.object = number('id');
        call.device = this.#files.device;
        break;
    }
  }

  #countUnlogged(): void {
    for (const seen of this.#seen.values()) {
      for (const { taken, effects, enter } of seen) {
        if (taken) continue;
        const code = effects.length > 0 ? 'ioctl_with_effects_not_logged' : 'ioctl_not_logged';
        const severity = effects.length > 0 ? 'data-loss' : 'info';
        const { event } = enter;
        const text = event.kind === 'ioctl_enter' ? `command 0x${event.command.toString(16)}` : '';
        this.#diagnostics.count(code, severity, { file: 'ftrace', text });
      }
    }
  }

  /** Closing: first the device's file, which gives the group back to its default domain, then the iommufd. */
  #close(): void {
    const [first] = this.#outside;
    const last = this.#outside.at(-1);
    if (first === undefined || last === undefined) return;
    const { cpu, thread, timeNs } = first.event;
    const submits = this.#outside.filter(({ event }) => event.kind === 'submit').map(({ index }) => index);
    const at = { op: 'close', position: first.index, timeNs, cpu, thread, result: 0 } as const;
    if (this.#files.device !== NONE_U32) {
      this.calls.push(controlCall({ ...at, device: this.#files.device, submits }));
    }
    if (this.#files.context !== NONE_U32) {
      this.calls.push(
        controlCall({ ...at, position: last.index, timeNs: last.event.timeNs, context: this.#files.context }),
      );
    }
  }
}

function framesOf(effects: readonly ThreadEvent[]): FrameRun[] {
  const frames: FrameRun[] = [];
  for (const { event } of effects) {
    if (event.kind !== 'map') continue;
    frames.push({ iovaPfn: event.iova / PAGE_SIZE, pfn: event.phys / PAGE_SIZE, pageCount: event.bytes / PAGE_SIZE });
  }
  return joinFrames(frames);
}
