/**
 * The TEST_* operations: the iommufd self-test ioctl (IOMMU_TEST_CMD) on mock devices, and reads of its event files.
 * Argument and output names follow the recorded test program.
 */
import type { Pasid } from '../../address.ts';
import { Errno } from '../../errno.ts';
import { MockBus } from '../../stack/drivers/mock/selftest/mock-bus.ts';
import {
  accessPages,
  accessReadWrite,
  accessReplaceIoas,
  createSelftestAccess,
  SelftestAccessFile,
} from '../../stack/drivers/mock/selftest/selftest-access.ts';
import {
  addReserved,
  checkDeviceCache,
  checkIotlb,
  checkMap,
  checkRefs,
  markDirty,
  triggerIopf,
  triggerVevent,
} from '../../stack/drivers/mock/selftest/selftest-checks.ts';
import {
  mockDomain,
  mockDomainReplace,
  pasidAttach,
  pasidCheckHwpt,
  pasidDetach,
  pasidReplace,
} from '../../stack/drivers/mock/selftest/selftest-device.ts';
import type { PageTableChange } from '../../stack/iommufd/auto-domain.ts';
import type { IommufdContext } from '../../stack/iommufd/context.ts';
import { IommufdFile } from '../../stack/iommufd/iommufd-file.ts';
import type { KernelTask } from '../../stack/kernel/task.ts';
import {
  type ConformMachine,
  type ConformModule,
  hex,
  type Operation,
  type StepContext,
  type StepOutcome,
} from './machine.ts';
import { faultRead, faultWrite, veventRead } from './ops-event-files.ts';

/** An operation on an iommufd context: EBADF without a file, ENOTTY on another one. */
type ContextOperation = (step: StepContext, context: IommufdContext) => StepOutcome;

function onContext(operation: ContextOperation): Operation {
  return (step) => {
    const file = step.process.files.get(step.args.i32('fd'));
    if (file === undefined) return { rc: -Errno.EBADF };
    if (!(file instanceof IommufdFile)) return { rc: -Errno.ENOTTY };
    return operation(step, file.context);
  };
}

/** An operation on the access file named by `id`: EBADFD for any other descriptor. */
function onAccess(operation: (step: StepContext, file: SelftestAccessFile) => StepOutcome): Operation {
  return onContext((step) => {
    const file = step.process.files.getAs(step.args.i32('id'), SelftestAccessFile);
    return file === undefined ? { rc: -Errno.EBADFD } : operation(step, file);
  });
}

function mockDomainOperation(bus: MockBus): Operation {
  return onContext(({ machine, args }, context) => {
    const command = {
      pageTableId: args.u32('id'),
      deviceFlags: args.u32('dev_flags'),
      outSelftestId: 0,
      outHwptId: 0,
      outDeviceId: 0,
    };
    const rc = machine.run(mockDomain(bus, context, command));
    if (rc !== 0) return { rc };
    const { outSelftestId: stdev, outHwptId: hwpt, outDeviceId: idev } = command;
    return { rc, out: { stdev, hwpt, idev }, values: [stdev, hwpt, idev] };
  });
}

function changeOutcome({ error, pageTableId }: PageTableChange): StepOutcome {
  return error === 0 ? { rc: 0, out: { pt: pageTableId }, values: [pageTableId] } : { rc: error };
}

type PasidChange = (context: IommufdContext, id: number, pasid: Pasid, ptId: number) => KernelTask<PageTableChange>;

const pasidOperation = (change: PasidChange): Operation =>
  onContext(({ machine, args }, context) =>
    changeOutcome(machine.run(change(context, args.u32('id'), args.u32('pasid') as Pasid, args.u32('pt')))),
  );

