/**
 * Packets of many tenants as HyperSIO's simulator plays them (src/sioperf/include/sioperf.tcc): one packet a slot of the
 * link, tenants in turn, three translations a packet (ring, data, mailbox), a packet is dropped when the translation queue
 * is full. The queue's depth counts translations and is looked at once a packet.
 */
import type { VtdConfig } from '../../hw/vtd/config.ts';
import { NEVER, TICKS_PER_NS } from '../../units.ts';
import { BareTable, openBareUnit } from './bare-unit.ts';

const PACKET_BYTES = 1542;
/** [ns] 1542 bytes at 200 Gb/s, whole nanoseconds as there. */
const SLOT_NS = 61;
const TRANSLATIONS = 3;
/** Pages of each of the three kinds, used in turn. */
const PAGES_EACH = 16;
/** [4 KiB pages] Tenants lie 1 GiB apart. */
const TENANT_PAGES = 0x4_0000;
const FIRST_PAGE = 0x10_0000;

/** [Gb/s] Rate of packets translated; every tenant's pages differ. */
export function measureTenantPackets(
  config: VtdConfig,
  { tenants, packets, queue }: { readonly tenants: number; readonly packets: number; readonly queue: number },
): number {
  const first = new BareTable();
  const tables = Array.from({ length: tenants }, (_, tenant) => (tenant === 0 ? first : new BareTable(first.memory)));
  for (const [tenant, table] of tables.entries()) {
    for (let page = 0; page < TRANSLATIONS * PAGES_EACH; page++)
      table.map(FIRST_PAGE + tenant * TENANT_PAGES + page, 0);
  }
  const unit = openBareUnit(config, tables, true);
  const { input, results: out } = unit.columns(TRANSLATIONS);
  input.bytes.fill(64);
  let inFlight: number[] = [];
  let slot = 0;
  for (let packet = 0; packet < packets; slot++) {
    const tick = slot * SLOT_NS * TICKS_PER_NS;
    inFlight = inFlight.filter((done) => done > tick);
    if (inFlight.length >= queue) continue;
    const tenant = packet % tenants;
    const round = Math.floor(packet / tenants);
    for (let row = 0; row < TRANSLATIONS; row++) {
      const page = FIRST_PAGE + tenant * TENANT_PAGES + row * PAGES_EACH + (round % PAGES_EACH);
      input.notBefore[row] = tick;
      input.device[row] = tenant;
      input.iova[2 * row] = (page * 4096) % 4294967296;
      input.iova[2 * row + 1] = Math.floor(page / 1048576);
    }
    unit.translate(input, 0, TRANSLATIONS, NEVER, out);
    for (let row = 0; row < TRANSLATIONS; row++) inFlight.push(out.doneTick[row]!);
    packet++;
  }
  return (packets * PACKET_BYTES * 8) / (slot * SLOT_NS);
}
