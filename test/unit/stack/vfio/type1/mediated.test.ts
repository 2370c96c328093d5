// Mediated devices isolated by a physical one: Linux 5.2 .. 5.15, drivers/vfio/vfio_iommu_type1.c, and the forms of the
// group call that were argued about.
import { describe, expect, it } from 'vitest';
import { Errno } from '../../../../../src/errno.ts';
import { type AuxDevice, AuxDomains } from '../../../../../src/stack/iommu/aux-domain.ts';
import { LEGACY_5_10_PROFILE } from '../../../../../src/stack/vfio/profile.ts';
import type { MediatedRule } from '../../../../../src/stack/vfio/type1/mediated-target.ts';
import { BUFFER, ContainerBench } from '../../../../support/container-bench.ts';

const ABLE = { scalableWithPasid: true, pasidUsable: true, siov: true };

function setup(rule: MediatedRule = 'per-device') {
  const aux = new AuxDomains(16);
  const rules = { rule, aux, leftovers: [] };
  const bench = new ContainerBench({ profile: LEGACY_5_10_PROFILE, type1: { mediated: rules } });
  /** A physical device that can isolate mediated ones. */
  const parent = (enabled: boolean): AuxDevice => {
    const { hardware, group } = bench.device();
    const target = {
      device: hardware as AuxDevice['device'],
      group: group.iommuGroup as AuxDevice['group'],
      capability: ABLE,
    };
    if (enabled) aux.enableFeature(target);
    return target;
  };
  /** A group of mediated devices with those physical devices. */
  const mediated = (...parents: (AuxDevice | undefined)[]) => {
    const { device } = bench.emulated();
    device.group.mediated = parents.map((iommuDevice, index) => ({ name: `mdev${index}`, iommuDevice }));
    return device;
  };
  const enter = (device: ReturnType<typeof mediated>) => {
    const container = bench.openContainer();
    const group = bench.openGroup(device);
    bench.setContainer(group, container);
    bench.driver.take();
    return { group, container, error: bench.setIommu(container) };
  };
  return { aux, rules, bench, parent, mediated, enter };
}

const attaches = (bench: ContainerBench) => bench.driver.take().filter((call) => /^(attach|pasid)/.test(call));

describe('the merged rule', () => {
  it('attaches the physical device when it has no auxiliary domains: one backed by a virtual function', () => {
    const { bench, parent, mediated, enter } = setup();
    const vf = parent(false);
    const { error, container, group } = enter(mediated(vf));
    expect(error).toBe(0);
    expect(attaches(bench)).toEqual([`attach ${vf.device.name} A`]);
    expect(bench.map(container, 0n, BUFFER, 0x1000n)).toBe(0);
    expect(bench.pins(BUFFER)).toBe(1);
    bench.driver.take();
    bench.unsetContainer(group);
    expect(attaches(bench)).toEqual([`attach ${vf.device.name} identity`]);
    expect(bench.pins(BUFFER)).toBe(0);
  });

  it('attaches an auxiliary domain where that is enabled, once for all devices of the group', () => {
    const { aux, bench, parent, mediated, enter } = setup();
    const one = parent(true);
    const { error, container, group } = enter(mediated(one, one));
    expect(error).toBe(0);
    expect(attaches(bench)).toEqual([`pasid ${one.device.name} 1 A`]);
    const { domain } = bench.type1(container).domains[0] ?? {};
    expect(aux.pasidOf(domain as never)).toBe(1);
    bench.unsetContainer(group);
    expect(attaches(bench)).toEqual([`pasid ${one.device.name} 1 blocked`]);
  });

  it('cannot attach one physical device twice without auxiliary domains, and leaves the first attach behind', () => {
    const { rules, parent, mediated, enter } = setup();
    const vf = parent(false);
    expect(enter(mediated(vf, vf)).error).toBe(-Errno.EBUSY);
    expect(rules.leftovers.map((member: { name: string }) => member.name)).toEqual(['mdev0']);
  });

  it('takes a group on two physical devices, or on none, as one that pins', () => {
    for (const parents of [2, 0]) {
      const { bench, parent, mediated, enter } = setup();
      const device = parents === 2 ? mediated(parent(true), parent(true)) : mediated(undefined);
      const { error, container } = enter(device);
      expect(error).toBe(0);
      expect(attaches(bench)).toEqual([]);
      expect(bench.type1(container).emulatedGroups).toHaveLength(1);
    }
  });

  it('lets two groups on one physical device share a domain', () => {
    const { bench, parent, mediated, enter } = setup();
    const one = parent(true);
    const { container } = enter(mediated(one));
    const second = bench.openGroup(mediated(one));
    bench.driver.take();
    expect(bench.setContainer(second, container)).toBe(0);
    expect(attaches(bench)).toEqual([`pasid ${one.device.name} 2 B`, `pasid ${one.device.name} 2 blocked`]);
    expect(bench.type1(container).domains).toHaveLength(1);
  });
});

describe('the rules that were discussed', () => {
  it('differ on a device backed by a virtual function: the group call always wants auxiliary domains', () => {
    const results = (['per-device', 'aux-group', 'stored-device', 'group-lookup'] as const).map((rule) => {
      const { parent, mediated, enter } = setup(rule);
      return enter(mediated(parent(false))).error;
    });
    expect(results).toEqual([0, -Errno.ENODEV, 0, 0]);
  });

  it('differ on two devices over one physical device without auxiliary domains: once for the group, or for each', () => {
    const results = (['per-device', 'aux-group', 'stored-device', 'group-lookup'] as const).map((rule) => {
      const { parent, mediated, enter } = setup(rule);
      const one = parent(false);
      return enter(mediated(one, one)).error;
    });
    expect(results).toEqual([-Errno.EBUSY, -Errno.ENODEV, 0, -Errno.EBUSY]);
  });
});
