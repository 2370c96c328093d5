/**
 * Every ioctl of VFIO: number, file, what it needs and which errors it may give (include/uapi/linux/vfio.h and Linux
 * drivers/vfio). 112 to 117 mean one thing on a container and another on a device.
 */
import type { Errno } from '../../src/errno.ts';

/** State of the file that a call is made on. */
export type IoctlScene =
  | 'empty container'
  | 'container with a group'
  | 'container with a backend'
  | 'free group'
  | 'group whose last device is gone'
  | 'group in a container'
  | 'group in a container with its device open'
  | 'unbound node'
  | 'node while the group is open'
  | 'bound node'
  | 'device opened by its group';

/** A word of the structure, or what stands for one that only a machine can tell. */
export type IoctlWord = number | 'container' | 'iommufd' | 'ioas' | 'group' | 'buffer low' | 'buffer high';

/** One ioctl. */
export interface IoctlRow {
  readonly name: string;
  /** The n of _IO(';', n). */
  readonly nr: number;
  /** What the argument is. */
  readonly argument: 'none' | 'value' | 'structure' | 'descriptor' | 'name';
  readonly ready: IoctlScene;
  /** A call that succeeds in the `ready` scene: the value, or the words of the structure. */
  readonly valid: readonly IoctlWord[];
  /** [bytes] Smallest argsz of a structure. */
  readonly minBytes?: number;
  /** Where something it needs is missing, and what it says then. */
  readonly unready: readonly { readonly scene: IoctlScene; readonly error: keyof typeof Errno }[];
  /** All errors it may give. */
  readonly errors: readonly (keyof typeof Errno)[];
}

/** Errors of a group that joins type1. */
const ATTACH_GROUP = ['EBUSY', 'EINVAL', 'ENODEV', 'EPERM', 'ENOMEM', 'EFAULT'] as const;
const BEFORE_BIND = [{ scene: 'unbound node', error: 'EINVAL' }] as const;

