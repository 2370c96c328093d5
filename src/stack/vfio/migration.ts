/**
 * Migration states of a VFIO device (enum vfio_device_mig_state) and the step table between them
 * (vfio_mig_get_next_state, Linux drivers/vfio/vfio_main.c).
 */
import { Errno } from '../../errno.ts';

/** VFIO_DEVICE_STATE_*. */
export const MigrationState = {
  error: 0,
  stop: 1,
  running: 2,
  stopCopy: 3,
  resuming: 4,
  runningP2p: 5,
  preCopy: 6,
  preCopyP2p: 7,
} as const;

/** VFIO_MIGRATION_*: what a device supports. */
export const MigrationFlag = { stopCopy: 1, p2p: 2, preCopy: 4 } as const;

const S = MigrationState.stop;
const R = MigrationState.running;
const C = MigrationState.stopCopy;
const M = MigrationState.resuming;
const P = MigrationState.runningP2p;
const O = MigrationState.preCopy;
const Q = MigrationState.preCopyP2p;
const E = MigrationState.error;

/** Flags each state needs, by state number; the error state can never be asked for. */
const NEEDED_FLAGS = [0, 1, 1, 1, 1, 3, 5, 7] as const;

/** First step from one state (row) towards another (column), in state-number order. */
const NEXT_STEP: readonly (readonly number[])[] = [
  [E, E, E, E, E, E, E, E],
  [E, S, P, C, M, P, P, P],
  [E, P, R, P, P, P, O, P],
  [E, S, S, C, S, S, E, E],
  [E, S, S, S, M, S, S, S],
  [E, S, R, S, S, P, R, Q],
  [E, R, R, Q, R, R, O, Q],
  [E, P, P, C, P, P, O, Q],
];

function isSupported(state: number, flags: number): boolean {
  const needed = NEEDED_FLAGS[state];
  return needed !== undefined && state !== MigrationState.error && (needed & ~flags) === 0;
}

function step(from: number, target: number): number {
  return NEXT_STEP[from]?.[target] ?? MigrationState.error;
}

/**
 * The next state on the way from `current` to `target` for a device with these flags; unsupported states in between
 * are skipped. -EINVAL when a state is unknown or unsupported or no way exists.
 */
export function nextMigrationState(current: number, target: number, flags: number): number {
  if (!isSupported(current, flags) || !isSupported(target, flags)) return -Errno.EINVAL;
  let next = step(current, target);
  while (next !== MigrationState.error && !isSupported(next, flags)) next = step(next, target);
  return next === MigrationState.error ? -Errno.EINVAL : next;
}

/** Steps whose driver hands out a stream of device state. */
export function opensStream(from: number, to: number): boolean {
  const saves = from === MigrationState.stop && to === MigrationState.stopCopy;
  const loads = from === MigrationState.stop && to === MigrationState.resuming;
  const preCopies =
    (from === MigrationState.running && to === MigrationState.preCopy) ||
    (from === MigrationState.runningP2p && to === MigrationState.preCopyP2p);
  return saves || loads || preCopies;
}
