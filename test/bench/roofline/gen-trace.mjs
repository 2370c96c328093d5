// Traces of the yardstick: hit (400 hot pages), miss (1 M pages, uniform) and mixed (rings, Zipf data, 2 MiB pages), with
// the radix tables they use. Written for this project's performance study.
//
// record: u32 iova low, u32 iova bits 47:32 | domain << 16, u32 length | write << 31, u32 gap [ns]
// table : page i = 512 entries of (u32 low, u32 high); low = next << 12 | flags (1 present, 0x80 leaf); root of domain d
//         is page d
const DOMAINS = 16;

/** Kinds of traces, in the order in which they are measured. */
export const TRACE_KINDS = ['hit', 'mixed', 'miss'];

/** Number of domains; device d is in domain d. */
export const TRACE_DOMAINS = DOMAINS;

class Tables {
  constructor() {
    this.capacity = 64;
    this.words = new Uint32Array(this.capacity * 1024);
    this.pages = DOMAINS;
    this.frame = 1 << 20;
  }

  page() {
    if (this.pages === this.capacity) {
      this.capacity *= 2;
      const words = new Uint32Array(this.capacity * 1024);
      words.set(this.words);
      this.words = words;
    }
    return this.pages++;
  }

  map(domain, low, high, big) {
    const index = [(high >>> 7) & 511, ((low >>> 30) | (high << 2)) & 511, (low >>> 21) & 511, (low >>> 12) & 511];
    const last = big ? 2 : 3;
    let page = domain;
    for (let level = 0; level < last; level++) {
      const word = page * 1024 + index[level] * 2;
      if ((this.words[word] & 1) === 0) {
        const next = this.page();
        this.words[word] = ((next << 12) | 1) >>> 0;
      }
      page = this.words[word] >>> 12;
    }
    const word = page * 1024 + index[last] * 2;
    if ((this.words[word] & 1) !== 0) return;
    const frame = big ? Math.ceil(this.frame / 512) * 512 : this.frame;
    this.frame = frame + (big ? 512 : 1);
    this.words[word] = ((frame << 12) | (big ? 0x81 : 1)) >>> 0;
    this.words[word + 1] = frame >>> 20;
  }
}

/** Records and tables of one kind of trace. */
export function generateTrace(kind, count) {
  let state = 123456789;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
  const zipf = zipfPicker(65536, 0.9, random);
  const sequence = new Uint32Array(DOMAINS);
  const kinds = {
    hit: { gap: 20, pick: () => [Math.trunc(random() * 4), Math.trunc(random() * 100), false] },
    miss: { gap: 80, pick: () => [Math.trunc(random() * DOMAINS), Math.trunc(random() * 65536), false] },
    mixed: {
      gap: 60,
      pick: (i) => {
        const domain = Math.trunc(i / 3) % DOMAINS;
        const part = i % 3;
        if (part === 0) return [domain, 70000, false];
        if (part === 2) return [domain, 70001, false];
        return domain & 1 ? [domain, zipf(), false] : [domain, (sequence[domain]++ >>> 8) % 64, true];
      },
    },
  };
  const { gap, pick } = kinds[kind];
  const tables = new Tables();
  const records = new Uint32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const [domain, page, big] = pick(i);
    const base = big ? (0x4000 + page) * 0x200000 : 0x7f0000000000 + domain * 0x100000000 + page * 4096;
    const within = big ? (i * 2048) & 0x1fffff : (i * 64) & 0xfff;
    const low = ((base >>> 0) + within) >>> 0;
    const high = Math.floor(base / 4294967296);
    tables.map(domain, low, high, big);
    records[i * 4] = low;
    records[i * 4 + 1] = (high | (domain << 16)) >>> 0;
    records[i * 4 + 2] = (64 | ((i & 1) << 31)) >>> 0;
    records[i * 4 + 3] = gap;
  }
  return { records, tables: tables.words.slice(0, tables.pages * 1024) };
}

function zipfPicker(size, exponent, random) {
  const cumulative = new Float64Array(size);
  let total = 0;
  for (let i = 0; i < size; i++) {
    total += (i + 1) ** -exponent;
    cumulative[i] = total;
  }
  for (let i = 0; i < size; i++) cumulative[i] /= total;
  return () => {
    const target = random();
    let low = 0;
    let high = size - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle] < target) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
