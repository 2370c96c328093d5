// Ownership and RID domains of a group: Linux drivers/iommu/iommu.c.
import { beforeEach, describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { attachGroupHandle, detachGroupHandle, replaceGroupHandle } from '../../../../src/stack/iommu/attach.ts';
import {
  claimDeviceOwner,
  claimGroupOwner,
  releaseDeviceOwner,
  unuseDefaultDomain,
  useDefaultDomain,
} from '../../../../src/stack/iommu/dma-owner.ts';
import { IommuGroup, iommuGroupRules } from '../../../../src/stack/iommu/group.ts';
import type { IommuDevice, IommuDomain } from '../../../../src/stack/iommu/ops.ts';
import type { Kernel } from '../../../../src/stack/kernel/kernel.ts';
import type { KernelVersion } from '../../../../src/stack/kernel/profile.ts';
import { bootKernel } from '../../../support/mock-machine.ts';
import { type NamedDomain, ScriptedDriver } from '../../../support/scripted-driver.ts';

const OWNER = { name: 'context' };
const OTHER = { name: 'another context' };

let kernel: Kernel;
let driver: ScriptedDriver;
let group: IommuGroup;
let devices: IommuDevice[];
let initial: NamedDomain;

function makeGroup(version: KernelVersion = 'L73'): void {
  kernel = bootKernel(version);
  driver = new ScriptedDriver();
  devices = ['d0', 'd1', 'd2'].map((name) => driver.device(name));
  group = new IommuGroup(1, iommuGroupRules(version), kernel.timeline);
  for (const device of devices) group.add(device);
  initial = driver.domain('default');
  group.defaultDomain = initial;
  group.domain = initial;
}

const handleOf = (domain: IommuDomain) => ({ domain });
const claim = (owner = OWNER): number => kernel.run(claimDeviceOwner(group, owner));

beforeEach(() => makeGroup());

describe('claiming a group', () => {
  it('blocks every device in order on the first claim and only counts on the next', () => {
    expect(claim()).toBe(0);
    expect(claim()).toBe(0);
    expect(driver.calls).toEqual(['attach d0 blocked', 'attach d1 blocked', 'attach d2 blocked']);
    expect(group.ownerCount).toBe(2);
  });

  it('refuses another owner, and any second group-wide claim', () => {
    claim();
    expect(claim(OTHER)).toBe(-Errno.EPERM);
    expect(kernel.run(claimGroupOwner(group, OWNER))).toBe(-Errno.EPERM);
  });

  it('refuses a group that is off its default domain or has a PASID attached', () => {
    group.domain = driver.domain('other');
    expect(claim()).toBe(-Errno.EBUSY);
    group.domain = initial;
    group.pasids.set(3, { domain: initial, handle: undefined });
    expect(claim()).toBe(-Errno.EBUSY);
  });

  it('refuses a device that firmware must keep mapped, and puts the ones before it back', () => {
    driver.regions.set(devices[1] as IommuDevice, [{ start: 0n, last: 0xfffn, type: 'direct' }]);
    expect(claim()).toBe(-Errno.EINVAL);
    expect(driver.calls).toEqual(['attach d0 blocked', 'attach d0 default']);
    expect(group.owner).toBeUndefined();
    expect(group.domain).toBe(initial);
  });

  it('answers ENODEV outside any group', () => {
    expect(kernel.run(claimDeviceOwner(undefined, OWNER))).toBe(-Errno.ENODEV);
  });

  it('returns to the default domain with the last release', () => {
    claim();
    claim();
    kernel.run(releaseDeviceOwner(group));
    expect(group.domain).toBe(driver.blockedDomain);
    kernel.run(releaseDeviceOwner(group));
    expect(group.domain).toBe(initial);
    expect(group.owner).toBeUndefined();
  });
});

describe('an ordinary driver on a device', () => {
  it('keeps user space out, and is kept out by it', () => {
    expect(kernel.run(useDefaultDomain(group))).toBe(0);
    expect(claim()).toBe(-Errno.EPERM);
    kernel.run(unuseDefaultDomain(group));
    expect(claim()).toBe(0);
    expect(kernel.run(useDefaultDomain(group))).toBe(-Errno.EBUSY);
  });

  it('waits for a default domain', () => {
    group.defaultDomain = undefined;
    expect(kernel.run(useDefaultDomain(group))).toBe(-Errno.EPROBE_DEFER);
  });
});

describe('attaching with a handle', () => {
  it('needs a handle, a free slot, a core domain and a domain of the same driver', () => {
    claim();
    const a = driver.domain('a');
    expect(kernel.run(attachGroupHandle(group, a, undefined))).toBe(-Errno.EINVAL);
    expect(kernel.run(attachGroupHandle(group, driver.domain('f', new ScriptedDriver()), handleOf(a)))).toBe(
      -Errno.EINVAL,
    );
    expect(kernel.run(attachGroupHandle(group, a, handleOf(a)))).toBe(0);
    expect(kernel.run(attachGroupHandle(group, a, handleOf(a)))).toBe(-Errno.EBUSY);
    group.pasids.delete(0);
    expect(kernel.run(attachGroupHandle(group, driver.domain('b'), handleOf(a)))).toBe(-Errno.EBUSY);
  });

  it('puts earlier devices back when one refuses and leaves that one alone', () => {
    claim();
    driver.calls.length = 0;
    driver.refusals.set('attach d1 a', -Errno.EINVAL);
    const a = driver.domain('a');
    expect(kernel.run(attachGroupHandle(group, a, handleOf(a)))).toBe(-Errno.EINVAL);
    expect(driver.calls).toEqual(['attach d0 a', 'attach d1 a', 'attach d0 blocked']);
    expect(group.domain).toBe(driver.blockedDomain);
    expect(group.pasids.has(0)).toBe(false);
  });

  it('replaces without a step in between, and changes only the handle for the same domain', () => {
    claim();
    const a = driver.domain('a');
    const b = driver.domain('b');
    kernel.run(attachGroupHandle(group, a, handleOf(a)));
    driver.calls.length = 0;
    const second = handleOf(b);
    expect(kernel.run(replaceGroupHandle(group, b, second))).toBe(0);
    expect(driver.calls).toEqual(['attach d0 b', 'attach d1 b', 'attach d2 b']);
    const third = handleOf(b);
    expect(kernel.run(replaceGroupHandle(group, b, third))).toBe(0);
    expect(driver.calls).toHaveLength(3);
    expect(group.pasids.get(0)?.handle).toBe(third);
  });

  it('detaches to blocking while owned', () => {
    claim();
    const a = driver.domain('a');
    kernel.run(attachGroupHandle(group, a, handleOf(a)));
    kernel.run(detachGroupHandle(group));
    expect(group.domain).toBe(driver.blockedDomain);
    expect(group.pasids.size).toBe(0);
  });

  it('is refused while a device of the group is in reset, from 7.0 on', () => {
    claim();
    const a = driver.domain('a');
    group.resetCount = 1;
    expect(kernel.run(attachGroupHandle(group, a, handleOf(a)))).toBe(-Errno.EBUSY);
    makeGroup('L612');
    claim();
    group.resetCount = 1;
    expect(kernel.run(attachGroupHandle(group, driver.domain('a'), handleOf(a)))).toBe(0);
  });
});
