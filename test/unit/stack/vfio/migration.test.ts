// Migration states: vfio_mig_get_next_state and VFIO_DEVICE_FEATURE of Linux drivers/vfio/vfio_main.c.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { AddressSpace } from '../../../../src/stack/kernel/address-space.ts';
import { FileTable } from '../../../../src/stack/kernel/file-table.ts';
import { PageFrames } from '../../../../src/stack/kernel/page-frames.ts';
import type { VfioDevice } from '../../../../src/stack/vfio/device.ts';
import { deviceFeature, migratable } from '../../../../src/stack/vfio/features.ts';
import { MigrationFlag, MigrationState, nextMigrationState } from '../../../../src/stack/vfio/migration.ts';

const { stopCopy, p2p, preCopy } = MigrationFlag;
const ALL = stopCopy | p2p | preCopy;
const { stop, running, runningP2p, resuming, error } = MigrationState;
const STOP_COPY = MigrationState.stopCopy;
const PRE_COPY = MigrationState.preCopy;

describe('the next migration state', () => {
  it('goes through peer-to-peer quiescence where the device has it', () => {
    expect(nextMigrationState(running, stop, ALL)).toBe(runningP2p);
    expect(nextMigrationState(running, stop, stopCopy)).toBe(stop);
  });

  it('is undefined from unknown and to unsupported states', () => {
    expect(nextMigrationState(running, error, ALL)).toBe(-Errno.EINVAL);
    expect(nextMigrationState(error, running, ALL)).toBe(-Errno.EINVAL);
    expect(nextMigrationState(running, PRE_COPY, stopCopy)).toBe(-Errno.EINVAL);
    expect(nextMigrationState(running, 9, ALL)).toBe(-Errno.EINVAL);
    expect(nextMigrationState(STOP_COPY, PRE_COPY, ALL)).toBe(-Errno.EINVAL);
  });

  it('reaches every requestable state from every other one but the refused pairs', () => {
    for (const flags of [stopCopy, stopCopy | p2p, ALL]) {
      for (let from = 1; from <= 7; from++) {
        for (let to = 1; to <= 7; to++) {
          let state = from;
          for (let steps = 0; state !== to && state > 0 && steps < 10; steps++) {
            state = nextMigrationState(state, to, flags);
          }
          expect(state === to || state === -Errno.EINVAL, `${from} to ${to} with ${flags}`).toBe(true);
        }
      }
    }
  });
});

describe('VFIO_DEVICE_FEATURE', () => {
  const files = new FileTable();
  const call = (device: unknown, flags: number, argsz = 16, state = 0) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(0, state, true);
    const rc = deviceFeature(
      device as VfioDevice,
      {
        argsz,
        flags,
        readData: () => bytes,
        writeData: (data) => {
          bytes.set(data);
          return 0;
        },
      },
      { files, memory: new AddressSpace(new PageFrames()) },
    );
    const view = new DataView(bytes.buffer);
    return { rc, state: view.getUint32(0, true), fd: view.getInt32(4, true) };
  };
  const [GET, SET, PROBE] = [0x1_0000, 0x2_0000, 0x4_0000];

  it('is ENOTTY without the feature, before any other question', () => {
    expect(call({ driver: {} }, GET | 2).rc).toBe(-Errno.ENOTTY);
    expect(call({ driver: { migration: migratable(ALL) } }, GET | 77).rc).toBe(-Errno.ENOTTY);
  });

  it('checks size, bits and direction', () => {
    const device = { driver: { migration: migratable(ALL) } };
    expect(call(device, GET | 2, 7).rc).toBe(-Errno.EINVAL);
    expect(call(device, 0x8_0000 | GET | 2).rc).toBe(-Errno.EINVAL);
    expect(call(device, GET | SET | 2).rc).toBe(-Errno.EINVAL);
    expect(call(device, SET | 1).rc).toBe(-Errno.EINVAL);
    expect(call(device, PROBE | GET | SET | 2, 8).rc).toBe(0);
    expect(call(device, GET | 2, 15).rc).toBe(-Errno.EINVAL);
    expect(call(device, 2).rc).toBe(-Errno.EINVAL);
  });

  it('hands out a stream where state is saved or loaded', () => {
    const device = { driver: { migration: migratable(ALL) } };
    expect(call(device, SET | 2, 16, stop)).toMatchObject({ rc: 0, fd: -1 });
    expect(call(device, SET | 2, 16, resuming).fd).toBeGreaterThanOrEqual(3);
    expect(call(device, GET | 2)).toMatchObject({ rc: 0, state: resuming, fd: -1 });
  });
});
