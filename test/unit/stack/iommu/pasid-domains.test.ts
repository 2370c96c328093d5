// PASID attachment in the core: Linux drivers/iommu/iommu.c.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Pasid } from '../../../../src/address.ts';
import { Errno } from '../../../../src/errno.ts';
import { IommuGroup, iommuGroupRules } from '../../../../src/stack/iommu/group.ts';
import type { IommuDevice } from '../../../../src/stack/iommu/ops.ts';
import { attachDevicePasid, detachDevicePasid, replaceDevicePasid } from '../../../../src/stack/iommu/pasid-attach.ts';
import { bootKernel } from '../../../support/mock-machine.ts';
import { type NamedDomain, ScriptedDriver } from '../../../support/scripted-driver.ts';

const FIVE = 5 as Pasid;
const kernel = bootKernel('L73');
let driver: ScriptedDriver;
let group: IommuGroup;
let first: IommuDevice;
let a: NamedDomain;
let b: NamedDomain;

const attach = (domain: NamedDomain, pasid = FIVE, handle = { domain }): number =>
  kernel.run(attachDevicePasid(group, first, domain, pasid, handle));
const replace = (domain: NamedDomain, pasid = FIVE, handle = { domain }): number =>
  kernel.run(replaceDevicePasid(group, first, domain, pasid, handle));

beforeEach(() => {
  driver = new ScriptedDriver();
  group = new IommuGroup(1, iommuGroupRules('L73'), kernel.timeline);
  first = driver.device('d0', 1024);
  group.add(first);
  group.add(driver.device('plain'));
  group.add(driver.device('d2', 64));
  a = driver.domain('a');
  b = driver.domain('b');
});

describe('attaching a PASID', () => {
  it('checks operations, group, domain, range and slot in that order', () => {
    driver.withoutPasid.add(a);
    expect(kernel.run(attachDevicePasid(undefined, first, a, FIVE, undefined))).toBe(-Errno.ENODEV);
    expect(attach(a)).toBe(-Errno.EOPNOTSUPP);
    driver.withoutPasid.clear();
    driver.withoutPasid.add(driver.blockedDomain);
    expect(attach(a)).toBe(-Errno.EOPNOTSUPP);
    driver.withoutPasid.clear();
    expect(attach(driver.domain('f', new ScriptedDriver()))).toBe(-Errno.EINVAL);
    expect(attach(a, 0 as Pasid)).toBe(-Errno.EINVAL);
    expect(attach(a, 64 as Pasid)).toBe(-Errno.EINVAL);
    expect(attach(a)).toBe(0);
    expect(attach(b)).toBe(-Errno.EBUSY);
    expect(attach(b, 64 as Pasid)).toBe(-Errno.EINVAL);
  });

  it('skips devices without PASIDs', () => {
    expect(attach(a)).toBe(0);
    expect(driver.calls).toEqual(['pasid d0 5 a', 'pasid d2 5 a']);
  });

  it('blocks the PASID again where it was set before a refusal', () => {
    driver.refusals.set('pasid d2 5 a', -Errno.ENOMEM);
    expect(attach(a)).toBe(-Errno.ENOMEM);
    expect(driver.calls).toEqual(['pasid d0 5 a', 'pasid d2 5 a', 'pasid d0 5 blocked']);
    expect(group.pasids.size).toBe(0);
  });

  it('succeeds without any effect in a group that has no PASIDs at all', () => {
    const plain = new IommuGroup(2, iommuGroupRules('L73'), kernel.timeline);
    const device = driver.device('alone');
    plain.add(device);
    expect(kernel.run(attachDevicePasid(plain, device, a, FIVE, { domain: a }))).toBe(0);
    expect(driver.calls).toEqual([]);
  });
});

describe('replacing at a PASID', () => {
  it('needs an attachment and a new handle', () => {
    expect(replace(b)).toBe(-Errno.EINVAL);
    const handle = { domain: a };
    attach(a, FIVE, handle);
    expect(kernel.run(replaceDevicePasid(group, first, a, FIVE, undefined))).toBe(-Errno.EINVAL);
    expect(replace(a, FIVE, handle)).toBe(-Errno.EINVAL);
  });

  it('changes only the handle for the same domain', () => {
    attach(a);
    driver.calls.length = 0;
    const handle = { domain: a };
    expect(replace(a, FIVE, handle)).toBe(0);
    expect(driver.calls).toEqual([]);
    expect(group.pasids.get(FIVE)?.handle).toBe(handle);
  });

  it('puts the old domain back on earlier devices when one refuses', () => {
    attach(a);
    driver.calls.length = 0;
    driver.refusals.set('pasid d2 5 b', -Errno.EINVAL);
    expect(replace(b)).toBe(-Errno.EINVAL);
    expect(driver.calls).toEqual(['pasid d0 5 b', 'pasid d2 5 b', 'pasid d0 5 a']);
    expect(group.pasids.get(FIVE)?.domain).toBe(a);
  });
});

it('detaching blocks the PASID on every device that has PASIDs', () => {
  attach(a);
  driver.calls.length = 0;
  kernel.run(detachDevicePasid(group, FIVE));
  expect(driver.calls).toEqual(['pasid d0 5 blocked', 'pasid d2 5 blocked']);
  expect(group.pasids.size).toBe(0);
});
