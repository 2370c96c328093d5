/**
 * VFIO_DEVICE_FEATURE: the common part and the migration features (Linux drivers/vfio/vfio_main.c). Features that a
 * device does not have are ENOTTY.
 */
import { Errno } from '../../errno.ts';
import { FileReferences } from '../kernel/file-references.ts';
import type { FileTable, OpenFile } from '../kernel/file-table.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import { MigrationState, nextMigrationState, opensStream } from './migration.ts';

/** Bits of the flags word. */
const INDEX_MASK = 0xffff;
const GET = 1 << 16;
const SET = 1 << 17;
const PROBE = 1 << 18;
/** [bytes] argsz and flags. */
const HEADER_BYTES = 8;

/** VFIO_DEVICE_FEATURE_* of this file. */
const MIGRATION = 1;
const MIG_DEVICE_STATE = 2;

/** The command; the data follows its header in user memory. */
export interface DeviceFeatureCommand {
  /** [bytes] Header and data. */
  readonly argsz: number;
  readonly flags: number;
  /** Reads data bytes; undefined = EFAULT. */
  readonly readData: (lengthBytes: number) => Uint8Array | undefined;
  /** Writes data bytes back; 0 or -EFAULT. */
  readonly writeData: (bytes: Uint8Array) => number;
}

/** Migration support of a device and its state. */
export interface MigrationDevice {
  /** MigrationFlag bits. */
  readonly flags: number;
  state: number;
}

/** A stream of device state. Its contents are not modelled. */
class MigrationStream implements OpenFile {
  readonly file = new FileReferences(noRelease);
}

function* noRelease(): KernelTask<void> {
  yield 0;
}

/** vfio_check_feature: 1 = go on, else the result. */
function checkFeature(command: DeviceFeatureCommand, supported: number, minDataBytes: number): number {
  if ((command.flags & (GET | SET) & ~supported) !== 0) return -Errno.EINVAL;
  if ((command.flags & PROBE) !== 0) return 0;
  if ((command.flags & (GET | SET)) === 0) return -Errno.EINVAL;
  return command.argsz - HEADER_BYTES < minDataBytes ? -Errno.EINVAL : 1;
}

function getMigration(migration: MigrationDevice, command: DeviceFeatureCommand): number {
  const checked = checkFeature(command, GET, 8);
  if (checked !== 1) return checked;
  const data = new DataView(new ArrayBuffer(8));
  data.setBigUint64(0, BigInt(migration.flags), true);
  return command.writeData(new Uint8Array(data.buffer));
}

/** struct vfio_device_feature_mig_state. */
function stateBytes(state: number, dataFd: number): Uint8Array {
  const data = new DataView(new ArrayBuffer(8));
  data.setUint32(0, state, true);
  data.setInt32(4, dataFd, true);
  return new Uint8Array(data.buffer);
}

/** Walks to the target; whether the last step opened a stream, or errno with the state where the walk stopped. */
function walkTo(migration: MigrationDevice, target: number): boolean | number {
  let stream = false;
  do {
    const next = nextMigrationState(migration.state, target, migration.flags);
    if (next < 0) return next;
    stream = opensStream(migration.state, next);
    migration.state = next;
  } while (migration.state !== target);
  return stream;
}

function migrationState(migration: MigrationDevice, command: DeviceFeatureCommand, files: FileTable): number {
  const checked = checkFeature(command, GET | SET, 8);
  if (checked !== 1) return checked;
  if ((command.flags & GET) !== 0) return command.writeData(stateBytes(migration.state, -1));
  const asked = command.readData(8);
  if (asked === undefined) return -Errno.EFAULT;
  const target = new DataView(asked.buffer, asked.byteOffset, 8).getUint32(0, true);
  const stream = walkTo(migration, target);
  let dataFd = -1;
  let error = typeof stream === 'number' ? stream : 0;
  if (stream === true) {
    dataFd = files.install(new MigrationStream());
    if (dataFd < 0) {
      error = dataFd;
      dataFd = -1;
    }
  }
  const written = command.writeData(stateBytes(target, dataFd));
  return error !== 0 ? error : written;
}

/**
 * vfio_ioctl_device_feature. Errors in check order: EINVAL argsz or unknown bits; EINVAL both GET and SET without PROBE;
 * ENOTTY feature not there; EINVAL direction not supported; 0 for a probe; EINVAL no direction or no room; the
 * feature's own.
 */
export function deviceFeature(device: VfioDevice, command: DeviceFeatureCommand, files: FileTable): number {
  if (command.argsz < HEADER_BYTES) return -Errno.EINVAL;
  const { flags } = command;
  if ((flags & ~(INDEX_MASK | GET | SET | PROBE)) !== 0) return -Errno.EINVAL;
  if ((flags & PROBE) === 0 && (flags & GET) !== 0 && (flags & SET) !== 0) return -Errno.EINVAL;
  const { migration } = device.driver;
  switch (flags & INDEX_MASK) {
    case MIGRATION:
      return migration === undefined ? -Errno.ENOTTY : getMigration(migration, command);
    case MIG_DEVICE_STATE:
      return migration === undefined ? -Errno.ENOTTY : migrationState(migration, command, files);
    default:
      return -Errno.ENOTTY;
  }
}

/** A device that can migrate, running. */
export function migratable(flags: number): MigrationDevice {
  return { flags, state: MigrationState.running };
}
