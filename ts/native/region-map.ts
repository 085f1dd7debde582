/**
 * The state bits of every region of one log, in native memory.
 *
 * The handle is the native object itself, without a layer of JavaScript in between: a call costs some tens of
 * nanoseconds, a batch of 256 regions about ten nanoseconds a region. Its memory is mapped lazily, so a map of
 * 2^32 regions that nobody wrote to takes next to nothing.
 */
import type { RegionMap } from '../regions/region-map.js';
import { addon } from './addon.js';

/**
 * A native region map: everything of `RegionMap`, and an end.
 *
 * A map that belongs to a `NativeLogState` ends with it. Every method throws an `Error` with code
 * `ERR_LOCKSTEP_CLOSED` after the end, a `RangeError` on a region outside the map or a count beyond the array, a
 * `TypeError` on an argument of another type.
 */
export interface NativeRegionMap extends RegionMap {
  readonly closed: boolean;
  /** First region at or after `from`, going round once, whose sync bit is clear; -1 when all are in sync. */
  nextOutOfSyncWrapped(from: number): number;
  /** Gives the memory back. Twice is fine; ignored on a map that belongs to a `NativeLogState`. */
  close(): void;
}

export interface NativeRegionMapConstructor {
  new (regionCount: number): NativeRegionMap;
}

export const NativeRegionMap = {
  /**
   * A map of its own in anonymous memory, every bit 0. For tests, the bench and whoever needs no state file.
   *
   * @param regionCount 1 to 2^32.
   * @throws RangeError for another count; Error with code ENOMEM.
   */
  anonymous(regionCount: number): NativeRegionMap {
    return new addon.RegionMap(regionCount);
  },
} as const;
