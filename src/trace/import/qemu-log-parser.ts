/**
 * Turns QEMU's trace log (`-trace ... -D file`) into device events; takes its input in chunks of any size. Line prefixes
 * `thread@seconds.micros:`, an ISO 8601 time, and none at all are recognised.
 */
import { PAGE_SIZE } from '../../address.ts';
import type { DeviceEvent, TranslateEvent } from './device-event.ts';
import type { DiagnosticCounts } from './diagnostics.ts';
import { LineSplitter } from './line-splitter.ts';
import { TextCursor, timesPowerOfTen } from './text-cursor.ts';
import { ascii, decodeText } from './word-table.ts';

/** Everything one device-model log holds. */
export interface DeviceLog {
  readonly file: string;
  readonly events: readonly DeviceEvent[];
  /** [s] Wall-clock second that `timeNs` 0 stands for; NaN when the log has no times. */
  readonly baseSeconds: number;
  readonly lineCount: number;
  readonly eventCount: number;
}

/** [bytes] Submission- and completion-queue entries, NVM Express Base Specification 2.0, 4.1 and 4.6 (CAP-default sizes). */
const NVME_SQ_ENTRY_BYTES = 64;
const NVME_CQ_ENTRY_BYTES = 16;

/** Known names that carry nothing which the events kept do not carry. */
const UNUSED_PREFIXES = ['vtd_', 'pci_nvme_', 'virtio_', 'e1000e_', 'vfio_', 'iommufd_', 'amdvi_', 'smmuv3_'];

const SID = ascii('sid ');
const FAULT = ascii('fault ');
const ADDR = ascii('addr ');
const WRITE = ascii('write ');
const HIGH = ascii('high ');
const LOW = ascii('low ');
const BUS = ascii('bus ');
const DEVFN = ascii('devfn ');
const IOVA = ascii('iova ');
const PTE = ascii('pte ');
const DOMAIN = ascii('domain ');
const DEV = ascii('dev ');
const COLON = ascii(':');
const DOT = ascii('.');
const GPA = ascii('gpa ');
const MASK = ascii('mask ');
const LEN = ascii('len ');
const PA = ascii('PA: ');
const LENGTH = ascii('length: ');
const ADDR_COLON = ascii('addr: ');
const SPACE = ascii(' ');
const COLON_SPACE = ascii(': ');
const ADDR_EQUALS = ascii('addr=');
const QSIZE_EQUALS = ascii('qsize=');

/** A lookup seen, whose `vtd_dmar_translate` is still to come. */
interface PendingLookup {
  readonly thread: number;
  readonly sourceId: number;
  readonly iova: number;
  readonly leaf: number;
  readonly domainId: number;
  readonly outcome: 'hit' | 'fill';
}

/** Names of unused events remembered, at most; a damaged log may hold any number of names. */
const MAX_OTHERS = 1024;

/** Push parser of the log. */
export class QemuLogParser {
  readonly #file: string;
  readonly #diagnostics: DiagnosticCounts;
  readonly #lines = new LineSplitter((bytes, start, end, lineNumber) => this.#line(bytes, start, end, lineNumber));
  readonly #cursor = new TextCursor();
  readonly #events: DeviceEvent[] = [];
  readonly #pending: PendingLookup[] = [];
  readonly #others = new Map<string, 'unused' | 'unknown'>();
  #baseSeconds = Number.NaN;
  #eventCount = 0;
  #thread = 0;
  #timeNs = Number.NaN;
  #lastNs = 0;
  #lineStart = 0;
  #isoText = '';
  #isoSeconds = Number.NaN;

  constructor(file: string, diagnostics: DiagnosticCounts) {
    this.#file = file;
    this.#diagnostics = diagnostics;
  }

  /** Takes the next bytes of the log. */
  feed(chunk: Uint8Array): void {
    this.#lines.feed(chunk);
  }

