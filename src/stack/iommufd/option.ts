/** IOMMU_OPTION: account mode of a context, large pages of an IOAS. Source: Linux drivers/iommu/iommufd/{main,ioas}.c. */
import { Errno } from '../../errno.ts';
import type { Process } from '../kernel/process.ts';
import type { KernelTask } from '../kernel/task.ts';
import type { IommufdContext } from './context.ts';
import { Ioas } from './ioas.ts';

/** enum iommufd_option. */
const OptionId = { rlimitMode: 0, hugePages: 1 } as const;
/** enum iommufd_option_ops. */
const OptionOp = { set: 0, get: 1 } as const;

/** The command. */
export interface OptionCommand {
  readonly optionId: number;
  readonly op: number;
  readonly reserved: number;
  readonly objectId: number;
  /** In for SET, out for GET. */
  value: bigint;
}

/** EOPNOTSUPP (reserved, option, op, object), EPERM, EBUSY, ENOENT, EINVAL, EADDRINUSE. */
export function* option(context: IommufdContext, process: Process, command: OptionCommand): KernelTask<number> {
  if (command.reserved !== 0) return -Errno.EOPNOTSUPP;
  if (command.optionId === OptionId.rlimitMode) return rlimitMode(context, process, command);
  if (command.optionId !== OptionId.hugePages) return -Errno.EOPNOTSUPP;
  const ioas = context.objects.acquire(command.objectId, Ioas);
  if (ioas === undefined) return -Errno.ENOENT;
  const rc = yield* hugePages(ioas, command);
  context.objects.release(ioas);
  return rc;
}

function rlimitMode(context: IommufdContext, process: Process, command: OptionCommand): number {
  if (command.objectId !== 0) return -Errno.EOPNOTSUPP;
  if (command.op === OptionOp.get) {
    command.value = context.accountMode === 'mm' ? 1n : 0n;
    return 0;
  }
  if (command.op !== OptionOp.set) return -Errno.EOPNOTSUPP;
  if (!process.canSetResources) return -Errno.EPERM;
  if (!context.objects.isEmpty) return -Errno.EBUSY;
  if (command.value > 1n) return -Errno.EINVAL;
  context.accountMode = command.value === 1n ? 'mm' : 'user';
  return 0;
}

function* hugePages(ioas: Ioas, command: OptionCommand): KernelTask<number> {
  if (command.op === OptionOp.get) {
    command.value = ioas.smallPages ? 0n : 1n;
    return 0;
  }
  if (command.op !== OptionOp.set) return -Errno.EOPNOTSUPP;
  if (command.value > 1n) return -Errno.EINVAL;
  return yield* ioas.setSmallPages(command.value === 0n);
}
