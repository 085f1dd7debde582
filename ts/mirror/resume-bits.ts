/**
 * What the bits of a log are when it is resumed: the one place that decides which regions count as clean and in sync
 * from then on. No device, no messages.
 *
 * *Disk log*: the device's clean bits are in the map already. Regions that this kernel still holds, regions that
 * an instance of the same log on this host held or knew to be out of sync when its device had failed, and regions that an
 * instance without a device, or with another one, knew to be out of sync, become dirty. Then sync := clean: whatever was
 * dirty, whoever marked it, is out of sync now.
 *
 * *Core log*, first resume of a constructor: nothing is in sync, unless `nosync` says that everything is. The word
 * stands in the table for good, so on a table reload it is believed only as far as the instance before knew no
 * better, and not at all when that instance's state was lost. Without the word a reload starts from nothing, as with the kernel's own core log: the new table may have
 * other legs, and no part of it that a daemon sees tells. Later resumes of the same instance keep its bits, as the
 * kernel's core log does and cmirrord does not.
 *
 * An instance that is destroyed takes along what it alone knew. One of its uuid that has not been resumed by then (its device
 * could not be loaded) is told so, and begins with nothing in sync.
 *
 * *Marks unknown* (R3): nothing that could be in the kernel's hands becomes clean or in sync. Of a core log that is
 * everything, also at the resume that ends this state: what had been out of sync before is lost.
 */

import { Errno } from '../base/errno.js';
import { announceRegionsMax } from '../base/limits.js';
import type { RegionMap } from '../regions/region-map.js';
import type { ConstructorArgs } from './constructor-args.js';
import type { LogHeader, LogSession } from './log-image.js';
import type { LogState } from './log-state.js';
import type { HeadVerdict } from './store-owner.js';

/** What the search position says of a record that was never resumed; its first resume begins the search at 0. */
export const SearchStart = {
  /** Made, and nothing stored since: a daemon was killed there. Or resumed up to where the search begins. */
  undecided: 0,
  /** Made by a constructor without NUL, and no other instance of its uuid is known to be in use. */
  constructed: 1,
  /**
   * The same, but an instance has gone that knew more than this one's log device or constructor says: it was destroyed, or
   * suspended and not known here.
   */
  knowledgeLost: 2,
} as const;

/** Who we are, for a session record that may be another's (R9). */
export interface SessionGuard {
  readonly nodeName: string;
  readonly forceForeignSession: boolean;
}

/** Whether a device may be used, and how much of what it has is kept. */
export function judgeHead(
  state: LogState,
  args: ConstructorArgs,
  guard: SessionGuard,
  header: LogHeader,
  session: LogSession | null,
): HeadVerdict {
  if (header.kind === 'unsupported') {
    return { ok: false, errno: Errno.EINVAL, text: `the log has version ${header.version}, which is not known here` };
  }
  if (session !== null && !session.closed && session.nodeName !== guard.nodeName && !guard.forceForeignSession) {
    const text = `host ${session.nodeName} has not closed the log (resume ${session.resumeCount}, boot ${session.bootId})`;
    return { ok: false, errno: Errno.EBUSY, text };
  }
  // `sync` forces a resync once: at every resume of the same table it would never come to an end.
  const forced = args.sync === 'sync' && !state.everResumed;
  return {
    ok: true,
    keepRegions: header.kind === 'valid' && !forced ? header.regionCount : 0,
    fillClean: args.sync === 'nosync' && !state.marksUnknown,
  };
}

/** The clean bits of a disk log are loaded, or memory has them: what follows. */
export function deriveDiskBits(state: LogState, predecessors: Iterable<LogState>): void {
  const { map } = state;
  if (!state.everResumed && state.searchPosition === SearchStart.knowledgeLost) {
    map.fillClean(0, map.regionCount, false);
  }
  const batch = new Float64Array(Math.min(map.regionCount, announceRegionsMax));
  forEachBatch(
    map.regionCount,
    batch,
    (from) => map.nextHeld(from),
    (count) => void map.markDirty(batch, count),
  );
  // R16: the device missed what was out of sync in memory, where that stands until the end of this.
  if (state.everResumed && state.logFailed) mergeDirty(map, map, batch);
  for (const before of predecessors) {
    if (isElsewhere(state, before)) takeOutOfSync(state, before);
    if (!before.logFailed || before.image === null) continue;
    if (before.geometry.regionSizeSectors !== state.geometry.regionSizeSectors) {
      map.fillClean(0, map.regionCount, false);
    } else {
      mergeDirty(map, before.map, batch);
    }
  }
  map.copyCleanToInSync();
}

