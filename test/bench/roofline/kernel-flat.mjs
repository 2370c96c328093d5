// The yardstick kernel of roof.cpp in JavaScript, written for this project's performance study: what hand-flattened code
// over one Int32Array reaches, for comparison with the replay core.
// Hand-flattened kernel: all caches in ONE Int32Array, one way = 4 consecutive words
// (k0,k1,stamp,value), cache loops written out, state kept in a Float64Array, and the
// caller hands it chunks so the optimized entry is used instead of on-stack replacement.
const L_HIT = 2, L_PSC = 5, L_MEM = 50, L_PCIE = 450, CHUNK = 16384;
function step(rec, o, end, tab, C, hist, F, shift, W4, B2, B3, B4) {
  let hits = 0, misses = 0, reads = 0, faults = 0, bytes = 0, latSum = 0, now = F[5] | 0, t = F[4];
  let w0 = F[0], w1 = F[1], w2 = F[2], w3 = F[3];
  for (; o < end; o = (o + 4) | 0) {
    const lo = rec[o], hid = rec[o + 1], hi = hid & 0xffff, dom = hid >>> 16; t += rec[o + 3]; now = (now + 1) | 0;
    const a = (lo >>> 12) | (hi << 20), b = (dom << 8) | 0x10 | (hi >>> 12);
    let lat = L_HIT, s1 = 0, hit = 0;
    { let h = Math.imul(a, 0x9E3779B1) ^ Math.imul(b, 0x85EBCA6B); h ^= h >>> 15; h = Math.imul(h, 0x2C1B3C6D); s1 = Math.imul(h >>> shift, W4); }
    for (let i = s1, e = (s1 + W4) | 0; i < e; i = (i + 4) | 0) if (C[i] === a && C[i + 1] === b) { C[i + 2] = now; hit = 1; break; }
    if (hit === 0) {
      const a2 = (lo >>> 21) | (hi << 11), b2 = (dom << 8) | 0x20; let s2 = 0;
      { let h = Math.imul(a2, 0x9E3779B1) ^ Math.imul(b2, 0x85EBCA6B); h ^= h >>> 15; h = Math.imul(h, 0x2C1B3C6D); s2 = Math.imul(h >>> shift, W4); }
      for (let i = s2, e = (s2 + W4) | 0; i < e; i = (i + 4) | 0) if (C[i] === a2 && C[i + 1] === b2) { C[i + 2] = now; hit = 1; break; }
      if (hit === 0) {
        misses = (misses + 1) | 0; let p = dom, lev = 4, svc = L_PSC; const d1 = (dom + 1) | 0, a3 = (lo >>> 30) | (hi << 2), a4 = hi >>> 7;
        let p2 = 0, p3 = 0, p4 = 0;
        { let h = Math.imul(a2, 0x9E3779B1) ^ Math.imul(d1, 0x85EBCA6B); h ^= h >>> 15; h = Math.imul(h, 0x2C1B3C6D); p2 = (B2 + ((h >>> 28) << 4)) | 0; }
        for (let i = p2, e = (p2 + 16) | 0; i < e; i = (i + 4) | 0) if (C[i] === a2 && C[i + 1] === d1) { C[i + 2] = now; p = C[i + 3]; lev = 1; break; }
        if (lev !== 1) {
          { let h = Math.imul(a3, 0x9E3779B1) ^ Math.imul(d1, 0x85EBCA6B); h ^= h >>> 15; h = Math.imul(h, 0x2C1B3C6D); p3 = (B3 + ((h >>> 29) << 4)) | 0; }
          for (let i = p3, e = (p3 + 16) | 0; i < e; i = (i + 4) | 0) if (C[i] === a3 && C[i + 1] === d1) { C[i + 2] = now; p = C[i + 3]; lev = 2; break; }
          if (lev !== 2) {
            { let h = Math.imul(a4, 0x9E3779B1) ^ Math.imul(d1, 0x85EBCA6B); h ^= h >>> 15; h = Math.imul(h, 0x2C1B3C6D); p4 = (B4 + ((h >>> 30) << 4)) | 0; }
            for (let i = p4, e = (p4 + 16) | 0; i < e; i = (i + 4) | 0) if (C[i] === a4 && C[i + 1] === d1) { C[i + 2] = now; p = C[i + 3]; lev = 3; break; }
          }
        }
        let fs = -1, fa = 0, fb = 0, x = 0;
        while (true) {
          const ix = lev === 1 ? (lo >>> 12) & 511 : lev === 2 ? a2 & 511 : lev === 3 ? a3 & 511 : a4 & 511;
          x = tab[((p << 10) + (ix << 1)) | 0]; svc = (svc + L_MEM) | 0; reads = (reads + 1) | 0;
          if ((x & 1) === 0) { faults = (faults + 1) | 0; break; }
          if (lev === 1) { fs = s1; fa = a; fb = b; break; }
          if ((x & 0x80) !== 0) { fs = s2; fa = a2; fb = b2; break; }
          p = x >>> 12;
          let s = 0, k = 0; if (lev === 2) { s = p2; k = a2; } else if (lev === 3) { s = p3; k = a3; } else { s = p4; k = a4; }
          let v = s, m = C[s + 2]; for (let i = (s + 4) | 0, e = (s + 16) | 0; i < e; i = (i + 4) | 0) { const q = C[i + 2]; if (q < m) { m = q; v = i; } }
          C[v] = k; C[v + 1] = d1; C[v + 2] = now; C[v + 3] = p; lev = (lev - 1) | 0;
        }
        if (fs >= 0) { let v = fs, m = C[fs + 2]; for (let i = (fs + 4) | 0, e = (fs + W4) | 0; i < e; i = (i + 4) | 0) { const q = C[i + 2]; if (q < m) { m = q; v = i; } } C[v] = fa; C[v + 1] = fb; C[v + 2] = now; C[v + 3] = x; }
        let m = w0, k = 0; if (w1 < m) { k = 1; m = w1; } if (w2 < m) { k = 2; m = w2; } if (w3 < m) { k = 3; m = w3; }
        const s = m > t ? m : t, f = s + svc; if (k === 0) w0 = f; else if (k === 1) w1 = f; else if (k === 2) w2 = f; else w3 = f;
        lat = (lat + ((s - t) | 0) + svc + 2 * L_PCIE) | 0;
      }
    }
    if (hit !== 0) hits = (hits + 1) | 0;
    bytes += rec[o + 2] & 0x7fffffff; latSum += lat;
    let bk = lat; if (lat >= 16) { const z = (31 - Math.clz32(lat)) | 0; bk = ((z - 3) << 4) + ((lat >>> (z - 4)) & 15); }
    hist[bk]++;
  }
  F[0] = w0; F[1] = w1; F[2] = w2; F[3] = w3; F[4] = t; F[5] = now; F[6] += hits; F[7] += misses; F[8] += reads; F[9] += faults; F[10] += bytes; F[11] += latSum;
}
export function replay(rec, from, n, tab, entries, ways) {
  const sets = entries / ways, bits = Math.log2(sets), W4 = ways * 4, B2 = entries * 4, B3 = B2 + 256, B4 = B3 + 128;
  const C = new Int32Array(B4 + 64), hist = new Uint32Array(512), F = new Float64Array(16);
  let o = from * 4; const end = o + n * 4;
  while (o < end) { const e = Math.min(end, o + CHUNK * 4); step(rec, o, e, tab, C, hist, F, 32 - bits, W4, B2, B3, B4); o = e; }
  let ck = 0; for (let i = 0; i < 512; i++) ck = (Math.imul(ck, 31) + hist[i]) >>> 0;
  return { hits: F[6], misses: F[7], reads: F[8], faults: F[9], bytes: F[10], lat: F[11], hist: ck };
}
