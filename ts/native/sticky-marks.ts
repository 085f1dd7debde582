/**
 * Marks that outlive the kernel's CLEAR for a while (R5), in bounded native memory: a list ordered by last use
 * with an index by region, so every call but `expire` takes constant time.
 */
import type { StickyMarks } from '../regions/region-map.js';
import { addon } from './addon.js';

/** A native set of sticky marks. Throws like `NativeRegionMap`. A time that goes back counts as the latest seen. */
export interface NativeStickyMarks extends StickyMarks {
  readonly closed: boolean;
  /** Forgets every mark without returning it: at PRESUSPEND, after the caller took them by `expire(Infinity)`. */
  clear(): void;
  close(): void;
}

export interface NativeStickyMarksConstructor {
  new (capacity: number, regionCount: number): NativeStickyMarks;
}

export const NativeStickyMarks = {
  /**
   * @param capacity most regions, 0 to 2^20. With 0 nothing ever sticks: `add` gives the region back at once.
   * @param regionCount regions at or beyond it are refused with a RangeError; 2^32 when left out.
   */
  create(capacity: number, regionCount: number = 2 ** 32): NativeStickyMarks {
    return new addon.StickyMarks(capacity, regionCount);
  },
} as const;