  /** Ends the log and hands out what it held. */
  end(): DeviceLog {
    this.#lines.end();
    this.#count('lookup_without_translation', 'data-loss', 0, false, this.#pending.length);
    return {
      file: this.#file,
      events: this.#events,
      baseSeconds: this.#baseSeconds,
      lineCount: this.#lines.lineCount,
      eventCount: this.#eventCount,
    };
  }

  #line(bytes: Uint8Array, start: number, end: number, lineNumber: number): void {
    if (start === end) return;
    const cursor = this.#cursor;
    this.#lineStart = start;
    cursor.set(bytes, start, end);
    this.#prefix();
    if (!this.#decode(cursor.word(), lineNumber)) this.#count('malformed_line', 'error', lineNumber, true);
  }

  /** Moves behind the prefix, to the event name. */
  #prefix(): void {
    const cursor = this.#cursor;
    const thread = cursor.decimal();
    if (!Number.isNaN(thread) && cursor.peek() === 64) {
      cursor.at++;
      const seconds = cursor.decimal();
      if (cursor.peek() === 46) {
        const fractionStart = ++cursor.at;
        const fraction = cursor.decimal();
        if (cursor.peek() === 58) {
          this.#stamp(thread, seconds, timesPowerOfTen(fraction, 9 - (cursor.at - fractionStart)));
          cursor.at++;
          return;
        }
      }
    }
    cursor.at = this.#lineStart;
    this.#isoPrefix();
  }

  /** `2026-11-21T08:02:46.123456Z event`, as the common log code writes it. */
  #isoPrefix(): void {
    const cursor = this.#cursor;
    const { bytes, at: start } = cursor;
    if (cursor.end - start < 20 || bytes[start + 4] !== 45 || bytes[start + 10] !== 84) return;
    cursor.skipWord();
    const time = cursor.slice(start, cursor.at);
    const zone = time.indexOf('Z');
    const seconds = zone < 0 || cursor.peek() === 0 ? Number.NaN : this.#unixSeconds(time.slice(0, 19));
    if (Number.isNaN(seconds)) {
      cursor.at = start;
      return;
    }
    const digits = time[19] === '.' ? time.slice(20, zone) : '';
    this.#stamp(0, seconds, Number(digits.padEnd(9, '0').slice(0, 9)));
    cursor.at++;
  }

  /** A log has many lines of one second. */
  #unixSeconds(text: string): number {
    if (text !== this.#isoText) {
      this.#isoText = text;
      this.#isoSeconds = unixSeconds(text);
    }
    return this.#isoSeconds;
  }

  #stamp(thread: number, seconds: number, fractionNs: number): void {
    if (Number.isNaN(this.#baseSeconds)) this.#baseSeconds = seconds;
    this.#thread = thread;
    this.#timeNs = (seconds - this.#baseSeconds) * 1e9 + fractionNs;
    if (this.#timeNs < this.#lastNs) this.#count('time_runs_backwards', 'info', this.#lines.lineCount, false);
    else this.#lastNs = this.#timeNs;
  }

  /** False when the line is not what its event name promises. */
  #decode(name: string, line: number): boolean {
    this.#eventCount++;
    const cursor = this.#cursor;
    switch (name) {
      case 'vtd_iotlb_page_hit':
        return this.#lookup('hit');
      case 'vtd_iotlb_page_update':
        return this.#lookup('fill');
      case 'vtd_dmar_translate':
        return this.#translate(line);
      case 'vtd_dmar_fault': {
        const sourceId = cursor.hexAfter(SID);
        const reason = cursor.decimalAfter(FAULT);
        const iova = cursor.hexAfter(ADDR);
        const write = cursor.decimalAfter(WRITE);
        if (Number.isNaN(write) || Number.isNaN(iova)) return false;
        this.#events.push({ ...this.#at(line), kind: 'fault', sourceId, iova, reason, write: write !== 0 });
        return true;
      }
      case 'vtd_inv_desc':
      case 'vtd_frr_new': {
        const high = cursor.hex64After(HIGH);
        const low = cursor.hex64After(LOW);
        if (high === undefined || low === undefined) return false;
        const kind = name === 'vtd_inv_desc' ? 'descriptor' : 'fault_record';
        this.#events.push({ timeNs: this.#timeNs, thread: this.#thread, line, kind, low, high });
        return true;
      }
      case 'vtd_iotlb_cc_update': {
        const bus = cursor.hexAfter(BUS);
        const devfn = cursor.hexAfter(DEVFN);
        const high = cursor.hex64After(HIGH);
        const low = cursor.hex64After(LOW);
        if (high === undefined || low === undefined || Number.isNaN(devfn)) return false;
        this.#events.push({ ...this.#at(line), kind: 'context_fill', sourceId: bus * 256 + devfn, low, high });
        return true;
      }
      case 'vtd_iotlb_reset':
        this.#events.push({ ...this.#at(line), kind: 'iotlb_reset' });
        return true;
      case 'vtd_context_cache_reset':
        this.#events.push({ ...this.#at(line), kind: 'context_reset' });
        return true;
      case 'vtd_pasid_cache_reset':
        this.#events.push({ ...this.#at(line), kind: 'pasid_cache_reset' });
        return true;
      default:
        return this.#hint(name, line);
    }
  }

  #lookup(outcome: 'hit' | 'fill'): boolean {
    const cursor = this.#cursor;
    const sourceId = cursor.hexAfter(SID);
    const iova = cursor.hexAfter(IOVA);
    const leaf = cursor.hexAfter(PTE);
    const domainId = cursor.hexAfter(DOMAIN);
    if (Number.isNaN(domainId) || Number.isNaN(leaf)) return false;
    this.#pending.push({ thread: this.#thread, sourceId, iova, leaf, domainId, outcome });
    return true;
  }

  /** `dev bb:dd.ff iova 0x.. -> gpa 0x.. mask 0x..` */
  #translate(line: number): boolean {
    const cursor = this.#cursor;
    const bus = cursor.hexAfter(DEV);
    const device = cursor.hexAfter(COLON);
    const fn = cursor.hexAfter(DOT);
    const pageIova = cursor.hexAfter(IOVA);
    const pagePhys = cursor.hexAfter(GPA);
    const mask = cursor.hexAfter(MASK);
    if (Number.isNaN(mask) || Number.isNaN(pagePhys)) return false;
    const sourceId = bus * 256 + device * 8 + fn;
    const pageBytes = mask + 1;
    const lookup = this.#takeLookup(sourceId, pageIova, pageBytes);
    const iova = lookup?.iova ?? pageIova;
    const event: TranslateEvent = {
      timeNs: this.#timeNs,
      thread: this.#thread,
      line,
      kind: 'translate',
      sourceId,
      iova,
      pfn: Math.floor((pagePhys + (iova - pageIova)) / PAGE_SIZE),
      pageShift: Math.round(Math.log2(pageBytes)),
      outcome: lookup?.outcome ?? 'unknown',
      leaf: lookup?.leaf ?? 0,
      domainId: lookup?.domainId ?? 0,
    };
    this.#events.push(event);
    return true;
  }

  /** The lookup that this translation completes: threads may interleave, so the page decides. */
  #takeLookup(sourceId: number, pageIova: number, pageBytes: number): PendingLookup | undefined {
    const pending = this.#pending;
    for (let index = pending.length - 1; index >= 0; index--) {
      const lookup = pending[index] as PendingLookup;
      if (lookup.sourceId !== sourceId || lookup.thread !== this.#thread) continue;
      if (lookup.iova < pageIova || lookup.iova >= pageIova + pageBytes) continue;
      if (index === pending.length - 1) pending.pop();
      else pending.splice(index, 1);
      return lookup;
    }
    return undefined;
  }

  #hint(name: string, line: number): boolean {
    const cursor = this.#cursor;
    switch (name) {
      case 'pci_nvme_map_addr':
        return this.#pushHint('nvme_data', cursor.hexAfter(ADDR), cursor.decimalAfter(LEN), line);
      case 'pci_nvme_read':
        return this.#pushHint('nvme_read', 0, 0, line);
      case 'pci_nvme_write':
        return this.#pushHint('nvme_write', 0, 0, line);
      case 'pci_nvme_admin_cmd':
        return this.#pushHint('nvme_admin', 0, 0, line);
      case 'pci_nvme_create_sq':
        return this.#pushQueue('nvme_sq', NVME_SQ_ENTRY_BYTES, line);
      case 'pci_nvme_create_cq':
        return this.#pushQueue('nvme_cq', NVME_CQ_ENTRY_BYTES, line);
      case 'e1000e_rx_descr':
        return this.#pushHint('e1000e_rx_descriptor', cursor.hexAfter(PA), cursor.decimalAfter(LENGTH), line);
      case 'e1000e_rx_desc_buff_write':
        return this.#pushHint('e1000e_rx_data', cursor.hexAfter(ADDR_COLON), cursor.decimalAfter(LENGTH), line);
      case 'e1000e_tx_descr': {
        // `address : command-and-length status`: the low 20 bits of the second word are the length (82574 7.2.10.2.1).
        const iova = cursor.hexAfter(SPACE);
        const command = cursor.hexAfter(COLON_SPACE);
        return this.#pushHint('e1000e_tx_data', iova, command % 2 ** 20, line);
      }
      default:
        return this.#other(name, line);
    }
  }

  /** An event that is not decoded. */
  #other(name: string, line: number): boolean {
    let known = this.#others.get(name);
    if (known === undefined) {
      if (!/^[a-z][a-z0-9_]*$/.test(name)) return false;
      known = UNUSED_PREFIXES.some((prefix) => name.startsWith(prefix)) ? 'unused' : 'unknown';
      if (this.#others.size < MAX_OTHERS) this.#others.set(name, known);
    }
    if (known === 'unknown') this.#count('unknown_event', 'data-loss', line, true);
    return true;
  }

  #pushQueue(hint: 'nvme_sq' | 'nvme_cq', entryBytes: number, line: number): boolean {
    const iova = this.#cursor.hexAfter(ADDR_EQUALS);
    const entriesMinusOne = this.#cursor.decimalAfter(QSIZE_EQUALS);
    return this.#pushHint(hint, iova, (entriesMinusOne + 1) * entryBytes, line);
  }

  #pushHint(hint: (DeviceEvent & { kind: 'hint' })['hint'], iova: number, bytes: number, line: number): boolean {
    if (Number.isNaN(iova) || Number.isNaN(bytes)) return false;
    this.#events.push({ timeNs: this.#timeNs, thread: this.#thread, line, kind: 'hint', hint, iova, bytes });
    return true;
  }

  #at(line: number): { readonly timeNs: number; readonly thread: number; readonly line: number } {
    return { timeNs: this.#timeNs, thread: this.#thread, line };
  }

  #count(code: string, severity: 'info' | 'data-loss' | 'error', line: number, withText: boolean, amount = 1): void {
    if (amount === 0 || this.#diagnostics.again(code, amount)) return;
    const text = withText ? decodeText(this.#cursor.bytes, this.#lineStart, this.#cursor.end) : '';
    this.#diagnostics.count(code, severity, { file: this.#file, line, text }, amount);
  }
}

/** Seconds since 1970 of a UTC time `yyyy-mm-ddThh:mm:ss` in the Gregorian calendar; NaN when it is none. */
function unixSeconds(text: string): number {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)$/.exec(text);
  if (match === null) return Number.NaN;
  const [year, month, day, hours, minutes, seconds] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  // Years that begin in March put the leap day last.
  const marchYear = month > 2 ? year : year - 1;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const days = 365 * marchYear + leapDays + dayOfYear - DAYS_TO_1970;
  return ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
}

/** Days from 1 March of year 0 to 1 January 1970. */
const DAYS_TO_1970 = 719_468;
