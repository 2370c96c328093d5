/**
 * Switching policies: how one translation gives way to another. A policy chooses driver behaviours of the modelled
 * kernel and the calls that user space makes; what it costs comes out of the replay.
 */
import type { KernelProfile } from '../../stack/kernel/profile.ts';

/** Policies, from what every kernel has to what none can have. */
export const SWITCH_POLICIES = [
  'detach-attach',
  'block-then-setup',
  'in-place',
  'clear-then-update',
  'entry-sync',
  'make-before-break',
] as const;

/** A name in {@link SWITCH_POLICIES}. */
export type SwitchPolicy = (typeof SWITCH_POLICIES)[number];

type Behaviours = Pick<KernelProfile['behaviours'], 'pasidReplace' | 'ridReplace'>;

/** Driver behaviours of each policy; `detach-attach` makes other calls and leaves the driver as it is. */
const BEHAVIOURS: Readonly<Record<Exclude<SwitchPolicy, 'detach-attach'>, Behaviours>> = {
  // Linux blocks RIDs only; a PASID is torn down and set up, which is the same thing for one entry.
  'block-then-setup': { ridReplace: 'block-then-setup', pasidReplace: 'clear-then-update' },
  'in-place': { ridReplace: 'in-place', pasidReplace: 'in-place' },
  'clear-then-update': { ridReplace: 'clear-then-update', pasidReplace: 'clear-then-update' },
  'entry-sync': { ridReplace: 'hitless', pasidReplace: 'entry-sync' },
  'make-before-break': { ridReplace: 'make-before-break', pasidReplace: 'make-before-break' },
};

/** What a policy is, in one line each. */
export const POLICY_DESCRIPTIONS: Readonly<Record<SwitchPolicy, string>> = {
  'detach-attach': 'two calls: detach, the gap of user space, attach',
  'block-then-setup': 'Linux RID replace: block the device, check, set up the new entry',
  'in-place': 'PASID entry overwritten piece by piece while live (Linux 6.13 to early 6.19)',
  'clear-then-update': 'one call that tears the entry down and sets up the new one (Linux 7.0 on)',
  'entry-sync': 'proposed: unused words first, one 128-bit store, clean-up; else as clear-then-update',
  'make-before-break': 'ideal lower bound: the whole entry changes in one store (no processor can)',
};

/** The kernel with the driver behaviours of a policy. */
export function kernelForPolicy(kernel: KernelProfile, policy: SwitchPolicy): KernelProfile {
  if (policy === 'detach-attach') return kernel;
  return { ...kernel, behaviours: { ...kernel.behaviours, ...BEHAVIOURS[policy] } };
}
