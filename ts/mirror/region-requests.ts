/**
 * The kernel's requests that name regions: their payload, whether the log can answer in the life cycle it is in (the table of
 * mirror-log.ts), and the answer, or the mark, clear or flush that they are. Recovery's are handed on to
 * recovery-requests.ts.
 */
import { Errno } from '../base/errno.js';
import { payloadRegionsMax } from '../base/limits.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_SET_REGION_SYNC,
  type RequestView,
} from '../base/ulog-frames.js';
import type { Progress } from './flush-waiters.js';
import type { LogLife } from './log-life.js';
import type { LogParts } from './log-parts.js';
import { LifeCycle, serves } from './log-state.js';
import type { RecoveryRequests } from './recovery-requests.js';
import { report } from './world.js';

const regions = new Float64Array(payloadRegionsMax);

export class RegionRequests {
  readonly #parts: LogParts;
  readonly #life: LogLife;
  readonly #recoveryRequests: RecoveryRequests;
  readonly #progress: Progress;
  /** The map is a large one. */
  readonly #reserves: boolean;
  /** R3: the kernel was seen outside a flush, so no mark of the flush that it is in went to a daemon that is gone. */
  #flushIsOurs = false;

  constructor(parts: LogParts, life: LogLife, recoveryRequests: RecoveryRequests, progress: Progress) {
    this.#parts = parts;
    this.#life = life;
    this.#recoveryRequests = recoveryRequests;
    this.#progress = progress;
    this.#reserves = parts.state.map.sparse;
  }

  /** Every mark that the kernel holds is stored. */
  marksAreOurs(): void {
    this.#flushIsOurs = true;
  }

