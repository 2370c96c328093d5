/** A kernel, a process with memory and one IOAS: the smallest scene for maps and pins. */

import { IommufdContext } from '../../src/stack/iommufd/context.ts';
import { Ioas } from '../../src/stack/iommufd/ioas.ts';
import { allocIoas, ioasCopy, ioasMap, ioasUnmap } from '../../src/stack/iommufd/ioas-commands.ts';
import { iommufdProfile } from '../../src/stack/iommufd/profile.ts';
import { MapFlag } from '../../src/stack/iommufd/uapi.ts';
import { AddressSpace } from '../../src/stack/kernel/address-space.ts';
import type { Kernel } from '../../src/stack/kernel/kernel.ts';
import { PageFrames } from '../../src/stack/kernel/page-frames.ts';
import { Process, UserAccount } from '../../src/stack/kernel/process.ts';
import type { KernelTask } from '../../src/stack/kernel/task.ts';
import { bootKernel } from './mock-machine.ts';

/** User memory of the scene: 4 MiB here. */
export const BUFFER = 0x7f00_0000_0000n;
export const BUFFER_BYTES = 0x40_0000n;

/** READABLE and WRITEABLE. */
export const READ_WRITE = MapFlag.readable | MapFlag.writeable;

/** The scene. Results of calls are 0 or a negative errno. */
export class IoasScene {
  readonly kernel: Kernel = bootKernel('L73');
  readonly context = new IommufdContext(this.kernel, iommufdProfile('L73'));
  readonly frames = new PageFrames();
  readonly user = new UserAccount();
  readonly process = this.newProcess();
  readonly ioas = this.newIoas();

  run<T>(task: KernelTask<T>): T {
    return this.kernel.run(task);
  }

  newProcess(): Process {
    const process = new Process('user', new AddressSpace(this.frames), this.user);
    this.run(process.memory.map(BUFFER, BUFFER_BYTES));
    return process;
  }

  newIoas(): Ioas {
    const command = { flags: 0, outIoasId: 0 };
    this.run(allocIoas(this.context, command));
    return this.context.objects.peek(command.outIoasId, Ioas) as Ioas;
  }

  /** Maps [va, va + length) at a fixed IOVA. */
  map(iova: bigint, va: bigint, lengthBytes: bigint, flags = READ_WRITE, ioas = this.ioas): number {
    const command = { flags: flags | MapFlag.fixedIova, reserved: 0, ioasId: ioas.id, userVa: va, lengthBytes, iova };
    return this.run(ioasMap(this.context, this.process, command));
  }

  unmap(iova: bigint, lengthBytes: bigint, ioas = this.ioas): number {
    return this.run(ioasUnmap(this.context, { ioasId: ioas.id, iova, lengthBytes }));
  }

  copy(src: Ioas, srcIova: bigint, dst: Ioas, dstIova: bigint, lengthBytes: bigint, flags = READ_WRITE): number {
    const command = {
      flags: flags | MapFlag.fixedIova,
      srcIoasId: src.id,
      dstIoasId: dst.id,
      lengthBytes,
      srcIova,
      dstIova,
    };
    return this.run(ioasCopy(this.context, command));
  }

  /** Pins of the frame behind a user address. */
  pins(va: bigint): number {
    return this.frames.pinCount(this.process.memory.frameAt(va, false) ?? 0);
  }
}
