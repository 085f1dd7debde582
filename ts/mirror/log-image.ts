/**
 * The contents of a disk log as they should be on its device, and which 4 KiB blocks of it have changed.
 *
 * Layout (classic area of the kernel's `disk` log and of cmirrord, byte for byte, plus the session record R9):
 *
 * | offset | bytes | what                                                             |
 * | ------ | ----- | ---------------------------------------------------------------- |
 * | 0      | 16    | magic 0x4D695272, version 2, region count (u64)                   |
 * | 512    | 512   | session record, or zero                                          |
 * | 1024   | n     | clean bits, bit i%8 of byte i/8, n = ceil(region count / 8)       |
 *
 * The area ends at 1024 + n rounded up to the device's logical block size. Interface only; `cpp/core` has it.
 */

/** What the header of a log device says. */
export interface LogHeader {
  /** `none`: no log there (a foreign or empty device); `unsupported`: a version we must not read. */
  readonly kind: 'valid' | 'none' | 'unsupported';
  readonly version: number;
  readonly regionCount: number;
}

/** The session record at byte 512 (R9). Absent, foreign or torn: null. */
export interface LogSession {
  readonly uuid: string;
  readonly writerEpoch: number;
  readonly nodeName: string;
  readonly bootId: string;
  readonly resumeCount: number;
  /** 0: its writer did not say. */
  readonly regionSizeSectors: number;
  /** True when its writer closed the log in order. */
  readonly closed: boolean;
}

export interface LogImage {
  /** Sets the device's logical block size (512 or 4096), which rounds the end of the area. */
  setLogicalBlockBytes(bytes: number): void;
  /** Bytes that the whole area takes on the device. */
  readonly areaBytes: number;
  /** Changed blocks that no plan has taken yet. */
  readonly changedBlocks: number;

  /** Takes the blocks changed since the last plan as the next write; returns their number. 0: nothing to write. */
  plan(): number;
  /** Plans every block of the area. */
  planAll(): number;
  /** Gives the planned blocks back as changed, after a write that failed. */
  unplan(): void;
  /** Number of contiguous runs in the plan, and where each lies. For simulated devices and tests. */
  readonly runCount: number;
  runOffset(run: number): number;
  runBytes(run: number): number;
  /** Encodes the run from memory as it is now. */
  encodeRun(run: number, into: Uint8Array): void;

  /** Null: there is none. */
  setSession(session: LogSession | null): void;
  /**
   * Region count that the header claims from the next encoding on; at first, and usually, the map's. A log that takes
   * a device over or has grown claims only what was there before until the rest is durable: a torn write must never
   * leave a header in front of bits that nobody wrote.
   */
  setRecordedRegionCount(count: number): void;
  /** Reads header and session out of the first 1024 bytes or more. */
  decodeHead(bytes: Uint8Array): { readonly header: LogHeader; readonly session: LogSession | null };
  /**
   * Takes device bytes from `offset` (a multiple of 512, at least 0) into the clean bits of the regions they
   * cover that are below `regionLimit`; others stay. What is taken counts as unchanged. False, and nothing taken, when the map has
   * no room for it (`RegionMap.reserve`).
   */
  importBytes(offset: number, bytes: Uint8Array, regionLimit: number): boolean;
  /** Byte offset of the first difference between `bytes` read at `offset` and the image, or -1: read back (R16). */
  firstDifference(offset: number, bytes: Uint8Array): number;
}
