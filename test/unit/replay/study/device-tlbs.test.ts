// Switches of devices that have TLBs of their own: what the device adds to a blackout, and that nothing stale stays.
import { describe, expect, it } from 'vitest';
import type { PolicyResult } from '../../../../src/report/study/study-case.ts';
import { study, switchLoad } from '../../../support/switch-study.ts';

const load = (ats: boolean, fields: Readonly<Record<string, unknown>> = {}): Promise<string> =>
  switchLoad({ rows: 12_000, switches: 16, ats, pageBytes: 4096, regionBytes: 65_536, ...fields });

const medianBlackout = (result: PolicyResult | undefined): number => result?.summary.blackout.p50_ns ?? 0;

describe('a block and set-up of devices with TLBs', () => {
  it('takes longer by what waiting for the device takes, and by as much more as the device is slower', async () => {
    const policies = ['block-then-setup'] as const;
    const of = async (ats: boolean, overrides: readonly string[] = []) =>
      medianBlackout((await study(await load(ats), { policies, overrides })).get('block-then-setup'));
    const without = await of(false);
    const quick = await of(true);
    const slow = await of(true, ['endpoint.invalidationNs=2560']);
    // One more submission, and the device's round trip in it.
    expect(quick - without).toBeGreaterThan(1500);
    expect((slow - quick) / 2000).toBeCloseTo(1, 0);
  });

  it('6.12 turns ATS off first, and does not wait for the device', async () => {
    const options = { policies: ['block-then-setup'] as const, kernels: ['v6.12'] };
    const of = async (ats: boolean) => medianBlackout((await study(await load(ats), options)).get('block-then-setup'));
    expect(Math.abs((await of(true)) - (await of(false)))).toBeLessThan(500);
  });
});

it.each([
  ['first', 'first'],
  ['second', 'second'],
])(
  'from %s to %s stage: no policy that flushes by the right tag leaves a stale translation in a device',
  async (fromStage, toStage) => {
    const results = await study(await load(true, { fromStage, toStage }));
    for (const [policy, { summary }] of results) {
      // In-place flushes second-stage entries by PASID, which leaves the IOTLB's: a known defect of those kernels.
      if (policy === 'in-place' && fromStage === 'second') continue;
      expect([policy, summary.stale_after_return]).toEqual([policy, 0]);
      expect([policy, summary.switches]).toEqual([policy, 16]);
    }
  },
);

it('requests that a device TLB serves during the call count as the old table’s', async () => {
  const policies = ['make-before-break'] as const;
  const [plain, ats] = [await study(await load(false), { policies }), await study(await load(true), { policies })];
  const window = (results: typeof plain): number =>
    results.get('make-before-break')?.summary.stale_window.p50_ns ?? Number.NaN;
  expect(window(ats)).toBeGreaterThan(window(plain));
});