const OPERATIONS: Readonly<Record<string, Operation>> = {
  TEST_MOCK_DOMAIN_REPLACE: onContext(({ machine, args }, context) =>
    changeOutcome(machine.run(mockDomainReplace(context, args.u32('id'), args.u32('pt')))),
  ),
  TEST_PASID_ATTACH: pasidOperation(pasidAttach),
  TEST_PASID_REPLACE: pasidOperation(pasidReplace),
  TEST_PASID_DETACH: onContext(({ machine, args }, context) => ({
    rc: machine.run(pasidDetach(context, args.u32('id'), args.u32('pasid') as Pasid)),
  })),
  TEST_PASID_CHECK_HWPT: onContext(({ args }, context) => ({
    rc: pasidCheckHwpt(context, args.u32('id'), args.u32('pasid') as Pasid, args.u32('hwpt')),
  })),
  TEST_ADD_RESERVED: onContext(({ machine, args }, context) => ({
    rc: machine.run(addReserved(context, args.u32('id'), args.u64('start'), args.u64('length'))),
  })),
  TEST_MD_CHECK_MAP: onContext(({ process, args }, context) => ({
    rc: checkMap(context, process.memory, args.u32('id'), {
      iova: args.u64('iova'),
      lengthBytes: args.u64('length'),
      userAddress: args.u64('va'),
    }),
  })),
  TEST_MD_CHECK_REFS: onContext(({ process, args }) => ({
    rc: checkRefs(process.memory, args.u64('va'), args.u64('length'), args.u32('refs')),
  })),
  TEST_MD_CHECK_IOTLB: onContext(({ args }, context) => ({
    rc: checkIotlb(context, args.u32('id'), args.u32('iotlb_id'), args.u32('iotlb')),
  })),
  TEST_DEV_CHECK_CACHE: onContext(({ args }, context) => ({
    rc: checkDeviceCache(context, args.u32('dev'), args.u32('cache_id'), args.u32('cache')),
  })),
  TEST_TRIGGER_VEVENT: onContext(({ args }, context) => ({ rc: triggerVevent(context, args.u32('dev')) })),
  TEST_TRIGGER_IOPF: onContext(({ args }, context) => ({
    rc: triggerIopf(context, {
      deviceId: args.u32('dev'),
      pasid: args.u32('pasid') as Pasid,
      groupId: args.u32('grpid'),
      permission: args.u32('perm'),
      address: args.u64('addr'),
    }),
  })),
  TEST_DIRTY: onContext(({ process, args }, context) => {
    const lengthBytes = args.u64('length');
    const pageSize = args.u64('page_size');
    const bits = pageSize === 0n ? 0n : lengthBytes / pageSize;
    const bitmap = process.memory.read(args.u64('bitmap'), Number((bits + 7n) / 8n));
    const command = {
      hwptId: args.u32('id'),
      iova: args.u64('iova'),
      lengthBytes,
      pageSize,
      bitmap,
      outCount: 0,
    };
    const rc = markDirty(context, command);
    return rc === 0 ? { rc, out: { nr_dirty: hex(command.outCount) } } : { rc };
  }),
  TEST_CREATE_ACCESS: onContext(({ machine, process, args }, context) => {
    const file = machine.run(createSelftestAccess(context, args.u32('id'), args.u32('flags')));
    if (typeof file === 'number') return { rc: file };
    const fd = process.files.install(file);
    return fd < 0 ? { rc: fd } : { rc: 0, out: { access: fd }, values: [fd] };
  }),
  TEST_ACCESS_PAGES: onAccess(({ machine, process, args }, file) => {
    const item = machine.run(accessPages(file, process.memory, rangeOf(args)));
    return item < 0 ? { rc: item } : { rc: 0, out: { pages: item }, values: [item] };
  }),
  TEST_DESTROY_ACCESS_PAGES: onAccess(({ machine, args }, file) => ({
    rc: machine.run(file.dropItem(args.u32('pages'))),
  })),
  TEST_ACCESS_RW: onAccess(({ machine, process, args }, file) => ({
    rc: machine.run(accessReadWrite(file, process.memory, rangeOf(args))),
  })),
  TEST_ACCESS_REPLACE_IOAS: onAccess(({ machine, args }, file) => ({
    rc: machine.run(accessReplaceIoas(file, args.u32('ioas'))),
  })),
  vevent_read: veventRead,
  fault_read: faultRead,
  fault_write: faultWrite,
};

function rangeOf(args: StepContext['args']): Parameters<typeof accessPages>[2] {
  return {
    iova: args.u64('iova'),
    lengthBytes: args.u64('length'),
    userAddress: args.u64('va'),
    flags: args.u32('flags'),
  };
}

/** The module of self-test devices. */
export const SELFTEST_MODULE: ConformModule = {
  install(machine: ConformMachine): void {
    const bus = new MockBus(machine.kernel);
    for (const [name, operation] of Object.entries(OPERATIONS)) machine.operations.set(name, operation);
    machine.operations.set('TEST_MOCK_DOMAIN', mockDomainOperation(bus));
    machine.operations.set('TEST_MOCK_DOMAIN_FLAGS', mockDomainOperation(bus));
  },
};
