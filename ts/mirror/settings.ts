import { announceRegionsMax, chunkRegionsMax, foundMax, logReadBytesMax, restrictedMax } from '../base/limits.js';

/** What an operator may set about the mirror log. Times are milliseconds. */
export interface MirrorSettings {
  /** How long a cleared region stays marked, so that its next mark costs nothing (R5). */
  readonly stickyIdleMs: number;
  /** Sticky marks of one log; the log's memory may hold fewer. 0: none. */
  readonly stickyMax: number;
  /** How long clean bits may wait for a write that is needed anyway. */
  readonly cleanCommitMs: number;
  /** Time between attempts to get a failed log device back (R16). */
  readonly logRetryMs: number;
  /** Take over a log that another host did not close (R9). Only right when that host is known to be down. */
  readonly forceForeignSession: boolean;
  /** The ordered transport reaches other hosts, which may have the same logs. */
  readonly shared: boolean;
  /** R13: without quorum new marks wait, or fail with -EIO. */
  readonly onQuorumLoss: 'wait' | 'fail';
  /** Regions of one part of a copy, in whole words of 64: a simulated log has few, and is to be copied in parts all the same. */
  readonly chunkRegions: number;
  /** Regions that a restart announces in one turn. With the next three: smaller in simulations, which else would never meet them. */
  readonly announceRegions: number;
  /** Bytes of one read of a log device; one logical block is read at least. A power of 2. */
  readonly logReadBytes: number;
  /** Regions that this kernel has found out of sync and that its state record names. */
  readonly foundMax: number;
  /** Regions that one node alone may recover (R10), times such nodes; the same on all hosts. */
  readonly restrictedMax: number;
}

export const mirrorSettingsDefault: MirrorSettings = {
  stickyIdleMs: 2000,
  stickyMax: 4096,
  cleanCommitMs: 1000,
  logRetryMs: 3000,
  forceForeignSession: false,
  shared: false,
  onQuorumLoss: 'wait',
  chunkRegions: chunkRegionsMax,
  announceRegions: announceRegionsMax,
  logReadBytes: logReadBytesMax,
  foundMax,
  restrictedMax,
};
