// Auxiliary domains of Linux 5.2 .. 5.17.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../src/errno.ts';
import { MockDeviceFlag } from '../../../../src/stack/drivers/mock/constants.ts';
import { type AuxDevice, AuxDomains } from '../../../../src/stack/iommu/aux-domain.ts';
import type { PagingDomain } from '../../../../src/stack/iommu/ops.ts';
import { Ioasid } from '../../../../src/stack/iommufd/ioasid-2021.ts';
import { MockMachine } from '../../../support/mock-machine.ts';

const ABLE = { scalableWithPasid: true, pasidUsable: true, siov: true };

function setup(limit = 16) {
  const machine = new MockMachine();
  const aux = new AuxDomains(limit);
  const make = (capability = ABLE): AuxDevice => {
    const { group, devices } = machine.group(MockDeviceFlag.pasid);
    return { device: devices[0] as AuxDevice['device'], group, capability };
  };
  const domain = (target: AuxDevice): PagingDomain => {
    const made = machine.kernel.run(target.device.driver.allocPaging(target.device, 'user', 0, undefined));
    if (typeof made === 'number') throw new Error(`no domain: ${made}`);
    return made;
  };
  return { kernel: machine.kernel, aux, make, domain };
}

describe('auxiliary attach', () => {
  it('needs the feature, which needs scalable mode and a usable PASID capability', () => {
    const { kernel, aux, make, domain } = setup();
    const target = make();
    expect(aux.enableFeature(make({ ...ABLE, scalableWithPasid: false }))).toBe(-Errno.EINVAL);
    expect(aux.enableFeature(make({ ...ABLE, pasidUsable: false }))).toBe(-Errno.ENODEV);
    const d = domain(target);
    expect(kernel.run(aux.attach(d, target))).toBe(-Errno.EPERM);
    expect(aux.enableFeature(target)).toBe(0);
    expect(kernel.run(aux.attach(d, target))).toBe(0);
    expect(aux.pasidOf(d)).toBe(1);
  });

  it('gives a domain one PASID for all its devices and frees it with the last', () => {
    const { kernel, aux, make, domain } = setup();
    const [one, two] = [make(), make()];
    aux.enableFeature(one);
    aux.enableFeature(two);
    const d = domain(one);
    kernel.run(aux.attach(d, one));
    kernel.run(aux.attach(d, one));
    kernel.run(aux.attach(d, two));
    expect(aux.pasidOf(d)).toBe(1);
    kernel.run(aux.detach(d, one));
    kernel.run(aux.detach(d, one));
    expect(aux.pasidOf(d)).toBe(1);
    kernel.run(aux.detach(d, two));
    expect(aux.pasidOf(d)).toBe(-Errno.EINVAL);
  });

  it('runs out of PASIDs', () => {
    const { kernel, aux, make, domain } = setup(2);
    const target = make();
    aux.enableFeature(target);
    expect(kernel.run(aux.attach(domain(target), target))).toBe(0);
    expect(kernel.run(aux.attach(domain(target), target))).toBe(-Errno.ENODEV);
  });

  it('shuts out a plain attach of the whole device', () => {
    const { kernel, aux, make, domain } = setup();
    const target = make();
    aux.enableFeature(target);
    expect(kernel.run(aux.attachWhole(domain(target), target))).toBe(-Errno.EPERM);
    aux.disableFeature(target);
    expect(kernel.run(aux.attachWhole(domain(target), target))).toBe(0);
  });
});

describe('an ioasid of 2021', () => {
  it('gets its domain at the first attach, with the mappings made before, and shares it', () => {
    const { kernel, aux, make } = setup();
    const [one, two] = [make(), make()];
    aux.enableFeature(two);
    const ioasid = new Ioasid(aux);
    expect(kernel.run(ioasid.map(0x200_0000n, 0x10_0000n, 0x1000n, 3))).toBe(0);
    expect(ioasid.domain).toBeUndefined();
    expect(kernel.run(ioasid.attach(one, undefined))).toBe(0);
    expect(ioasid.domain?.iovaToPhys(0x200_0010n)).toBe(0x10_0010n);
    expect(kernel.run(ioasid.attach(two, 1))).toBe(0);
    expect(kernel.run(ioasid.detach(one, undefined))).toBe(0);
    expect(ioasid.domain).toBeDefined();
    expect(kernel.run(ioasid.detach(two, 1))).toBe(0);
    expect(ioasid.domain).toBeUndefined();
  });

  it('forgets a domain that no device could join', () => {
    const { kernel, aux, make } = setup();
    const target = make();
    const ioasid = new Ioasid(aux);
    kernel.run(ioasid.map(0x200_0000n, 0x10_0000n, 0x1000n, 3));
    expect(kernel.run(ioasid.attach(target, 1))).toBe(-Errno.EPERM);
    expect(ioasid.domain).toBeUndefined();
  });
});
