/**
 * What the cores need to know of the regions of one log: three bits a region and who owns what.
 *
 * These are interfaces only: `ts/native` implements them over `cpp/core`, and the simulator uses that same
 * implementation. Region numbers are JavaScript numbers (exact below 2^53; a log has at most
 * `regionCountMax` regions), handed over in batches as the first `count` entries of a `Float64Array`, because
 * one native call for a batch costs what one for a single region costs.
 *
 * The three bits:
 *
 * | bit   | 1 means                                              | where it must survive                      |
 * | ----- | ---------------------------------------------------- | ------------------------------------------ |
 * | clean | no writer may be at work in the region               | log device (disk logs), state file          |
 * | sync  | the legs are known to be equal but for open writes   | state file; at resume derived from `clean`  |
 * | held  | this node's kernel has marked it and not cleared it  | state file (R2)                             |
 *
 * Every method throws a `RangeError` on a region outside the map: callers check what comes from outside first,
 * so a throw is a fault of the program, not of the world.
 */

/** Which bits of a map: clean or sync. */
export const MapBits = { clean: 0, sync: 1 } as const;
export type MapBits = (typeof MapBits)[keyof typeof MapBits];

/** The state bits of every region of one log. All mutators are single aligned stores a word (R2). */
export interface RegionMap {
  readonly regionCount: number;
  readonly cleanCount: number;
  readonly syncCount: number;
  readonly heldCount: number;

  isClean(region: number): boolean;
  isInSync(region: number): boolean;
  isHeld(region: number): boolean;
  /** True when this node's kernel already holds every one of the regions: the question of a repeat mark. */
  allHeld(regions: Float64Array, count: number): boolean;

  /** Room is given only where it is asked for with `reserve`: a large map. */
  readonly sparse: boolean;
  /**
   * Room for changes of these regions' bits, which sparse maps get only where they are used. False: there is none, and
   * the regions must not be changed. Regions that were reserved once, or changed, stay so.
   */
  reserve(regions: Float64Array, count: number): boolean;

  /** Sets `held`; returns how many were not held before. */
  hold(regions: Float64Array, count: number): number;
  /** Clears `held`; returns how many were held before. */
  unhold(regions: Float64Array, count: number): number;
  /** Clears `clean` (the region is dirty); returns how many were clean before. Tracks the changed log blocks. */
  markDirty(regions: Float64Array, count: number): number;
  /** Sets `clean`; returns how many were dirty before. Tracks the changed log blocks. */
  markClean(regions: Float64Array, count: number): number;
  /** Sets or clears `sync`; true when that changed something. */
  setInSync(region: number, inSync: boolean): boolean;

  /** First region at or after `from` whose sync bit is clear, or -1. Does not wrap. */
  nextOutOfSync(from: number): number;
  /** First region at or after `from` whose clean bit is clear, or -1. Does not wrap. */
  nextDirty(from: number): number;
  /** First region at or after `from` that is held, or -1. Does not wrap. */
  nextHeld(from: number): number;

  /** Sets every clean bit of [from, to) to `value`, tracking changed blocks. O(1) over a whole fresh map. */
  fillClean(from: number, to: number, value: boolean): void;
  /** Sets every sync bit of [from, to) to `value`. */
  fillInSync(from: number, to: number, value: boolean): void;
  /** sync := clean, for every region: what is dirty at a first resume is out of sync, whoever marked it. */
  copyCleanToInSync(): void;
  /** held := none. */
  unholdAll(): void;

  /**
   * Bytes of clean (0) or sync (1) bits from byte `firstByte` on, bit i%8 of byte i/8 for region i; bits past the end
   * read 0. For copies of a log that go from node to node.
   */
  exportBits(which: MapBits, firstByte: number, into: Uint8Array): void;
  /** Takes such bytes; `firstByte` is a multiple of 8. False, and nothing taken, when there is no room (`reserve`). */
  importBits(which: MapBits, firstByte: number, bytes: Uint8Array): boolean;
}

/**
 * Which node owns a mark of which region, as the ordered stream has it: the replicated truth, while `held` is
 * this kernel's own. Bounded: at most `capacity` (region, node) pairs, 32 bytes each at worst.
 */
export interface RegionOwners {
  readonly size: number;
  readonly capacity: number;
  /** Adds (region, node) pairs; present ones count as added. False, and nothing added, when they would not fit. */
  add(node: number, regions: Float64Array, count: number): boolean;
  /** Removes pairs; returns how many were there. */
  remove(node: number, regions: Float64Array, count: number): number;
  has(node: number, region: number): boolean;
  /** Number of nodes that own the region. */
  ownerCount(region: number): number;
  /** True when a node other than `node` owns the region. */
  ownedByOther(node: number, region: number): boolean;
  /** Removes every pair of `node`; returns how many there were. */
  removeNode(node: number): number;
  /** Writes regions of `node` into `out`, from `cursor` (0 first); returns [written, next cursor or -1]. */
  list(node: number, cursor: number, out: Float64Array): readonly [number, number];
  /**
   * Writes the pairs of the regions in [from, to), in no order, to both arrays (equally long); returns how many there
   * are. More than the arrays are long: not all of them were written.
   */
  listRange(from: number, to: number, regions: Float64Array, nodes: Float64Array): number;
  clear(): void;
}

/**
 * Marks that outlive the kernel's CLEAR for a while (R5), oldest first. Bounded: at most `capacity` regions.
 * Times are milliseconds of the caller's clock and must not go back.
 */
export interface StickyMarks {
  readonly size: number;
  readonly capacity: number;
  /** Adds the region, or renews its time. Returns the oldest region, dropped to make room, or -1. */
  add(region: number, nowMs: number): number;
  remove(region: number): boolean;
  has(region: number): boolean;
  /** Moves regions last used at or before `untilMs` into `out`, oldest first; returns how many. */
  expire(untilMs: number, out: Float64Array): number;
  /** Time of the oldest entry, or -1 when there is none: when the next `expire` is due. */
  oldestMs(): number;
}