/** The table. */
export const VFIO_IOCTLS: readonly IoctlRow[] = [
  {
    name: 'VFIO_GET_API_VERSION',
    nr: 100,
    argument: 'none',
    ready: 'empty container',
    valid: [],
    unready: [],
    errors: [],
  },
  {
    name: 'VFIO_CHECK_EXTENSION',
    nr: 101,
    argument: 'value',
    ready: 'empty container',
    valid: [1],
    unready: [],
    errors: [],
  },
  {
    name: 'VFIO_SET_IOMMU',
    nr: 102,
    argument: 'value',
    ready: 'container with a group',
    valid: [3],
    unready: [
      { scene: 'empty container', error: 'EINVAL' },
      { scene: 'container with a backend', error: 'EINVAL' },
    ],
    errors: ['EINVAL', 'ENODEV', 'EPERM', ...ATTACH_GROUP],
  },
  {
    name: 'VFIO_GROUP_GET_STATUS',
    nr: 103,
    argument: 'structure',
    ready: 'free group',
    valid: [8, 0],
    minBytes: 8,
    unready: [{ scene: 'group whose last device is gone', error: 'ENODEV' }],
    errors: ['EFAULT', 'EINVAL', 'ENODEV'],
  },
  {
    name: 'VFIO_GROUP_SET_CONTAINER',
    nr: 104,
    argument: 'descriptor',
    ready: 'free group',
    valid: ['container'],
    unready: [
      { scene: 'group in a container', error: 'EINVAL' },
      { scene: 'group whose last device is gone', error: 'ENODEV' },
    ],
    errors: ['EFAULT', 'EBADF', 'EINVAL', 'ENODEV', 'EPERM', 'EBUSY', 'EBADFD', ...ATTACH_GROUP],
  },
  {
    name: 'VFIO_GROUP_UNSET_CONTAINER',
    nr: 105,
    argument: 'none',
    ready: 'group in a container',
    valid: [],
    unready: [
      { scene: 'free group', error: 'EINVAL' },
      { scene: 'group in a container with its device open', error: 'EBUSY' },
    ],
    errors: ['EINVAL', 'EBUSY'],
  },
  {
    name: 'VFIO_GROUP_GET_DEVICE_FD',
    nr: 106,
    argument: 'name',
    ready: 'group in a container',
    valid: [],
    unready: [
      { scene: 'free group', error: 'EINVAL' },
      { scene: 'group whose last device is gone', error: 'ENODEV' },
    ],
    errors: ['EFAULT', 'EINVAL', 'EACCES', 'ENODEV', 'EMFILE', 'EPERM'],
  },
  {
    name: 'VFIO_IOMMU_GET_INFO',
    nr: 112,
    argument: 'structure',
    ready: 'container with a backend',
    valid: [24, 0, 0, 0, 0, 0],
    minBytes: 16,
    unready: [{ scene: 'container with a group', error: 'EINVAL' }],
    errors: ['EFAULT', 'EINVAL'],
  },
  {
    name: 'VFIO_IOMMU_MAP_DMA',
    nr: 113,
    argument: 'structure',
    ready: 'container with a backend',
    valid: [32, 3, 'buffer low', 'buffer high', 0x10_0000, 0, 0x1000, 0],
    minBytes: 32,
    unready: [{ scene: 'container with a group', error: 'EINVAL' }],
    errors: ['EFAULT', 'EINVAL', 'ENOENT', 'EEXIST', 'ENOSPC', 'ENOMEM'],
  },
  {
    name: 'VFIO_IOMMU_UNMAP_DMA',
    nr: 114,
    argument: 'structure',
    ready: 'container with a backend',
    valid: [24, 0, 0x10_0000, 0, 0x1000, 0],
    minBytes: 24,
    unready: [{ scene: 'container with a group', error: 'EINVAL' }],
    errors: ['EFAULT', 'EINVAL', 'EBUSY'],
  },
  {
    name: 'VFIO_IOMMU_DIRTY_PAGES',
    nr: 117,
    argument: 'structure',
    ready: 'container with a backend',
    valid: [8, 1],
    minBytes: 8,
    unready: [{ scene: 'container with a group', error: 'EINVAL' }],
    errors: ['EACCES', 'EFAULT', 'EINVAL', 'ENOMEM'],
  },
  {
    name: 'VFIO_DEVICE_GET_INFO',
    nr: 107,
    argument: 'structure',
    ready: 'bound node',
    valid: [24, 0, 0, 0, 0, 0],
    minBytes: 16,
    unready: BEFORE_BIND,
    errors: ['EFAULT', 'EINVAL'],
  },
  {
    name: 'VFIO_DEVICE_GET_REGION_INFO',
    nr: 108,
    argument: 'structure',
    ready: 'bound node',
    valid: [32, 0, 0, 0, 0, 0, 0, 0],
    minBytes: 32,
    unready: BEFORE_BIND,
    errors: ['EFAULT', 'EINVAL'],
  },
  {
    name: 'VFIO_DEVICE_GET_IRQ_INFO',
    nr: 109,
    argument: 'structure',
    ready: 'bound node',
    valid: [16, 0, 0, 0],
    minBytes: 16,
    unready: BEFORE_BIND,
    errors: ['EFAULT', 'EINVAL'],
  },
  {
    name: 'VFIO_DEVICE_SET_IRQS',
    nr: 110,
    argument: 'structure',
    ready: 'bound node',
    valid: [20, 0x21, 0, 0, 1],
    minBytes: 20,
    unready: BEFORE_BIND,
    errors: ['EFAULT', 'EINVAL', 'EBADF', 'EBUSY'],
  },
  {
    name: 'VFIO_DEVICE_RESET',
    nr: 111,
    argument: 'none',
    ready: 'bound node',
    valid: [],
    unready: BEFORE_BIND,
    errors: ['EINVAL', 'EAGAIN'],
  },
  {
    name: 'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO',
    nr: 112,
    argument: 'structure',
    ready: 'bound node',
    valid: [20, 0, 0, 0, 0],
    minBytes: 12,
    unready: BEFORE_BIND,
    errors: ['EFAULT', 'EINVAL', 'ENODEV', 'ENOSPC', 'EPERM', 'EAGAIN'],
  },
  {
    name: 'VFIO_DEVICE_PCI_HOT_RESET',
    nr: 113,
    argument: 'structure',
    ready: 'device opened by its group',
    valid: [16, 0, 1, 'group'],
    minBytes: 12,
    unready: BEFORE_BIND,
    errors: ['EFAULT', 'EINVAL', 'ENODEV', 'EBADF', 'EBUSY'],
  },
  {
    name: 'VFIO_DEVICE_FEATURE',
    nr: 117,
    argument: 'structure',
    ready: 'bound node',
    // LOW_POWER_EXIT, SET.
    valid: [8, 0x2_0005],
    minBytes: 8,
    unready: BEFORE_BIND,
    // EBADF: the wake-up descriptor of LOW_POWER_ENTRY_WITH_WAKEUP.
    errors: ['EFAULT', 'EINVAL', 'ENOTTY', 'E2BIG', 'EOVERFLOW', 'EBADF'],
  },
  {
    name: 'VFIO_DEVICE_BIND_IOMMUFD',
    nr: 118,
    argument: 'structure',
    ready: 'unbound node',
    valid: [16, 0, 'iommufd', 0],
    minBytes: 16,
    unready: [
      { scene: 'bound node', error: 'EINVAL' },
      { scene: 'node while the group is open', error: 'EBUSY' },
      { scene: 'device opened by its group', error: 'EINVAL' },
    ],
    errors: ['EFAULT', 'EINVAL', 'EBUSY', 'EBADF', 'EBADFD', 'EPERM', 'ENODEV', 'EACCES', 'E2BIG'],
  },
  {
    name: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
    nr: 119,
    argument: 'structure',
    ready: 'bound node',
    valid: [12, 0, 'ioas'],
    minBytes: 12,
    unready: BEFORE_BIND,
    errors: ['EFAULT', 'EINVAL', 'ENOENT', 'EADDRINUSE', 'EBUSY', 'EOPNOTSUPP', 'ENOSPC', 'ENODEV'],
  },
  {
    name: 'VFIO_DEVICE_DETACH_IOMMUFD_PT',
    nr: 120,
    argument: 'structure',
    ready: 'bound node',
    valid: [8, 0],
    minBytes: 8,
    unready: BEFORE_BIND,
    errors: ['EFAULT', 'EINVAL', 'EOPNOTSUPP'],
  },
];

/** What files say to numbers that nobody knows. */
export const UNKNOWN_IOCTLS: readonly { readonly scene: IoctlScene; readonly error: keyof typeof Errno }[] = [
  { scene: 'free group', error: 'ENOTTY' },
  { scene: 'group in a container', error: 'ENOTTY' },
  { scene: 'container with a group', error: 'EINVAL' },
  { scene: 'container with a backend', error: 'ENOTTY' },
  { scene: 'unbound node', error: 'EINVAL' },
  { scene: 'bound node', error: 'ENOTTY' },
  { scene: 'device opened by its group', error: 'ENOTTY' },
];
