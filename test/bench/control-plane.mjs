// Speed of the control plane: IOAS_MAP and IOAS_UNMAP ioctls of 4 KiB through all of the modelled stack, from the bytes
// of the ioctl's structure to descriptors that a VT-d unit fetches from its queue, and back to the status write that the
// submitter polls. CPU time, best of the rounds; what must hold is 50 k ioctls/s.
import { sourceId } from '../../dist/address.js';
import { PhysicalMemory } from '../../dist/hw/memory.js';
import { registerWords } from '../../dist/hw/profile.js';
import { hardwareProfile } from '../../dist/hw/profiles/registry.js';
import { VtdUnit } from '../../dist/hw/vtd/unit.js';
import { bootIntel } from '../../dist/stack/drivers/intel/boot.js';
import { IntelDriver } from '../../dist/stack/drivers/intel/driver.js';
import { IommuGroup, iommuGroupRules } from '../../dist/stack/iommu/group.js';
import { attachDevice } from '../../dist/stack/iommufd/auto-domain.js';
import { IommufdContext } from '../../dist/stack/iommufd/context.js';
import { bindDevice } from '../../dist/stack/iommufd/device.js';
import { IommufdFile } from '../../dist/stack/iommufd/iommufd-file.js';
import { iommufdProfile } from '../../dist/stack/iommufd/profile.js';
import * as uapi from '../../dist/stack/iommufd/uapi.js';
import { encodeStruct } from '../../dist/stack/iommufd/user-struct.js';
import { AddressSpace } from '../../dist/stack/kernel/address-space.js';
import { Kernel } from '../../dist/stack/kernel/kernel.js';
import { PageFrames } from '../../dist/stack/kernel/page-frames.js';
import { Process, UserAccount } from '../../dist/stack/kernel/process.js';
import { KERNEL_PROFILES } from '../../dist/stack/profiles/kernels.js';
import { resolveKernelProfile } from '../../dist/stack/profiles/schema.js';

/** [ioctls/s] What must hold. */
const REQUIRED = 50_000;
const PAGE = 4096n;
/** Pages in the air: each is unmapped this many maps later. */
const DEPTH = 512;
const PAGES = 4096;
const BUFFER = 0x7f00_0000_0000n;
const SCRATCH = 0x7ffc_0000_0000n;

const MACHINES = [
  { name: 'v6.12 legacy', kernel: 'v6.12', cap: 'd2008c222f0606', ecap: 'f00f4a', scalable: false },
  { name: 'v7.3 scalable', kernel: 'v7.3', cap: 'd2008c222f0606', ecap: '480080f00f4a', scalable: true },
  { name: 'v7.3 first stage', kernel: 'v7.3', cap: '81d2008c222f0606', ecap: '880000f00f4a', scalable: true },
  { name: 'v7.3 caching mode', kernel: 'v7.3', cap: 'd2008c222f0686', ecap: '480080f00f4a', scalable: true },
];

/** Runs the bench; returns plain data. */
export async function run({ rows, rounds }) {
  const ioctls = Math.min(rows, 100_000);
  const results = MACHINES.map((machine) => {
    const measured = Array.from({ length: rounds }, () => measure(machine, ioctls));
    const best = measured.reduce((a, b) => (b.rate > a.rate ? b : a));
    return { name: machine.name, ioctls, ...best };
  });
  return { name: 'control-plane', unit: 'ioctls/s of CPU time', required: REQUIRED, results };
}

/** Lines of the result. */
export function format(result) {
  return [
    `control plane, map and unmap ioctls of 4 KiB on a VT-d unit, best of the rounds (required: ${REQUIRED / 1000} k/s)`,
    ...result.results.map(
      ({ name, rate, descriptors, modelledUs }) =>
        `  ${name.padEnd(18)} ${String(Math.round(rate / 1000)).padStart(5)} k/s   ${descriptors.toFixed(2)} descriptors and ${modelledUs.toFixed(2)} us modelled an ioctl`,
    ),
  ];
}

