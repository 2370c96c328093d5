import { describe, expect, test } from 'vitest';
import { DeviceLinks, LinkTick, type LinkTiming } from '../../../src/hw/device-link.ts';

/** 1 ps a byte, no headers: [ps] are easy to write down. */
const TIMING: LinkTiming = {
  psPerByte: 1,
  maxPayloadBytes: 256,
  maxReadRequestBytes: 512,
  requestHeaderBytes: 10,
  completionHeaderBytes: 20,
  dllpBytes: 0,
  oneWayTicks: 1000,
  memoryReadTicks: 5000,
  memoryWriteTicks: 3000,
  readPortLineTicks: 0,
  readPortLeastTicks: 0,
  readPortDelayTicks: 0,
  requestBytes: [64, 256, 512],
  readWindow: [4, 4, 2],
  writeWindow: [3, 3, 3],
  readIntervalTicks: [0, 100, 0],
  writeIntervalTicks: [0, 0, 0],
  readHoldTicks: [0, 0, 0],
};

function offer(links: DeviceLinks, port: number, bytes: number, notBefore: number): number {
  links.ticks[LinkTick.earliest] = notBefore;
  links.offer(port, bytes);
  return links.ticks[LinkTick.issue] as number;
}

interface Sent {
  issue: number;
  arrival: number;
  done: number;
}

function send(links: DeviceLinks, port: number, bytes: number, notBefore: number, walkTicks = 0): Sent {
  const issue = offer(links, port, bytes, notBefore);
  links.commit(port);
  const arrival = links.ticks[LinkTick.arrival] as number;
  links.ticks[LinkTick.ready] = arrival + walkTicks;
  links.complete(port);
  return { issue, arrival, done: links.ticks[LinkTick.done] as number };
}

describe('reads', () => {
  test('one TLP: up, memory, down', () => {
    expect(send(new DeviceLinks(TIMING, 1, 0), 0, 64, 0)).toEqual({
      issue: 0,
      arrival: 1010,
      done: 1010 + 5000 + 84 + 1000,
    });
  });

  test('the fifth of a window of four waits for the first to complete', () => {
    const links = new DeviceLinks(TIMING, 1, 0);
    const sent = Array.from({ length: 5 }, () => send(links, 0, 64, 0));
    expect(sent.slice(0, 4).map((one) => one.issue)).toEqual([0, 10, 20, 30]);
    expect(sent[4]?.issue).toBe(sent[0]?.done);
  });

  test('the window belongs to the TLP size', () => {
    const links = new DeviceLinks(TIMING, 1, 0);
    const sent = Array.from({ length: 3 }, () => send(links, 0, 512, 0));
    expect(sent[2]?.issue).toBe(sent[0]?.done);
  });

  test('TLPs of a size keep their interval', () => {
    const links = new DeviceLinks(TIMING, 1, 0);
    const sent = Array.from({ length: 3 }, () => send(links, 0, 256, 0));
    expect(sent.map((one) => one.issue)).toEqual([0, 100, 200]);
  });

  test('a slow walk delays only itself', () => {
    const links = new DeviceLinks(TIMING, 1, 0);
    const slow = send(links, 0, 64, 0, 100_000);
    const quick = send(links, 0, 64, 20);
    expect(slow.done).toBe(1010 + 100_000 + 5000 + 84 + 1000);
    // The link down was free for the first at 6010 and is for the second when those 84 bytes would have gone.
    expect(quick.done).toBe(6010 + 84 + 84 + 1000);
  });

  test('a request takes the tag that is free first, whichever request had it', () => {
    const links = new DeviceLinks({ ...TIMING, readWindow: [2, 2, 2] }, 1, 0);
    const slow = send(links, 0, 64, 0, 100_000);
    const quick = send(links, 0, 64, 0);
    const third = send(links, 0, 64, 0);
    expect(third.issue).toBe(quick.done);
    expect(send(links, 0, 64, 0).issue).toBe(third.done);
    expect(third.done).toBeLessThan(slow.done);
  });

  test('the down link carries one completion after another', () => {
    const links = new DeviceLinks({ ...TIMING, readWindow: [64, 64, 64] }, 1, 0);
    const sent = Array.from({ length: 50 }, () => send(links, 0, 64, 0));
    expect((sent[49]?.done ?? 0) - (sent[39]?.done ?? 0)).toBe(10 * 84);
  });
});

describe('writes', () => {
  test('are done when visible, their credit comes back one way later', () => {
    const links = new DeviceLinks(TIMING, 1, 0);
    const sent = Array.from({ length: 4 }, () => send(links, 1, 64, 0));
    expect(sent[0]).toEqual({ issue: 0, arrival: 1074, done: 4074 });
    expect(sent[3]?.issue).toBe(5074);
  });

  test('larger than a payload: cut into TLPs, each with its own credit', () => {
    const links = new DeviceLinks(TIMING, 1, 0);
    const big = send(links, 1, 512, 0);
    expect(big).toEqual({ issue: 0, arrival: 1266, done: 266 + 1266 + 3000 });
    expect(links.tlpCount(1)).toBe(2);
    // Two of three credits are out: one more TLP goes, the next waits for the first.
    expect(send(links, 1, 64, 0).issue).toBe(532);
    expect(send(links, 1, 64, 0).issue).toBe(5532 - 266);
  });
});

test('an interval above the largest size of the table belongs to each such size', () => {
  const timing = { ...TIMING, maxReadRequestBytes: 1024, readWindow: [64, 64, 64], readIntervalTicks: [0, 0, 5000] };
  const links = new DeviceLinks(timing, 1, 0);
  const sent = Array.from({ length: 2 }, () => send(links, 0, 1024, 0));
  expect(sent[1]?.issue).toBe(10_000);
});

test('devices have links of their own; the two directions of one share the wire up', () => {
  const links = new DeviceLinks(TIMING, 2, 0);
  send(links, 1, 256, 0);
  expect(offer(links, 3, 256, 0)).toBe(0);
  expect(offer(links, 0, 64, 0)).toBe(266);
});

test('an aborted request returns its tag after the way back', () => {
  const links = new DeviceLinks({ ...TIMING, readWindow: [1, 1, 1] }, 1, 0);
  offer(links, 0, 64, 0);
  links.commit(0);
  links.ticks[LinkTick.ready] = (links.ticks[LinkTick.arrival] as number) + 500;
  links.abort(0);
  expect(links.ticks[LinkTick.done]).toBe(2510);
  expect(offer(links, 0, 64, 0)).toBe(2510);
});
