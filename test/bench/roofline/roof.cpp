// Yardstick for the speed of the replay core: one replay kernel written without any generality, in C++. It is not the
// model. Written for this project's performance study and shared by its variants; kernel-flat.mjs is the same in
// JavaScript. Records and tables come from gen-trace.mjs, both print the same counts for the same trace.
// Reference replay kernel. usage: roof DIR NAME ENTRIES WAYS THREADS PASSES
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <chrono>
#include <thread>
#include <vector>
#include <string>
#include <time.h>
typedef uint32_t u32; typedef uint64_t u64;
struct Rec { u32 lo, hid, len, gap; };
struct Cache { // set-associative, exact LRU by stamp, two-word tags
  u32 ways, shift; std::vector<u32> k0, k1, st, v0, v1;
  Cache(u32 entries, u32 w) : ways(w), k0(entries), k1(entries), st(entries), v0(entries), v1(entries) {
    u32 sets = entries / w, b = 0; while ((1u << b) < sets) b++; shift = 32 - b; }
  inline u32 set(u32 a, u32 b) const { u32 h = a * 0x9E3779B1u ^ b * 0x85EBCA6Bu; h ^= h >> 15; h *= 0x2C1B3C6Du; return shift == 32 ? 0 : (h >> shift) * ways; }
  inline int find(u32 a, u32 b, u32 now) { u32 s = set(a, b); for (u32 i = s, e = s + ways; i < e; i++) if (k0[i] == a && k1[i] == b) { st[i] = now; return (int)i; } return -1; }
  inline void fill(u32 a, u32 b, u32 x, u32 y, u32 now) { u32 s = set(a, b), v = s, m = st[s]; for (u32 i = s + 1, e = s + ways; i < e; i++) if (st[i] < m) { m = st[i]; v = i; } k0[v] = a; k1[v] = b; v0[v] = x; v1[v] = y; st[v] = now; }
};
static double cpu() { timespec q; clock_gettime(CLOCK_THREAD_CPUTIME_ID, &q); return q.tv_sec + q.tv_nsec * 1e-9; }
struct Result { double cpu = 0; u64 hits = 0, misses = 0, reads = 0, faults = 0, bytes = 0; double lat = 0, end = 0; u32 hist[512] = {0}; };
static inline u32 bucket(u32 v) { if (v < 16) return v; u32 e = 31 - __builtin_clz(v); return ((e - 3) << 4) + ((v >> (e - 4)) & 15); }
enum { L_HIT = 2, L_PSC = 5, L_MEM = 50, L_PCIE = 450 };
static Result replay(const Rec* r, size_t n, const u32* tab, u32 entries, u32 ways) {
  Cache tlb(entries, ways), c2(64, 4), c3(32, 4), c4(16, 4); Result R; u32 now = 0; double t = 0; double w[4] = {0, 0, 0, 0};
  for (size_t i = 0; i < n; i++) {
    u32 lo = r[i].lo, hid = r[i].hid, len = r[i].len, hi = hid & 0xffff, dom = hid >> 16; t += r[i].gap; now++;
    u32 a = lo >> 12 | hi << 20, b = dom << 8 | 0x10 | hi >> 12, lat = L_HIT;
    u32 a2 = lo >> 21 | hi << 11, b2 = dom << 8 | 0x20;
    if (tlb.find(a, b, now) >= 0 || tlb.find(a2, b2, now) >= 0) R.hits++;
    else {
      R.misses++; u32 p, lev, d1 = dom + 1, a3 = lo >> 30 | hi << 2, a4 = hi >> 7; int h; u32 svc = L_PSC;
      if ((h = c2.find(a2, d1, now)) >= 0) { p = c2.v0[h]; lev = 1; }
      else if ((h = c3.find(a3, d1, now)) >= 0) { p = c3.v0[h]; lev = 2; }
      else if ((h = c4.find(a4, d1, now)) >= 0) { p = c4.v0[h]; lev = 3; }
      else { p = dom; lev = 4; }
      for (;;) {
        u32 ix = lev == 1 ? (lo >> 12) & 511 : lev == 2 ? a2 & 511 : lev == 3 ? a3 & 511 : a4 & 511;
        const u32* e = tab + (size_t)p * 1024 + ix * 2; u32 x = e[0]; svc += L_MEM; R.reads++;
        if (!(x & 1)) { R.faults++; break; }
        if (lev == 1) { tlb.fill(a, b, x, e[1], now); break; }
        if (x & 0x80) { tlb.fill(a2, b2, x, e[1], now); break; }
        p = x >> 12;
        if (lev == 2) c2.fill(a2, d1, p, 0, now); else if (lev == 3) c3.fill(a3, d1, p, 0, now); else c4.fill(a4, d1, p, 0, now);
        lev--;
      }
      int k = 0; if (w[1] < w[k]) k = 1; if (w[2] < w[k]) k = 2; if (w[3] < w[k]) k = 3;
      double s = w[k] > t ? w[k] : t; w[k] = s + svc; lat += (u32)(s - t) + svc + 2 * L_PCIE;
    }
    R.bytes += len & 0x7fffffff; R.lat += lat; R.hist[bucket(lat)]++;
  }
  R.end = t; return R;
}
static std::vector<char> slurp(std::string f) { FILE* h = fopen(f.c_str(), "rb"); if (!h) exit(2); fseek(h, 0, SEEK_END); long n = ftell(h); rewind(h); std::vector<char> b(n); if (fread(b.data(), 1, n, h) != (size_t)n) exit(2); fclose(h); return b; }
int main(int c, char** v) {
  std::string d = v[1], nm = v[2]; u32 E = atoi(v[3]), W = atoi(v[4]); int T = atoi(v[5]), P = atoi(v[6]);
  auto tr = slurp(d + "/" + nm + ".trace"), tb = slurp(d + "/" + nm + ".table"); size_t n = tr.size() / 16; const Rec* r = (const Rec*)tr.data(); const u32* tab = (const u32*)tb.data();
  for (int p = 0; p < P; p++) {
    auto t0 = std::chrono::steady_clock::now(); std::vector<Result> R(T); std::vector<std::thread> th; size_t step = n / T;
    for (int i = 0; i < T; i++) { auto f = [&, i] { double c0 = cpu(); R[i] = replay(r + i * step, step, tab, E, W); R[i].cpu = cpu() - c0; }; if (T == 1) f(); else th.emplace_back(f); }
    for (auto& x : th) x.join();
    double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count(); u64 H = 0, M = 0, Q = 0; double L = 0, cp = 0; u32 ck = 0;
    for (auto& x : R) { H += x.hits; M += x.misses; Q += x.reads; L += x.lat; cp += x.cpu; for (int i = 0; i < 512; i++) ck = ck * 31 + x.hist[i]; }
    printf("cpp %s pass %d %.2f Mdma/s cpu %.2f hits %lu misses %lu reads %lu lat %.0f hist %u\n", nm.c_str(), p, n / s / 1e6, n / cp / 1e6, H, M, Q, L, ck);
  }
}