/** What another device or memory alone knew to be out of sync, this device cannot know. */
function isElsewhere(state: LogState, before: LogState): boolean {
  return before.image === null || before.deviceNumber !== state.deviceNumber;
}

/** What the table before knew last comes into a load of this one from its memory. */
export function isMerged(state: LogState, before: LogState): boolean {
  return isElsewhere(state, before) || before.logFailed;
}

/** The bits of a core log at a resume. Safe to do again after a kill in the middle. */
export function deriveCoreBits(state: LogState, args: ConstructorArgs, predecessors: Iterable<LogState>): void {
  const { map } = state;
  const all = map.regionCount;
  if (!state.marksUnknown) {
    if (state.everResumed) return;
    // Killed behind this step: it is not done again, because what it went by is gone.
    if (state.searchPosition === SearchStart.undecided) return;
  }
  const trusted = !state.marksUnknown && state.searchPosition === SearchStart.constructed;
  const inSync = trusted && args.sync === 'nosync';
  map.fillInSync(0, all, inSync);
  map.fillClean(0, all, inSync);
  if (!inSync) return;
  for (const before of predecessors) takeOutOfSync(state, before);
}

/** Whether `before` knows of regions that `next`, not resumed yet, could learn from nobody else. */
export function knowsMore(before: LogState, next: LogState): boolean {
  if (!before.everResumed) return false;
  if (before.logFailed && before.image !== null && next.image !== null) return true;
  if (before.image !== null && next.image !== null && before.deviceNumber === next.deviceNumber) return false;
  return before.marksUnknown || before.doubted || before.map.syncCount < before.map.regionCount;
}

function takeOutOfSync(state: LogState, before: LogState): void {
  const { map } = state;
  const sameSize = before.geometry.regionSizeSectors === state.geometry.regionSizeSectors;
  if (
    before.marksUnknown ||
    before.map.syncCount === 0 ||
    (!sameSize && (before.doubted || before.map.syncCount < before.map.regionCount))
  ) {
    map.fillClean(0, map.regionCount, false);
    map.fillInSync(0, map.regionCount, false);
    return;
  }
  const end = Math.min(map.regionCount, before.map.regionCount);
  const batch = new Float64Array(Math.min(end, announceRegionsMax));
  const take = (count: number) => {
    map.markDirty(batch, count);
    for (const region of batch.subarray(0, count)) map.setInSync(region, false);
  };
  forEachBatch(end, batch, (from) => before.map.nextOutOfSync(from), take);
  // Of what it held when a FLUSH failed nobody knows which writes went wrong.
  if (before.doubted) forEachBatch(end, batch, (from) => before.map.nextHeld(from), take);
}

/** What the kernel held of it, and what was out of sync. The rest was written to all legs or never written at all. */
function mergeDirty(map: RegionMap, before: RegionMap, batch: Float64Array): void {
  const end = Math.min(map.regionCount, before.regionCount);
  const take = (count: number) => void map.markDirty(batch, count);
  forEachBatch(end, batch, (from) => before.nextHeld(from), take);
  if (before.syncCount === 0) map.fillClean(0, end, false);
  else forEachBatch(end, batch, (from) => before.nextOutOfSync(from), take);
}

/** Calls `take` for every region below `end` that `find` finds, as the first `count` entries of `batch`. */
function forEachBatch(
  end: number,
  batch: Float64Array,
  find: (from: number) => number,
  take: (count: number) => void,
): void {
  let count = 0;
  for (let region = find(0); region >= 0 && region < end; region = region + 1 < end ? find(region + 1) : -1) {
    batch[count++] = region;
    if (count < batch.length) continue;
    take(count);
    count = 0;
  }
  if (count > 0) take(count);
}
