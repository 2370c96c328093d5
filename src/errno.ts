/**
 * Linux error numbers. A modelled kernel call returns 0 or a positive value on success and a *negative* errno on
 * failure, as in the kernel; it never throws for one. Values: include/uapi/asm-generic/errno-base.h and errno.h.
 */

export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  ESPIPE: 29,
  ERANGE: 34,
  EDEADLK: 35,
  EOVERFLOW: 75,
  EBADFD: 77,
  EUSERS: 87,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ETIMEDOUT: 110,
  EREMOTEIO: 121,
  EPROBE_DEFER: 517,
} as const;

/** Symbolic name of an error number. */
export type ErrnoName = keyof typeof Errno;

const names = new Map<number, ErrnoName>(Object.entries(Errno).map(([name, value]) => [value, name as ErrnoName]));

/** Name of a positive or negative error number; `E<number>` when it is not in the table. */
export function errnoName(value: number): string {
  const magnitude = Math.abs(value);
  return names.get(magnitude) ?? `E${magnitude}`;
}
