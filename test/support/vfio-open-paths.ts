/**
 * Who may open what beside whom: group file, device nodes, GET_DEVICE_FD and BIND (Linux drivers/vfio/{group,vfio_main,
 * device_cdev}.c). `d` and `e` are devices of one group. One row a present state, one cell an attempt in it.
 */
import type { Errno } from '../../src/errno.ts';

/** State in which the attempts are made. */
export type OpenPathState =
  | 'nothing is open'
  | 'the group is open without a container'
  | 'd is open through a container'
  | 'the node of d is open, unbound'
  | 'd is bound through its node'
  | 'd is open through an iommufd whose group file was closed'
  | 'a kernel driver has another device of the group'
  | 'the group has no IOMMU and the caller lacks CAP_SYS_RAWIO';

/** What is tried. */
export type OpenPathAttempt =
  | 'open the group'
  | 'open the node of d'
  | 'GET_DEVICE_FD of d'
  | 'GET_DEVICE_FD of d after a new SET_CONTAINER'
  | 'SET_CONTAINER with a container'
  | 'GET_DEVICE_FD of d with an iommufd'
  | 'BIND a new file of d'
  | 'BIND the same file of d'
  | 'BIND e to the same iommufd'
  | 'BIND e to another iommufd';

/** Outcome of one attempt. */
export interface OpenPathCell {
  readonly attempt: OpenPathAttempt;
  /** Name of the error, or `ok`. */
  readonly outcome: keyof typeof Errno | 'ok';
  /** Opens of d afterwards, where the table tells. */
  readonly openCount?: number;
}

/** One state. */
export interface OpenPathRow {
  readonly state: OpenPathState;
  readonly cells: readonly OpenPathCell[];
}

/** The table. */
export const OPEN_PATHS: readonly OpenPathRow[] = [
  {
    state: 'nothing is open',
    cells: [
      { attempt: 'open the group', outcome: 'ok' },
      { attempt: 'open the node of d', outcome: 'ok' },
      { attempt: 'BIND a new file of d', outcome: 'ok', openCount: 1 },
      { attempt: 'BIND e to another iommufd', outcome: 'ok' },
    ],
  },
  {
    state: 'the group is open without a container',
    cells: [
      { attempt: 'open the group', outcome: 'EBUSY' },
      { attempt: 'open the node of d', outcome: 'ok' },
      { attempt: 'GET_DEVICE_FD of d', outcome: 'EINVAL' },
      { attempt: 'BIND a new file of d', outcome: 'EBUSY', openCount: 0 },
      { attempt: 'BIND e to another iommufd', outcome: 'EBUSY' },
    ],
  },
  {
    state: 'd is open through a container',
    cells: [
      { attempt: 'open the group', outcome: 'EBUSY' },
      { attempt: 'open the node of d', outcome: 'ok' },
      { attempt: 'GET_DEVICE_FD of d', outcome: 'ok', openCount: 2 },
      { attempt: 'BIND a new file of d', outcome: 'EBUSY', openCount: 1 },
      { attempt: 'BIND e to another iommufd', outcome: 'EBUSY' },
    ],
  },
  {
    state: 'the node of d is open, unbound',
    cells: [
      { attempt: 'open the group', outcome: 'ok' },
      { attempt: 'open the node of d', outcome: 'ok' },
      { attempt: 'GET_DEVICE_FD of d after a new SET_CONTAINER', outcome: 'ok', openCount: 1 },
      { attempt: 'BIND a new file of d', outcome: 'ok', openCount: 1 },
      { attempt: 'BIND the same file of d', outcome: 'ok', openCount: 1 },
      { attempt: 'BIND e to another iommufd', outcome: 'ok' },
    ],
  },
  {
    state: 'd is bound through its node',
    cells: [
      { attempt: 'open the group', outcome: 'EBUSY' },
      { attempt: 'open the node of d', outcome: 'ok' },
      { attempt: 'BIND a new file of d', outcome: 'EINVAL', openCount: 1 },
      { attempt: 'BIND the same file of d', outcome: 'EINVAL', openCount: 1 },
      { attempt: 'BIND e to the same iommufd', outcome: 'ok' },
      { attempt: 'BIND e to another iommufd', outcome: 'EPERM' },
    ],
  },
  {
    state: 'd is open through an iommufd whose group file was closed',
    cells: [
      { attempt: 'open the group', outcome: 'ok' },
      { attempt: 'open the node of d', outcome: 'ok' },
      { attempt: 'GET_DEVICE_FD of d after a new SET_CONTAINER', outcome: 'ok', openCount: 2 },
      { attempt: 'BIND a new file of d', outcome: 'EINVAL', openCount: 1 },
      { attempt: 'BIND e to the same iommufd', outcome: 'ok' },
      { attempt: 'BIND e to another iommufd', outcome: 'EPERM' },
    ],
  },
  {
    state: 'a kernel driver has another device of the group',
    cells: [
      { attempt: 'open the group', outcome: 'ok' },
      { attempt: 'open the node of d', outcome: 'ok' },
      { attempt: 'SET_CONTAINER with a container', outcome: 'EPERM' },
      { attempt: 'GET_DEVICE_FD of d with an iommufd', outcome: 'EPERM', openCount: 0 },
      { attempt: 'BIND a new file of d', outcome: 'EPERM', openCount: 0 },
      { attempt: 'BIND e to another iommufd', outcome: 'EPERM' },
    ],
  },
  {
    state: 'the group has no IOMMU and the caller lacks CAP_SYS_RAWIO',
    cells: [
      { attempt: 'open the group', outcome: 'EPERM' },
      { attempt: 'open the node of d', outcome: 'ENOENT' },
    ],
  },
];
