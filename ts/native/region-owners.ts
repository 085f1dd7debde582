/**
 * Which node owns a mark of which region, in bounded native memory. It starts small and doubles up to its
 * capacity; nothing of it survives the process (the ordered stream brings it back).
 */
import type { RegionOwners } from '../regions/region-map.js';
import { addon } from './addon.js';

/**
 * A native owners table. Nodes are integers from 0 to 2^32 - 2. Throws like `NativeRegionMap`.
 *
 * `list` walks by a cursor: start at 0, hand back what the call before gave, stop at -1. Regions added or removed
 * between two calls may be missed or seen twice.
 */
export interface NativeRegionOwners extends RegionOwners {
  readonly closed: boolean;
  close(): void;
}

export interface NativeRegionOwnersConstructor {
  new (capacity: number, regionCount: number): NativeRegionOwners;
}

export const NativeRegionOwners = {
  /**
   * @param capacity most (region, node) pairs, 1 to 2^28.
   * @param regionCount regions at or beyond it are refused with a RangeError; 2^32 when left out.
   */
  create(capacity: number, regionCount: number = 2 ** 32): NativeRegionOwners {
    return new addon.RegionOwners(capacity, regionCount);
  },
} as const;
