import { expect, test } from 'vitest';
import { PhysicalMemory, TABLE_FRAME_BASE } from '../../../src/hw/memory.ts';

test('frames are numbered densely from the table base', () => {
  const memory = new PhysicalMemory();
  expect(memory.allocFrame()).toBe(TABLE_FRAME_BASE);
  expect(memory.allocContiguous(3)).toBe(TABLE_FRAME_BASE + 1);
  expect(memory.allocFrame()).toBe(TABLE_FRAME_BASE + 4);
  expect(memory.slotOf(TABLE_FRAME_BASE + 4)).toBe(4);
});

test('data pages and frames never handed out have no slot', () => {
  const memory = new PhysicalMemory();
  memory.allocFrame();
  expect(memory.slotOf(0)).toBe(-1);
  expect(memory.slotOf(TABLE_FRAME_BASE + 1)).toBe(-1);
});

test('a frame is reused zeroed, the one freed last first, and keeps its contents until then', () => {
  const memory = new PhysicalMemory();
  const first = memory.allocFrame();
  const second = memory.allocFrame();
  memory.writeWord(second, 5, 0xffff_ffff);
  memory.freeFrame(first);
  memory.freeFrame(second);
  expect(memory.readWord(second, 5)).toBe(0xffff_ffff);
  expect(memory.allocFrame()).toBe(second);
  expect(memory.readWord(second, 5)).toBe(0);
  expect(memory.liveFrames).toBe(1);
});

test('contents survive growth', () => {
  const memory = new PhysicalMemory();
  const frame = memory.allocFrame();
  memory.writeQword(frame, 1022, 1, 2);
  for (let i = 0; i < 500; i++) memory.allocFrame();
  expect([memory.readWord(frame, 1022), memory.readWord(frame, 1023)]).toEqual([1, 2]);
});

test('watchers hear of the next hardware write to their word, once, in order of registration', () => {
  const memory = new PhysicalMemory();
  const frame = memory.allocFrame();
  const heard: string[] = [];
  memory.watch(frame, 7, (value, atTick) => heard.push(`a ${value} ${atTick}`));
  memory.watch(frame, 7, (value, atTick) => heard.push(`b ${value} ${atTick}`));
  memory.writeWord(frame, 7, 1);
  memory.hardwareWrite(frame, 8, 1, 10);
  expect(heard).toEqual([]);
  memory.hardwareWrite(frame, 7, 2, 20);
  memory.hardwareWrite(frame, 7, 3, 30);
  expect(heard).toEqual(['a 2 20', 'b 2 20']);
});
