/**
 * Every shipped profile against closed forms of its own numbers: what one request takes when nothing else is under way, and
 * how far apart requests complete when everything is (hardware.md 5.3: bound = min(link, tags * size / latency,
 * walkers * bytes a miss / walk)). The forms are written from the profile's values; none of the unit's code is used.
 */
import { describe, expect, test } from 'vitest';
import { HARDWARE_PROFILE_NAMES, hardwareProfile } from '../../src/hw/profiles/registry.ts';
import type { VtdConfig } from '../../src/hw/vtd/config.ts';
import { DeviceUnderTest, descriptors, type TestDma, type TestOutcome } from '../support/device-under-test.ts';

const PROFILES = HARDWARE_PROFILE_NAMES.filter((name) => hardwareProfile(name).kind === 'vtd');
const SIZES: readonly number[] = [64, 128, 256, 512];
const DID = 7;
/** Regions of 2 MiB in use: within every profile's paging-structure caches. */
const REGIONS = 8;
const LEVELS = 4;
/** Legacy entries: root and context. */
const CONTEXT_READS = 2;
const T0 = 100_000;

interface Warm {
  readonly dut: DeviceUnderTest;
  /** Reads of a walk in a known region. */
  readonly walkReads: number;
  /** Pages nobody has touched yet, region by region. */
  readonly fresh: readonly number[];
}

/** A unit of the profile with warm context and table pointers. */
function warm(name: string): Warm {
  const { config } = hardwareProfile(name);
  const dut = new DeviceUnderTest({ config: () => config });
  const table = dut.table(LEVELS);
  const fresh: number[] = [];
  for (let index = 0; index < 511; index++) {
    for (let region = 0; region < REGIONS; region++) {
      table.map(region * 512 + index, 0x10000 + region * 512 + index);
      if (index > 0) fresh.push(region * 512 + index);
    }
  }
  dut.contexts.setLegacy(dut.sourceIds[0] as number, table, DID);
  dut.run(Array.from({ length: REGIONS }, (_, region) => ({ page: region * 512, at: region * 4000 })));
  const walkReads = config.pagingCaches[2] === undefined ? LEVELS : 1;
  return { dut, walkReads, fresh };
}

/** [ps] Parts of a request of one TLP, from the profile. */
function parts(config: VtdConfig, bytes: number, write: boolean) {
  const { link, translation } = config;
  const row = Math.max(
    0,
    link.requestBytes.findIndex((limit) => bytes <= limit),
  );
  const wire = (count: number): number => Math.round(count * link.psPerByte);
  const tlps = Math.ceil(bytes / (write ? link.maxPayloadBytes : link.maxReadRequestBytes));
  const perTlp = Math.min(bytes, write ? link.maxPayloadBytes : link.maxReadRequestBytes);
  const completions = write ? 0 : Math.ceil(bytes / link.maxPayloadBytes);
  const up = wire(link.requestHeaderBytes + (write ? perTlp : link.dllpBytes));
  const down = wire(bytes + completions * link.completionHeaderBytes + tlps * link.dllpBytes);
  const interval = (write ? link.writeIntervalTicks : link.readIntervalTicks)[row] as number;
  return {
    tlps,
    up,
    down: write ? 0 : down,
    interval: Math.max(Math.round(interval / tlps), up),
    /** From arrival at the unit, translated at once, to completion at the device or visibility. */
    memory: write ? link.memoryWriteTicks : link.memoryReadTicks + down + link.oneWayTicks,
    /** From completion to the tag or credit being free. */
    hold: write ? link.oneWayTicks : (link.readHoldTicks[row] as number),
    window: (write ? link.writeWindow : link.readWindow)[row] as number,
    /** A walk and the lines of a read at the port to memory. */
    port:
      translation.walkIntervalTicks +
      (write ? 0 : Math.max(Math.ceil(bytes / 64) * link.readPortLineTicks, tlps * link.readPortLeastTicks)),
  };
}

function ticks(ns: number): number {
  return Math.round(ns * 1000);
}

describe.each(PROFILES)('%s, nothing else under way', (name) => {
  const { config } = hardwareProfile(name);
  const { translation } = config;
  const walk = (reads: number): number => translation.walkFixedTicks + reads * translation.walkReadTicks;

  test.each(SIZES.flatMap((bytes) => [false, true].map((write) => ({ bytes, write }))))(
    '$bytes bytes, write $write: a cold request, a miss, a hit',
    ({ bytes, write }) => {
      const form = parts(config, bytes, write);
      // APPROX of the form: further TLPs of a request follow the first at the device's pace.
      const followers = (form.tlps - 1) * form.interval;
      const { dut, walkReads, fresh } = warm(name);
      const check = (outcome: TestOutcome, expected: TestOutcome['outcome'], translated: number): void => {
        expect(outcome.outcome).toBe(expected);
        expect(ticks(outcome.arrive - outcome.issue)).toBe(form.up + config.link.oneWayTicks);
        expect(ticks(outcome.ready - outcome.arrive)).toBe(translated);
        const last = Math.max(translated, followers + translation.hitTicks);
        const done = ticks(outcome.done - outcome.arrive);
        // Completions of a request of several TLPs leave as their data come.
        if (form.tlps === 1) expect(done).toBe(last + form.memory);
        else expect(done).toBeGreaterThanOrEqual(last + (write ? form.memory : config.link.memoryReadTicks));
        expect(done).toBeLessThanOrEqual(last + form.memory + followers);
      };
      const page = fresh[0] as number;
      check(dut.issue({ page, at: T0, bytes, write }), 'miss', walk(walkReads));
      check(dut.issue({ page, at: 2 * T0, bytes, write }), 'hit', translation.hitTicks);
      const cold = new DeviceUnderTest({ config: () => config });
      const table = cold.table(LEVELS);
      table.map(page, 1);
      cold.contexts.setLegacy(cold.sourceIds[0] as number, table, DID);
      const first = cold.issue({ page, at: T0, bytes, write });
      expect(first.reads).toBe(CONTEXT_READS + LEVELS);
      check(first, 'miss', walk(CONTEXT_READS + LEVELS));
    },
  );
});

