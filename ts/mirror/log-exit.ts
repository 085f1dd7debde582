/**
 * How a log is left: POSTSUSPEND, DTR, or without a request when its kernel is known to have gone on. What is held is dirty when it
 * has left; the last member closes the log device.
 */
import { Errno, errnoName } from '../base/errno.js';
import { DM_ULOG_DTR, DM_ULOG_POSTSUSPEND } from '../base/ulog-frames.js';
import type { LifeParts } from './life-parts.js';
import type { LogEntry } from './log-entry.js';
import type { LogHalt } from './log-halt.js';
import { LifeCycle } from './log-state.js';
import { anyValid } from './member-table.js';
import { MessageType } from './messages.js';
import { knowsMore, SearchStart } from './resume-bits.js';
import { SeqList } from './seq-list.js';
import { report } from './world.js';

export class LogExit {
  readonly #parts: LifeParts;
  readonly #entry: LogEntry;
  readonly #halt: LogHalt;
  readonly #leaves = new SeqList();
  readonly #destroys = new SeqList();
  #whenLeft: (() => void)[] = [];
  #abandoning = false;
  /** `leave` waits for sweep and announcement of a restart: what is held has to be dirty when it has left. */
  #leaveWaits = false;
  /** The last member cannot close the log yet: there is no quorum. */
  #closeWaits = false;
  #closeErrno = 0;
  /** It was the last member and has closed the log. */
  #closed = false;

  constructor(parts: LifeParts, entry: LogEntry, halt: LogHalt) {
    this.#parts = parts;
    this.#entry = entry;
    this.#halt = halt;
  }

  /** Leaves out of a load. */
  get abandoning(): boolean {
    return this.#abandoning;
  }

  /** On its way out of the group. */
  get leaves(): boolean {
    return this.#parts.state.lifeCycle === LifeCycle.leaving || this.#abandoning;
  }

  /** To be removed as soon as it has left. */
  get goes(): boolean {
    return this.#destroys.count > 0;
  }

  /** POSTSUSPEND. */
  postsuspend(seq: number): void {
    const { world, state } = this.#parts;
    if (state.lifeCycle === LifeCycle.pending) {
      // Where another instance has taken its place, it has left long ago.
      const left = state.everResumed && !this.#parts.hooks.replaced();
      if (state.draining) state.draining = false;
      world.effects.reply(seq, DM_ULOG_POSTSUSPEND, left ? 0 : -Errno.ENOENT);
      return;
    }
    this.#leaves.add(seq);
    this.#leaveOnce();
  }