function measure(machine, ioctls) {
  const { kernel, process: user, file, ioasId, executed } = boot(machine);
  const call = (shape, values) => {
    const bytes = new Uint8Array(shape.knownBytes);
    encodeStruct(shape.layout, values, bytes);
    new DataView(bytes.buffer).setUint32(0, shape.knownBytes, true);
    user.memory.write(SCRATCH, bytes);
    const rc = kernel.run(file.ioctl(user, uapi.IOMMUFD_TYPE | shape.nr, SCRATCH));
    if (rc !== 0) throw new Error(`ioctl ${shape.nr} failed with ${rc}`);
  };
  const iova = (i) => 0x1000_0000n + BigInt((i * 7919) % PAGES) * PAGE;
  const map = (i) => {
    const userVa = BUFFER + BigInt(i % PAGES) * PAGE;
    call(uapi.IOAS_MAP, { flags: 7, ioasId, userVa, lengthBytes: PAGE, iova: iova(i) });
  };
  const unmap = (i) => call(uapi.IOAS_UNMAP, { ioasId, iova: iova(i), lengthBytes: PAGE });
  let next = 0;
  for (; next < DEPTH; next++) map(next);
  const before = executed();
  const startTick = kernel.now;
  const start = process.cpuUsage();
  for (let done = 0; done < ioctls; done += 2) {
    map(next++);
    unmap(next - 1 - DEPTH);
  }
  const spent = process.cpuUsage(start);
  return {
    rate: (ioctls * 1e6) / (spent.user + spent.system),
    descriptors: (executed() - before) / ioctls,
    modelledUs: (kernel.now - startTick) / ioctls / 1e6,
  };
}

function boot({ kernel: kernelName, cap, ecap, scalable }) {
  const { profile } = resolveKernelProfile(KERNEL_PROFILES[kernelName]);
  const kernel = new Kernel(profile);
  const memory = new PhysicalMemory();
  const source = sourceId(1, 0, 0);
  const config = { ...hardwareProfile('vtd-bdw').config, cap: registerWords(cap), ecap: registerWords(ecap) };
  const unit = new VtdUnit({ name: 'dmar0', config, memory, timeline: kernel.timeline, deviceSourceIds: [source] });
  let descriptors = 0;
  const driver = new IntelDriver({
    kernel,
    memory,
    units: [{ name: 'dmar0', registers: unit, scalable }],
    onSubmission: ({ count }) => {
      descriptors += count;
    },
  });
  const device = {
    name: '0000:01:00.0',
    sourceIds: [source],
    unit: 'dmar0',
    driver,
    maxPasids: 0,
    isVirtualFunction: false,
    supportsPri: false,
    isolatedMsi: true,
  };
  const group = new IommuGroup(0, iommuGroupRules(profile.version), kernel.timeline);
  group.add(device);
  must(kernel.run(bootIntel(driver, [{ group, devices: [{ device, probe: {} }], defaultDomain: 'dma' }])));
  const process = new Process('user', new AddressSpace(new PageFrames()), new UserAccount());
  must(kernel.run(process.memory.map(BUFFER, BigInt(PAGES) * PAGE)));
  must(kernel.run(process.memory.map(SCRATCH, PAGE)));
  const context = new IommufdContext(kernel, iommufdProfile(profile.version));
  const file = new IommufdFile(context);
  const bound = kernel.run(bindDevice(context, device, group, { allowUnsafeInterrupts: false, holdsFile: false }));
  if (typeof bound === 'number') throw new Error(`bind failed with ${bound}`);
  const ioas = new Uint8Array(uapi.IOAS_ALLOC.knownBytes);
  ioas[0] = ioas.length;
  process.memory.write(SCRATCH, ioas);
  must(kernel.run(file.ioctl(process, uapi.IOMMUFD_TYPE | uapi.IOAS_ALLOC.nr, SCRATCH)));
  const ioasId = process.memory.read(SCRATCH + 8n, 1)[0];
  must(kernel.run(attachDevice(bound, 0, ioasId)).error);
  return { kernel, process, file, ioasId, executed: () => descriptors };
}

function must(rc) {
  if (rc !== 0) throw new Error(`call failed with ${rc}`);
}
