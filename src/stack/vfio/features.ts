/**
 * VFIO_DEVICE_FEATURE: dispatch, migration and VF token (Linux drivers/vfio/vfio_main.c). Features that a
 * device does not have are ENOTTY.
 */
import { Errno } from '../../errno.ts';
import { FileReferences } from '../kernel/file-references.ts';
import type { FileTable, OpenFile } from '../kernel/file-table.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { VfioDevice } from './device.ts';
import { reportLogging, startLogging, stopLogging } from './dma-logging.ts';
import {
  checkFeature,
  DeviceFeature,
  type DeviceFeatureCommand,
  FEATURE_HEADER_BYTES,
  type FeatureCaller,
  FeatureFlag,
} from './feature-command.ts';
import { MigrationState, nextMigrationState, opensStream } from './migration.ts';
import type { TokenState } from './vf-token.ts';

/** [bytes] A UUID. */
const TOKEN_BYTES = 16;

/** Migration support of a device and its state. */
export interface MigrationDevice {
  /** MigrationFlag bits. */
  readonly flags: number;
  state: number;
  /** [bytes] What a stop-copy stream would hold now; absent = 0. */
  readonly stopCopyBytes?: bigint;
}

/** A stream of device state. Its contents are not modelled. */
class MigrationStream implements OpenFile {
  readonly file = new FileReferences(noRelease);
}

function* noRelease(): KernelTask<void> {
  yield 0;
}

function getMigration(migration: MigrationDevice, command: DeviceFeatureCommand): number {
  const checked = checkFeature(command, FeatureFlag.get, 8);
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

function migrationDataSize(migration: MigrationDevice, command: DeviceFeatureCommand): number {
  const checked = checkFeature(command, FeatureFlag.get, 8);
  if (checked !== 1) return checked;
  const data = new DataView(new ArrayBuffer(8));
  data.setBigUint64(0, migration.stopCopyBytes ?? 0n, true);
  return command.writeData(new Uint8Array(data.buffer));
}

function migrationState(migration: MigrationDevice, command: DeviceFeatureCommand, files: FileTable): number {
  const checked = checkFeature(command, FeatureFlag.get | FeatureFlag.set, 8);
  if (checked !== 1) return checked;
  if ((command.flags & FeatureFlag.get) !== 0) return command.writeData(stateBytes(migration.state, -1));
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
export function deviceFeature(device: VfioDevice, command: DeviceFeatureCommand, caller: FeatureCaller): number {
  const { get, set, probe, indexMask } = FeatureFlag;
  if (command.argsz < FEATURE_HEADER_BYTES) return -Errno.EINVAL;
  const { flags } = command;
  if ((flags & ~(indexMask | get | set | probe)) !== 0) return -Errno.EINVAL;
  if ((flags & probe) === 0 && (flags & get) !== 0 && (flags & set) !== 0) return -Errno.EINVAL;
  const { migration, lowPower, ownTokens } = device.driver;
  switch (flags & indexMask) {
    case DeviceFeature.migration:
      return migration === undefined ? -Errno.ENOTTY : getMigration(migration, command);
    case DeviceFeature.migDeviceState:
      return migration === undefined ? -Errno.ENOTTY : migrationState(migration, command, caller.files);
    case DeviceFeature.migDataSize:
      return migration === undefined ? -Errno.ENOTTY : migrationDataSize(migration, command);
    case DeviceFeature.dmaLoggingStart:
      return startLogging(device, command, caller);
    case DeviceFeature.dmaLoggingStop:
      return stopLogging(device, command);
    case DeviceFeature.dmaLoggingReport:
      return reportLogging(device, command, caller);
    case DeviceFeature.lowPowerEntry:
      return lowPower === undefined ? -Errno.ENOTTY : lowPower.enter(command);
    case DeviceFeature.lowPowerEntryWithWakeup:
      return lowPower === undefined ? -Errno.ENOTTY : lowPower.enterWithWakeup(command, caller);
    case DeviceFeature.lowPowerExit:
      return lowPower === undefined ? -Errno.ENOTTY : lowPower.exit(command);
    case DeviceFeature.pciVfToken:
      return ownTokens === undefined ? -Errno.ENOTTY : setToken(ownTokens, command);
    default:
      return -Errno.ENOTTY;
  }
}

/** vfio_pci_core_feature_token: the secret that openers of VFs must show. */
function setToken(tokens: TokenState, command: DeviceFeatureCommand): number {
  const checked = checkFeature(command, FeatureFlag.set, TOKEN_BYTES);
  if (checked !== 1) return checked;
  const token = command.readData(TOKEN_BYTES);
  if (token === undefined) return -Errno.EFAULT;
  tokens.token = token.slice();
  return 0;
}

/** A device that can migrate, running. */
export function migratable(flags: number): MigrationDevice {
  return { flags, state: MigrationState.running };
}
