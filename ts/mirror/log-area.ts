/** How much room a disk log needs (R17). Pure arithmetic; `cpp/core` has the same for the image itself. */
import { logBitsOffset } from '../base/limits.js';

/** Bytes of the area of a log of `regionCount` regions: header and bits, up to a whole logical block. */
export function logAreaBytes(regionCount: number, logicalBlockBytes: number): number {
  return roundUp(logBitsOffset + Math.ceil(regionCount / 8), logicalBlockBytes);
}

/** Null when it fits; otherwise the line for people, which names both sizes. */
export function doesNotFit(regionCount: number, device: { bytes: number; logicalBlockBytes: number }): string | null {
  const needed = logAreaBytes(regionCount, device.logicalBlockBytes);
  if (needed <= device.bytes) return null;
  return `the log of ${regionCount} regions takes ${needed} bytes, its device has ${device.bytes}`;
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
