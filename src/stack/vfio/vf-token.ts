/**
 * How vfio-pci recognises itself in the string of VFIO_GROUP_GET_DEVICE_FD: a PCI name, and behind it perhaps a VF token
 * (vfio_pci_core_match of Linux drivers/vfio/pci/vfio_pci_core.c).
 */
import { Errno } from '../../errno.ts';

const TOKEN_OPTION = 'vf_token=';
const UUID_CHARS = 36;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** SR-IOV role of a function as far as tokens matter. */
export interface TokenState {
  /** Number of this PF's VFs open through vfio-pci. */
  users: number;
  /** The PF's secret; all zero until set. */
  token: Uint8Array;
}

/** What the string says. */
export interface DeviceString {
  /** The 16 bytes of the token; undefined when none is given. */
  readonly token: Uint8Array | undefined;
}

/**
 * Takes the string apart: undefined = another device is meant; -EINVAL for an unknown or repeated option and for a token
 * that is no UUID.
 */
export function parseDeviceString(pciName: string, text: string): DeviceString | number | undefined {
  if (!text.startsWith(pciName)) return undefined;
  let rest = text.slice(pciName.length);
  if (rest !== '' && !rest.startsWith(' ')) return undefined;
  let token: Uint8Array | undefined;
  for (rest = rest.trimStart(); rest !== ''; rest = rest.replace(/^ +/, '')) {
    if (token !== undefined || !rest.startsWith(TOKEN_OPTION)) return -Errno.EINVAL;
    const uuid = rest.slice(TOKEN_OPTION.length, TOKEN_OPTION.length + UUID_CHARS);
    if (!UUID.test(uuid)) return -Errno.EINVAL;
    token = Uint8Array.from(Buffer.from(uuid.replaceAll('-', ''), 'hex'));
    rest = rest.slice(TOKEN_OPTION.length + UUID_CHARS);
  }
  return { token };
}