  /** Any request of the log has come. */
  seen(type: number): void {
    if (this.#parts.state.marksUnknown && showsNoFlush(type)) this.#flushIsOurs = true;
  }

  /** A request in whichever life cycle the log is. */
  handle(request: RequestView, type: number, seq: number, nowMs: number): void {
    const { effects } = this.#parts.world;
    const count = request.readRegions(regions);
    if (!payloadFits(type, count) || this.#outside(type, count)) {
      effects.reply(seq, type, -Errno.EINVAL);
      return;
    }
    if (type === DM_ULOG_MARK_REGION) this.#recoveryRequests.round.marked();
    else if (type === DM_ULOG_FLUSH) this.#recoveryRequests.round.flushed(count);
    if (this.#parts.state.lifeCycle === LifeCycle.resuming) {
      this.#whileResuming(type, seq, count);
      return;
    }
    if (!serves(this.#parts.state)) {
      if (type === DM_ULOG_CLEAR_REGION) this.#clearBehindLeave(count);
      effects.reply(seq, type, -Errno.ENOENT);
      return;
    }
    if (this.#reserves && changesRegions(type) && !this.#reserve(type, count)) {
      effects.reply(seq, type, -Errno.ENOSPC);
      return;
    }
    const region = regions[0] as number;
    switch (type) {
      case DM_ULOG_IS_CLEAN:
        effects.replyValue(seq, type, this.#parts.state.map.isClean(region) ? 1 : 0);
        return;
      case DM_ULOG_IN_SYNC:
        effects.replyValue(seq, type, this.#isInSync(region) ? 1 : 0);
        return;
      case DM_ULOG_MARK_REGION:
        this.#parts.marks.mark(regions, count);
        effects.reply(seq, type, 0);
        return;
      case DM_ULOG_CLEAR_REGION:
        this.#parts.marks.clear(regions, count, nowMs);
        effects.reply(seq, type, 0);
        return;
      case DM_ULOG_FLUSH:
        this.#flush(seq, count, nowMs);
        return;
      case DM_ULOG_SET_REGION_SYNC:
        this.#recoveryRequests.setRegionSync(seq, region, request.readSigned(1));
        return;
      case DM_ULOG_IS_REMOTE_RECOVERING:
        this.#recoveryRequests.isRemoteRecovering(seq, region);
        return;
    }
  }

  /** Room for what the request changes: a full /run must be an error to the kernel and not the end. */
  #reserve(type: number, count: number): boolean {
    const { map } = this.#parts.state;
    if (map.reserve(regions, type === DM_ULOG_SET_REGION_SYNC ? 1 : count)) return true;
    report(
      this.#parts.world,
      'error',
      'state-full',
      this.#parts.uuid,
      'no room left in the state folder: a request was refused',
    );
    return false;
  }

  /** Of SET_REGION_SYNC only the first value is a region. What no number can say exactly has been read as NaN. */
  #outside(type: number, count: number): boolean {
    const { regionCount } = this.#parts.state.geometry;
    const named = type === DM_ULOG_SET_REGION_SYNC ? 1 : count;
    for (let i = 0; i < named; i++) if (!((regions[i] as number) < regionCount)) return true;
    return false;
  }

  /**
   * A kernel's last clears may come behind its POSTSUSPEND, and it does not repeat them. Kept, such a mark would be announced at the
   * next resume: of no kernel any more, it would keep all other nodes from recovering the region, for ever. On one host this kernel
   * recovers what it holds, and clears it then.
   */
  #clearBehindLeave(count: number): void {
    const { replica, state } = this.#parts;
    if (replica.rights.shared) state.map.unhold(regions, count);
  }

  /** Nothing is known yet: writes are held back, and what must be said for good is refused (log-life.ts). */
  #whileResuming(type: number, seq: number, count: number): void {
    const { effects } = this.#parts.world;
    const { drains } = this.#life;
    switch (type) {
      case DM_ULOG_IN_SYNC:
        effects.replyValue(seq, type, drains ? 1 : 0);
        return;
      case DM_ULOG_IS_REMOTE_RECOVERING:
        effects.replyPair(seq, type, drains ? 0 : 1, drains ? this.#parts.state.map.regionCount : 0);
        return;
      case DM_ULOG_CLEAR_REGION:
        this.#parts.state.map.unhold(regions, count);
        effects.reply(seq, type, 0);
        return;
    }
    effects.reply(seq, type, -Errno.EIO);
  }

  /**
   * Of a log of unknown marks (R3) it is not known either which hint its kernel was told, and it may be any: a "no" would let it write
   * without marks, and go on so when it has resumed and others have recovered the region (R10, R12).
   */
  #isInSync(region: number): boolean {
    const { state, replica } = this.#parts;
    if (state.lifeCycle === LifeCycle.halted || state.inSyncLatched || state.map.isInSync(region)) return true;
    if (state.marksUnknown && replica.rights.shared) return true;
    return region < replica.record.hint || this.#recoveryRequests.round.mayBeAdmitted(region);
  }

