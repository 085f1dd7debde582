/**
 * STATUS_INFO and STATUS_TABLE, exactly as cmirrord writes them: no NUL, and trailing spaces where it has them.
 * The kernel hands INFO to `dmsetup status` and to LVM as it is.
 */
import type { ConstructorArgs } from './constructor-args.js';

/** The log device's numbers. */
export interface DeviceNumbers {
  readonly major: number;
  readonly minor: number;
}

const minors = 2 ** 20;

/** Both numbers as the one that a state record keeps, never 0. */
export function packDevice({ major, minor }: DeviceNumbers): number {
  return (major % 4096) * minors + (minor % minors) + 1;
}

/** The numbers out of a state record's; null when they are not known. */
export function unpackDevice(packed: number): DeviceNumbers | null {
  return packed === 0 ? null : { major: Math.floor((packed - 1) / minors), minor: (packed - 1) % minors };
}

/** `1 clustered-core`, or `3 clustered-disk 253:4 A` (`D`: the log device failed). */
export function statusInfo(args: ConstructorArgs, device: DeviceNumbers, failed: boolean): string {
  if (args.kind === 'core') return '1 clustered-core';
  return `3 clustered-disk ${device.major}:${device.minor} ${failed ? 'D' : 'A'}`;
}

/** `clustered-core 1024  `: the words that were not given leave no space, the one before and the one behind stay. */
export function statusTable(args: ConstructorArgs, device: DeviceNumbers): string {
  const head = args.kind === 'core' ? 'clustered-core' : `clustered-disk ${device.major}:${device.minor}`;
  const sync = args.sync === 'default' ? '' : `${args.sync} `;
  const block = args.blockOnError ? 'block_on_error' : '';
  return `${head} ${args.regionSizeSectors} ${sync}${block} `;
}