  /** DTR. */
  destroy(seq: number): void {
    const { state, world, uuid } = this.#parts;
    this.#destroys.add(seq);
    if (state.lifeCycle === LifeCycle.pending) {
      this.#remove();
      return;
    }
    if (this.#destroys.count > 1) return;
    if (state.lifeCycle !== LifeCycle.leaving) {
      report(world, 'notice', 'destroyed-live', uuid, 'destroyed without a suspend: what is held stays dirty');
    }
    this.#leaveOnce();
  }

  /** Leaves without a request: its kernel is known to have gone on to another instance. */
  retire(done: () => void): void {
    if (this.#parts.state.lifeCycle === LifeCycle.pending) {
      done();
      return;
    }
    this.#whenLeft.push(done);
    this.#leaveOnce();
  }

  /** Removes a log that has left, without a request. */
  remove(): void {
    this.#remove();
  }

  /** Waits for the end of a leave that is under way. */
  whenLeft(done: () => void): void {
    this.#whenLeft.push(done);
  }

  /** Sweep or announcement has made a step. */
  swept(): void {
    const { marks } = this.#parts;
    if (this.#leaveWaits && !marks.sweeping && !marks.announcing) this.#sendLeave();
  }

  delivered(): void {
    const { state, marks, recovery, replica } = this.#parts;
    if (state.lifeCycle !== LifeCycle.leaving) return;
    marks.forgetOwners();
    recovery.forget();
    if (replica.rights.shared) this.#left(this.#closeErrno);
    else if (this.#parts.store === null) this.#left(0);
    else this.#parts.store.finish((errno) => this.#left(errno));
  }

  /** The log device is closed by whoever has the writer's role then: its last commit was given up before it began. */
  closeLater(): void {
    if (this.#parts.store?.finishes) this.#closeWaits = true;
  }

  /** Does what had to wait for other nodes. */
  poll(): void {
    const { replica } = this.#parts;
    if (this.#closeWaits) this.#close();
    // Nothing is cleaned, and nobody knows for how long: what is left over goes out of sync with this node.
    if (this.#leaveWaits && replica.following && replica.rights.othersUnsettled) this.swept();
  }

  #leaveOnce(): void {
    const { state } = this.#parts;
    if (this.leaves) return;
    if (state.lifeCycle === LifeCycle.resuming) this.#abandon();
    else this.beginLeave();
  }

  /** Leaves out of a load: nothing was served, so nothing is committed. */
  #abandon(): void {
    this.#abandoning = true;
    if (this.#parts.replica.rights.shared) this.#parts.replica.withdraw();
    this.#entry.failResumes(Errno.EIO);
    const done = () => {
      this.#abandoning = false;
      this.#left(Errno.EIO, false);
    };
    if (this.#parts.store === null) done();
    else this.#parts.store.abandon(done);
  }

  /** It is the last one after all: it takes the device over and closes it. */
  closeAlone(): void {
    if (this.#parts.state.lifeCycle === LifeCycle.leaving) this.#close();
  }

  beginLeave(): void {
    const { state, marks } = this.#parts;
    marks.resting = true;
    marks.dropSticky();
    if (state.lifeCycle !== LifeCycle.leaving) state.lifeCycle = LifeCycle.leaving;
    this.#leaveWaits = true;
    this.#parts.hooks.changed();
    this.#sayGivenUp();
    this.swept();
  }

  /** R10: its kernel may have written a region without a mark that counts as in sync, and will never be asked for it: the table may go. */
  #sayGivenUp(): void {
    const { world, uuid, replica } = this.#parts;
    if (!replica.rights.shared || replica.record.gaveUp === 'no') return;
    if (replica.rights.sole) replica.resync();
    else world.sender.numbers(MessageType.unknownDirty, uuid, 0, 1, []);
  }

  #sendLeave(): void {
    this.#leaveWaits = false;
    if (this.#parts.replica.rights.shared) this.#close();
    else this.#parts.world.sender.one(MessageType.leave, this.#parts.uuid, 0, -1, 0);
  }

  /**
   * On a cluster nothing of this node may be in flight to the log device when it leaves: the next writer begins at once. The last
   * member closes the log.
   */
  #close(): void {
    const { replica } = this.#parts;
    this.#closeWaits = this.#parts.store !== null && replica.rights.sole && !replica.writes;
    if (this.#closeWaits) return;
    this.#closeErrno = 0;
    this.#closed = false;
    if (this.#parts.store === null || !replica.rights.sole) replica.leave(false, this.#parts.store !== null);
    else
      this.#parts.store.finish((errno) => {
        this.#closeErrno = errno;
        this.#closed = true;
        replica.leave(errno === 0, false);
      });
  }

  /** The log has left: `errno` says how its last commit went, `memoryCounts` whether memory knows more then. */
  #left(errno: number, memoryCounts = true): void {
    const { world, state, waiters, uuid } = this.#parts;
    const missed = errno !== 0 || this.#isLastUnclosed;
    if (memoryCounts && this.#parts.store !== null && state.logFailed !== missed) state.logFailed = missed;
    if (state.recoveringRegion !== -1) state.recoveringRegion = -1;
    state.lifeCycle = LifeCycle.pending;
    if (state.draining) state.draining = false;
    this.#entry.left();
    this.#parts.hooks.official(false);
    if (errno !== 0 && memoryCounts) {
      report(world, 'error', 'left-unwritten', uuid, `the last commit failed (${errnoName(errno)})`);
    }
    // The last commit covers every mark of a disk log; for what other members have or write nobody can wait any more.
    const committed = this.#parts.store !== null && (!this.#parts.replica.rights.shared || this.#closed);
    const safe = errno === 0 && committed;
    waiters.takeAll((seq, type) => world.effects.reply(seq, type, safe ? 0 : -Errno.EIO));
    this.#halt.left();
    this.#leaves.answerAll((seq) => world.effects.reply(seq, DM_ULOG_POSTSUSPEND, errno === 0 ? 0 : -Errno.EIO));
    const whenLeft = this.#whenLeft;
    this.#whenLeft = [];
    for (const done of whenLeft) done();
    if (this.#destroys.count > 0 && state.lifeCycle === LifeCycle.pending) this.#remove();
  }

  /**
   * R16: it was the last one and has not closed the log device, as who had the writer's role left at the same time: what was known last
   * may not be there.
   */
  get #isLastUnclosed(): boolean {
    const { replica, world } = this.#parts;
    const { table, shared } = replica.rights;
    return shared && !this.#closed && table?.lastLeaver === world.node && !anyValid(table);
  }

  /** No other table of the log is in this host's kernel that was ever in use. */
  get #isLastTable(): boolean {
    const { hooks } = this.#parts;
    return !hooks.replaced() && [...hooks.predecessors()].length === 0;
  }

  #remove(): void {
    const { state, world, uuid } = this.#parts;
    this.#entry.removed();
    this.#parts.store?.abandon(() => {});
    for (const next of this.#parts.hooks.successors()) {
      if (knowsMore(state, next)) next.searchPosition = SearchStart.knowledgeLost;
    }
    if (state.everResumed && this.#isLastTable) world.cluster?.removed(uuid);
    state.remove();
    this.#parts.hooks.destroyed();
    this.#destroys.answerAll((seq) => world.effects.reply(seq, DM_ULOG_DTR, 0));
  }
}