  /**
   * A flush whose marks may have gone to a daemon that is gone, state and all: any region may be the one that is written
   * next. So all of them are dirty before it is answered, and are resynced after the next suspend and resume.
   */
  #distrust(nowMs: number): void {
    const { map } = this.#parts.state;
    this.#flushIsOurs = true;
    const { shared } = this.#parts.replica.rights;
    if (shared) {
      // Every replica does it, at one place of the order; the flush waits as for a mark. Also where all is dirty here: others may not know it yet.
      this.#parts.marks.distrustAll();
    }
    if (map.cleanCount === 0) return;
    if (!shared) {
      map.fillClean(0, map.regionCount, false);
      this.#life.store?.changed(true, nowMs);
    }
    report(
      this.#parts.world,
      'warning',
      'marks-distrusted',
      this.#parts.uuid,
      'marks were lost with the state: every region is dirty',
    );
  }

  /** FLUSH may be answered at all: the group has quorum (R13), and nobody else recovers a region that this kernel holds (R4). */
  get mayPromise(): boolean {
    const { replica, recovery, state } = this.#parts;
    if (!replica.rights.mayPromise) return false;
    const elsewhere = recovery.recoveredElsewhere;
    // Whose marks are not known may hold any region.
    return elsewhere < 0 || (!state.map.isHeld(elsewhere) && !state.marksUnknown);
  }

  /** R13: repeats of what was promised once go on. True when the flush was answered. */
  #withoutGroup(seq: number): boolean {
    const { world, marks, state } = this.#parts;
    // What is not known (R3) may be a new mark.
    if (marks.allPromised && !state.marksUnknown) {
      world.effects.reply(seq, DM_ULOG_FLUSH, 0);
      return true;
    }
    if (!this.#fails) return false;
    this.#failWithoutQuorum(seq);
    return true;
  }

  /** What nobody may promise is refused. Not while quorum is only unsaid, as when somebody comes, is lost, or a daemon has just begun. */
  get #fails(): boolean {
    return this.#parts.world.settings.onQuorumLoss === 'fail' && this.#parts.replica.rights.inquorate;
  }

  #failWithoutQuorum(seq: number): void {
    const { world, marks, failures, uuid } = this.#parts;
    if (!marks.doubted) {
      const text = 'no quorum, and its kernel was told so: it writes nothing there until its table is loaded anew';
      report(world, 'warning', 'flush-failed', uuid, text);
    }
    failures.fail(seq);
  }

  /** Flushes that wait when quorum is lost are refused as those that come later: their kernel would not ask before its time-out. */
  refuseWaiting(): void {
    if (this.#fails) this.#parts.waiters.withdraw(DM_ULOG_FLUSH, (seq) => this.#failWithoutQuorum(seq));
  }

  #flush(seq: number, count: number, nowMs: number): void {
    const { effects, acknowledgedOrder } = this.#parts.world;
    const marks = this.#parts.marks;
    if (count > 0) marks.mark(regions, count);
    else if (this.#parts.state.marksUnknown && !this.#flushIsOurs) this.#distrust(nowMs);
    if (this.#parts.failures.deviceFails) {
      this.#parts.failures.fail(seq);
      return;
    }
    if (!this.#parts.replica.rights.mayPromise && this.#withoutGroup(seq)) return;
    const delivered = this.mayPromise && marks.marksDelivered === marks.marksAwaited;
    if (delivered && marks.lastMarkOrder <= acknowledgedOrder && (this.#life.store?.allDurable ?? true)) {
      marks.promised(marks.fresh);
      effects.reply(seq, DM_ULOG_FLUSH, 0);
      return;
    }
    this.#parts.waiters.add(DM_ULOG_FLUSH, seq, marks.marksAwaited, this.#progress);
    this.#parts.replica.requested();
  }
}

/** How many 64-bit values a request must carry. */
function payloadFits(type: number, count: number): boolean {
  switch (type) {
    case DM_ULOG_FLUSH:
      return count >= 0;
    case DM_ULOG_MARK_REGION:
    case DM_ULOG_CLEAR_REGION:
      return count >= 1;
    case DM_ULOG_SET_REGION_SYNC:
      return count === 2;
    default:
      return count === 1;
  }
}

/** Requests that may change the bits of the regions they name. */
function changesRegions(type: number): boolean {
  return (
    type === DM_ULOG_MARK_REGION ||
    type === DM_ULOG_CLEAR_REGION ||
    type === DM_ULOG_FLUSH ||
    type === DM_ULOG_SET_REGION_SYNC
  );
}

/** Requests that the kernel's worker never sends between the first mark of a flush and its FLUSH. */
function showsNoFlush(type: number): boolean {
  switch (type) {
    case DM_ULOG_CLEAR_REGION:
    case DM_ULOG_IN_SYNC:
    case DM_ULOG_GET_RESYNC_WORK:
    case DM_ULOG_SET_REGION_SYNC:
    case DM_ULOG_IS_REMOTE_RECOVERING:
      return true;
    default:
      return false;
  }
}