/** Rows `from` .. `to` of a run: past its start, and a whole number of windows, since requests come in bursts of one. */
function steady(outcomes: readonly TestOutcome[], window: number): { readonly from: number; readonly to: number } {
  const from = Math.floor(outcomes.length / 3);
  return { from, to: from + Math.floor((outcomes.length - 1 - from) / window) * window };
}

/** [ps] Mean distance of completions once everything is full. */
function spacing(outcomes: readonly TestOutcome[], window: number): number {
  const { from, to } = steady(outcomes, window);
  const done = outcomes.map((outcome) => outcome.done).sort((a, b) => a - b);
  return (((done[to] as number) - (done[from] as number)) * 1000) / (to - from);
}

/** [requests] Mean number under way, from issue until the tag is back. */
function underWay(outcomes: readonly TestOutcome[], window: number, holdTicks: number): number {
  const { from, to } = steady(outcomes, window);
  const held = outcomes
    .slice(from, to)
    .reduce((sum, outcome) => sum + (outcome.done - outcome.issue) * 1000 + holdTicks, 0);
  return held / (((outcomes[to] as TestOutcome).issue - (outcomes[from] as TestOutcome).issue) * 1000);
}

describe.each(PROFILES)('%s, saturated', (name) => {
  const { config } = hardwareProfile(name);
  const { translation } = config;

  test.each(
    SIZES.flatMap((bytes) => [false, true].flatMap((write) => [false, true].map((hit) => ({ bytes, write, hit })))),
  )('$bytes bytes, write $write, hits $hit: the tightest bound decides', ({ bytes, write, hit }) => {
    const form = parts(config, bytes, write);
    const { dut, walkReads, fresh } = warm(name);
    const pages = hit ? fresh.map(() => fresh[0] as number) : fresh;
    if (hit) dut.issue({ page: fresh[0] as number, at: T0 / 2 });
    const rows = pages.slice(0, 3000).map((page): TestDma => ({ page, bytes, write, at: T0 }));
    const outcomes = dut.run(rows);
    const walk = translation.walkFixedTicks + walkReads * translation.walkReadTicks;
    const busy = walk + translation.busyExtraTicks;
    const translated = hit ? translation.hitTicks : walk;
    // Further TLPs wait for the same translation, so each is away for less by what it came later.
    const later = hit ? 0 : (form.tlps - 1) * form.interval;
    const roundTrip = form.up + config.link.oneWayTicks + translated + form.memory + form.hold - later;
    const bounds = {
      link: Math.max(form.interval * form.tlps, form.down),
      window: (roundTrip * form.tlps) / form.window,
      walkers: hit ? 0 : busy / translation.walkers,
      port: hit ? 0 : form.port,
      region: hit || !translation.serialiseRegion ? 0 : busy / REGIONS,
    };
    const bound = Math.max(...Object.values(bounds));
    const period = Math.floor(form.window / form.tlps);
    const measured = spacing(outcomes, period);
    // Several TLPs of one request have their tags back one by one: their windows overlap.
    const slack = form.tlps === 1 ? 0.004 : 0.02;
    expect(measured / bound, JSON.stringify(bounds)).toBeGreaterThan(1 - slack);
    expect(measured / bound, JSON.stringify(bounds)).toBeLessThan(1 + slack);
    // Little: no more under way than the device has tags or credits.
    expect((underWay(outcomes, period, form.hold) * form.tlps) / form.window).toBeLessThan(
      form.tlps === 1 ? 1.01 : 1.1,
    );
  });
});

test.each(PROFILES)(
  '%s: n invalidations and a wait take doorbell, fetch, n executions and the status write',
  (name) => {
    const { config } = hardwareProfile(name);
    const { doorbellTicks, fetchTicks, executeTicks, statusTicks } = config.queue;
    for (const count of [1, 3, 16]) {
      const dut = new DeviceUnderTest({ config: () => config });
      const list = Array.from({ length: count }, () => descriptors.iotlbDomain(DID));
      const handle = dut.submit(T0, list);
      dut.settle();
      const expected = doorbellTicks + fetchTicks + count * executeTicks + statusTicks;
      expect(ticks(handle.doneNs as number) - T0 * 1000).toBe(expected);
    }
  },
);
