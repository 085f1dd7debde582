/**
 * How a log is entered: RESUME, by a load of its device or as one of several members, and what a RESUME hears when that goes wrong.
 * The table of all life cycles is in log-life.ts.
 */
import { Errno } from '../base/errno.js';
import { membersMax } from '../base/limits.js';
import { DM_ULOG_RESUME } from '../base/ulog-frames.js';
import type { LifeParts } from './life-parts.js';
import { LifeCycle } from './log-state.js';
import { decodeMembers } from './member-record.js';
import { MessageType } from './messages.js';
import { deriveCoreBits, deriveDiskBits } from './resume-bits.js';
import { SeqList } from './seq-list.js';
import { StoreGoal } from './store-owner.js';
import { report } from './world.js';

export class LogEntry {
  readonly #parts: LifeParts;
  /** The log leaves out of its load. */
  readonly #abandoning: () => boolean;
  readonly #resumes = new SeqList();
  #joining = false;
  /** RESUME has come to a halted log of an earlier daemon's record: it may be that of a reconnect, whose constructor that one heard. */
  #unsure = false;
  /** The load was refused, and its kernel goes on all the same. */
  #refused = false;
  /** The kernel has shown that it was that of a resume. */
  #resumed = false;
  /** Since this node was given the load. */
  #failedLoads = 0;

  constructor(parts: LifeParts, abandoning: () => boolean) {
    this.#parts = parts;
    this.#abandoning = abandoning;
    parts.replica.ready.resuming = () =>
      this.#resumes.count > 0 || this.#resumed || parts.state.lifeCycle === LifeCycle.resuming;
  }

  /** A RESUME has come that may be that of a reconnect: POSTSUSPEND shows that it was, and work that is asked for that it was not. */
  get unsure(): boolean {
    return this.#unsure;
  }

