/**
 * The errno values that the kernel side and the devices speak, as positive Linux numbers. Replies to the kernel
 * carry the negative.
 */
import { getSystemErrorMap } from 'node:util';

export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  ENXIO: 6,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EISDIR: 21,
  EINVAL: 22,
  ENOSPC: 28,
  EBADE: 52,
  ENODATA: 61,
  ENOTCONN: 107,
  ESTALE: 116,
} as const;
export type Errno = (typeof Errno)[keyof typeof Errno];

const names = new Map<number, string>(Object.entries(Errno).map(([name, value]) => [value, name]));

/** `EIO` for 5 and for -5; `errno 999` for what has no name here. */
export function errnoName(errno: number): string {
  return names.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}

/** What the file system said, for people who know which file: without the code, the call and the path that Node adds. */
export function fileErrorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const errno = 'errno' in error && typeof error.errno === 'number' ? error.errno : 0;
  return getSystemErrorMap().get(errno)?.[1] ?? error.message;
}