  /**
   * RESUME. The registry has seen to it that no instance has the uuid that is not this one, or leaves. `again`: it follows a repeated
   * constructor, so its kernel goes on where it was. One that suspends meanwhile still suspends: others must not recover what it
   * believes to be nobody's business until its POSTSUSPEND (R10). `reconnected`: one of its threads has done so since it began to suspend,
   * and another one may.
   */
  resume(seq: number, again: boolean, reconnected: boolean): void {
    const { state, world } = this.#parts;
    if (again && state.lifeCycle === LifeCycle.resuming && state.draining) {
      // An error would end the question for which it reconnects, and it would write without a mark: it is let go (log-life.ts).
      world.effects.reply(seq, DM_ULOG_RESUME, 0);
      return;
    }
    const halted = state.lifeCycle === LifeCycle.halted && this.#parts.replica.rights.shared;
    const unsure = halted && !again && (state.restored || reconnected);
    if (unsure) this.#unsure = true;
    // One of before the halt has no answer yet, and the kernel sends it again: its own resume it sends behind its POSTSUSPEND.
    const repeated = halted && this.#parts.waiters.has(DM_ULOG_RESUME);
    const suspends = halted && (again || unsure || repeated);
    if (state.lifeCycle === LifeCycle.active || suspends) {
      this.#resumeAgain(seq);
      return;
    }
    this.#resumes.add(seq);
    if (state.lifeCycle === LifeCycle.pending) {
      this.#beginResume(again);
    } else if (state.lifeCycle === LifeCycle.halted) {
      this.join();
    } else if (this.#parts.replica.rights.shared) {
      const { phase } = this.#parts.replica;
      if (phase === 'outside') this.#parts.replica.enter();
      else if (phase === 'loading' && this.#parts.store?.busy === false) this.load();
      else this.#parts.replica.requested();
    } else if (this.#parts.store !== null && !this.#parts.store.busy && !this.#joining) {
      this.load();
    }
  }

  /**
   * GET_RESYNC_WORK: no kernel that suspends asks that. POSTSUSPEND and RESUME are sent once each, and may have come while no daemon ran. True
   * when the log is resumed by it, at the delivery of a message.
   */
  asksForWork(): boolean {
    if (this.#parts.state.lifeCycle !== LifeCycle.halted) return false;
    if (!this.#unsure && !this.#parts.state.restored) return false;
    this.#unsure = false;
    this.#resumed = true;
    this.join();
    return true;
  }

  joinDelivered(): void {
    const { state, world, args, marks, recovery, replica } = this.#parts;
    this.#joining = false;
    this.#unsure = false;
    this.#resumed = false;
    const { map } = state;
    if (state.lifeCycle === LifeCycle.resuming) {
      if (this.#parts.store === null && !replica.rights.shared)
        deriveCoreBits(state, args, this.#parts.hooks.predecessors());
      // Ends with the resume that follows a suspend; a first resume is the one that began it (R3).
      if (state.marksUnknown && state.everResumed) state.marksUnknown = false;
      if (!replica.rights.shared) marks.forgetOwners();
      // A kernel that only reconnects keeps what it was told.
      replica.record.resumed();
    } else if (state.lifeCycle !== LifeCycle.halted) {
      return;
    } else if (replica.rights.shared) {
      if (state.marksUnknown && state.everResumed) state.marksUnknown = false;
      replica.record.resumed();
    }
    if (!replica.rights.shared) recovery.restart();
    state.inSyncLatched = map.syncCount === map.regionCount;
    // R10: PRESUSPEND came before the log was loaded, and its kernel was told that nothing is recovered any more.
    const rests = state.lifeCycle === LifeCycle.resuming && state.draining;
    marks.resting = rests;
    // In this order: killed in between, a record that is active has been resumed, but one that is resuming may
    // not seem to have been resumed before.
    state.lifeCycle = rests ? LifeCycle.halted : LifeCycle.active;
    if (!state.everResumed) state.everResumed = true;
    // Tables before this one wait for their DTR, which may be lost: what they know of the log is old from now on.
    for (const before of this.#parts.hooks.predecessors())
      Object.assign(before, { everResumed: false, marksUnknown: true });
    if (state.draining) state.draining = false;
    this.#unsure = rests && replica.rights.shared;
    if (!replica.rights.shared) marks.announce();
    else if (rests) replica.request(MessageType.halt, 0);
    const inSync = `${map.syncCount} of ${map.regionCount} regions in sync, ${map.regionCount - map.cleanCount} dirty`;
    report(world, 'info', 'resumed', this.#parts.uuid, inSync);
    this.#resumes.answerAll((seq) => this.#resumeAgain(seq));
    this.#parts.hooks.changed();
  }

  #beginResume(again: boolean): void {
    const { state } = this.#parts;
    state.resumeCount += 1;
    this.#refused = false;
    // The RESUME of a reconnect ends no suspend.
    if (state.draining && !again) state.draining = false;
    state.lifeCycle = LifeCycle.resuming;
    this.#parts.hooks.official(true);
    if (this.#parts.replica.rights.shared) this.#parts.replica.enter();
    else this.load();
  }

  /** On a cluster: nobody has the log. */
  loadFirst(): void {
    this.#failedLoads = 0;
    const { state, args, replica, recovery, marks, world } = this.#parts;
    // Of members who are none any more: what a copy had of them that was given up.
    marks.forgetMembers();
    // What those had found who had the log before is not known here, or not all of it (R10).
    const { lastLeaver = -1, ended = [], doubt = false } = replica.rights.table ?? {};
    if (lastLeaver !== -1 || ended.length > 0 || doubt) recovery.restrictions.doubt();
    // R10: to which regions this kernel writes without marks was lost as well.
    if (state.marksUnknown && !state.everResumed) {
      recovery.restrictions.onlyNode(world.node);
      replica.record.foundUnknown();
    }
    if (this.#parts.store !== null) {
      this.load();
      return;
    }
    deriveCoreBits(state, args, this.#parts.hooks.predecessors());
    if (doubt || this.#isOutdated()) this.#forgetBits();
    else if (state.everResumed && lastLeaver !== -1 && lastLeaver !== world.node) this.#takeAllInSync();
    replica.loaded();
  }

  /** Others had the log after this node had left it, and the last of them left all of it in sync. */
  #takeAllInSync(): void {
    const { map } = this.#parts.state;
    map.fillInSync(0, map.regionCount, true);
    map.fillClean(0, map.regionCount, true);
  }

  /**
   * Others had the log after this node had left it: what they did to it is not known here. To one that never had it its constructor says
   * what is in sync, unless the last that had it knew better: another, or this node by a table that is gone, or before it was booted.
   */
  #isOutdated(): boolean {
    const { state, replica, world, uuid, hooks } = this.#parts;
    const { lastLeaver: last = -1, leftOutOfSync = false } = replica.rights.table ?? {};
    if (!state.everResumed) return leftOutOfSync && (last !== world.node || [...hooks.predecessors()].length === 0);
    if (last !== -1) return last !== world.node && leftOutOfSync;
    return (decodeMembers(uuid, state.members)?.table.members ?? []).some(({ node }) => node !== world.node);
  }

  #forgetBits(): void {
    const { map } = this.#parts.state;
    map.fillClean(0, map.regionCount, false);
    map.fillInSync(0, map.regionCount, false);
    const text = 'other nodes had the log last, and none of them has it now: every region is resynced';
    report(this.#parts.world, 'warning', 'copy-outdated', this.#parts.uuid, text);
  }

  /** The members have a log of another size, or are too many. */
  joinRefused(): void {
    const { world, args, replica, uuid } = this.#parts;
    const there = replica.rights.table;
    const size = `its members have ${there?.regionCount} regions of ${there?.regionSizeSectors} sectors, this table ${args.regionCount} of ${args.regionSizeSectors}`;
    const others = replica.rights.others;
    const text = others < membersMax ? size : `it has ${others} members already, and no room for another one`;
    report(world, 'error', 'resume-refused', uuid, text);
    // One that was waiting when daemons told each other what they have was taken for a member.
    replica.withdraw();
    this.failResumes(Errno.EINVAL);
  }

  load(): void {
    const { state } = this.#parts;
    if (this.#parts.store === null) {
      this.join();
      return;
    }
    if (state.logFailed && state.everResumed && !this.#parts.replica.rights.shared) {
      // R16: the device missed what memory knows, so memory is written and not the device read. On a cluster others may have used it since:
      // there what either knows counts.
      deriveDiskBits(state, this.#parts.hooks.predecessors());
      this.#parts.store.begin(StoreGoal.repair);
    } else {
      this.#parts.store.begin(StoreGoal.load);
    }
  }

  join(): void {
    const { world, replica, uuid } = this.#parts;
    if (replica.rights.shared) {
      replica.loaded();
      return;
    }
    if (this.#joining) return;
    this.#joining = true;
    world.sender.one(MessageType.join, uuid, 0, -1, 0);
  }

  /**
   * RESUME of a log that serves: answered like a flush, so that its answer always means a log in order. Where nothing may be promised (R13)
   * it is not waited for: its kernel does nothing else meanwhile, and may read, and write where it has marked.
   */
  #resumeAgain(seq: number): void {
    const { world, state, waiters, marks, replica, store } = this.#parts;
    if (store === null || state.logFailed || store.allDurable || !replica.rights.mayPromise) {
      world.effects.reply(seq, DM_ULOG_RESUME, 0);
      return;
    }
    const { marksDelivered, lastMarkOrder } = marks;
    waiters.add(DM_ULOG_RESUME, seq, marksDelivered, {
      marksDelivered,
      lastMarkOrder,
      generation: store.generation,
      fresh: marks.fresh,
    });
    this.#parts.hooks.changed();
  }

  /** The same of those that wait when that is so. */
  answerWaiting(): void {
    const { world, waiters, replica } = this.#parts;
    if (replica.rights.mayPromise) return;
    waiters.withdraw(DM_ULOG_RESUME, (seq) => world.effects.reply(seq, DM_ULOG_RESUME, 0));
  }

  /** The device must not be used: nothing is tried again, and on a cluster another member may. */
  refuse(errno: number): void {
    this.#refused = true;
    if (this.#parts.replica.rights.shared) this.#parts.replica.withdraw();
    this.failResumes(errno);
  }

  /** Members have the log: who was refused its device needs a copy of theirs, and not the device. */
  enterAgain(): void {
    if (!this.#refused || this.#parts.state.lifeCycle !== LifeCycle.resuming || this.#abandoning()) return;
    this.#refused = false;
    this.#parts.replica.enter();
  }

  /** The log device has failed in a load: it is tried again, and when that fails elsewhere. */
  loadFailed(errno: number): void {
    this.failResumes(errno);
    this.#failedLoads += 1;
    if (this.#failedLoads > 1 && !this.#abandoning()) this.#parts.replica.passOn();
  }

  /**
   * A load has failed. A kernel that writes already (R3) must hear of no error, which makes it write without marks: it goes on
   * waiting, or is let go when another of its threads has begun the suspend.
   */
  failResumes(errno: number): void {
    if (this.#parts.state.marksUnknown && !this.#abandoning()) {
      if (this.#parts.state.draining) this.letGo();
      return;
    }
    this.#resumes.answerAll((seq) => this.#parts.world.effects.reply(seq, DM_ULOG_RESUME, -errno));
  }

  /** The writes of a kernel that waits for RESUME must drain: they go on to marks and flushes, which fail. */
  letGo(): void {
    this.#resumes.answerAll((seq) => this.#parts.world.effects.reply(seq, DM_ULOG_RESUME, 0));
  }

  /** The log has left. */
  left(): void {
    this.#joining = false;
    this.#unsure = false;
    this.#resumed = false;
  }

  /** The log goes: nobody will resume it. */
  removed(): void {
    this.#resumes.answerAll((seq) => this.#parts.world.effects.reply(seq, DM_ULOG_RESUME, -Errno.ENOENT));
  }
}
