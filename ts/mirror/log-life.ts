/**
 * The life cycle of one log: RESUME, PRESUSPEND, POSTSUSPEND, DTR, and what a restarted daemon does with what it finds.
 *
 * | life cycle | meaning                                  | on                      | becomes                             |
 * | ---------- | ---------------------------------------- | ----------------------- | ----------------------------------- |
 * | pending    | constructed or left                      | RESUME                  | resuming                            |
 * | resuming   | its device is being loaded, or cannot be | loaded, `join` delivered | active; halted after PRESUSPEND    |
 * |            |                                          | POSTSUSPEND, DTR        | pending, gone                       |
 * | active     | serves                                   | `halt` delivered        | halted                              |
 * |            |                                          | POSTSUSPEND, DTR        | leaving                             |
 * | halted     | serves, recovery rests                   | POSTSUSPEND, DTR        | leaving                             |
 * |            |                                          | RESUME (`join` delivered) | active                            |
 * | leaving    | its last commit is on its way            | it is durable, or failed | pending, or gone                   |
 *
 * The life cycle in the state record is stored when a step begins to count and before it is answered, and every
 * step can be done again: a daemon that is killed in the middle finds where it was and goes on, whether the kernel
 * repeats its request or had its answer already.
 *
 * A load that cannot be done (device trouble, or a device that must not be used) is *stalled*: RESUME fails, which the
 * kernel only logs before it sends its writes. Serving them unlogged would lose them in the next power cut. So a
 * stalled log answers "recovering elsewhere" to every write, which the kernel then holds and asks about again, and
 * with device trouble it goes on trying to load. After PRESUSPEND the held writes must drain: they are then
 * sent to marks and flushes, which fail.
 */
import { Errno, errnoName } from '../base/errno.js';
import { DM_ULOG_DTR, DM_ULOG_POSTSUSPEND, DM_ULOG_PRESUSPEND, DM_ULOG_RESUME } from '../base/ulog-frames.js';
import type { LogDeviceInfo } from './log-device.js';
import type { LogParts } from './log-parts.js';
import { LifeCycle, type LogState } from './log-state.js';
import { LogStore } from './log-store.js';
import { decodeMembers } from './member-record.js';
import { MessageType } from './messages.js';
import { deriveCoreBits, deriveDiskBits, knowsMore, SearchStart } from './resume-bits.js';
import { SeqList } from './seq-list.js';
import { StoreAnswers } from './store-answers.js';
import { StoreGoal } from './store-owner.js';
import { report } from './world.js';

/** What the life of a log asks of those around it. */
export interface LifeHooks {
  /** Other instances of the same uuid on this host that have left: what a new one inherits. */
  predecessors(): Iterable<LogState>;
  /** Other instances of the same uuid on this host that were never resumed. */
  successors(): Iterable<LogState>;
  /** The log is the official one of its uuid from now on, or no longer. */
  official(taken: boolean): void;
  /** Another instance of the same uuid is the official one. */
  replaced(): boolean;
  /** The log is gone and its state record removed. */
  destroyed(): void;
  /** Something changed: the end of this turn must look at the log. */
  changed(): void;
}

export class LogLife {
  readonly store: LogStore | null;
  readonly #parts: LogParts;
  readonly #hooks: LifeHooks;
  readonly #answers: StoreAnswers;
  readonly #resumes = new SeqList();
  readonly #halts = new SeqList();
  readonly #leaves = new SeqList();
  readonly #destroys = new SeqList();
  #whenLeft: (() => void)[] = [];
  #abandoning = false;
  /** `leave` waits for sweep and announcement of a restart: what is held has to be dirty when it has left. */
  #leaveWaits = false;
  #joining = false;
  #haltWaits = false;
  #haltOrder = 0;
  /** The last member cannot close the log yet: there is no quorum. */
  #closeWaits = false;
  #closeErrno = 0;

  constructor(parts: LogParts, hooks: LifeHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
    const { world, state, args } = parts;
    const { image } = state;
    this.#answers = new StoreAnswers(parts, {
      predecessors: () => hooks.predecessors(),
      changed: () => hooks.changed(),
      ready: () => this.#join(),
      notReady: (errno) => this.#failResumes(errno),
      refused: (errno) => this.#refuse(errno),
      writtenGeneration: () => this.store?.writtenGeneration ?? 0,
    });
    parts.replica.resuming = () => this.#resumes.count > 0 || parts.state.lifeCycle === LifeCycle.resuming;
    const name = args.deviceName ?? '';
    this.store = image === null ? null : new LogStore(world, state.map, image, name, this.#answers);
  }

  /** Resuming, and PRESUSPEND has come: writes must drain. */
  get drains(): boolean {
    return this.#parts.state.draining;
  }

  /** A log of an earlier daemon of this boot: goes on from where it was. */
  start(): void {
    const { state, marks, replica } = this.#parts;
    if (replica.rights.shared && state.lifeCycle !== LifeCycle.pending) {
      this.#startShared();
      return;
    }
    switch (state.lifeCycle) {
      case LifeCycle.pending:
        this.store?.begin(StoreGoal.learn);
        return;
      case LifeCycle.resuming:
        this.#load();
        return;
      case LifeCycle.active:
      case LifeCycle.halted:
        // Killed between the two last stores of a resume.
        if (!state.everResumed) state.everResumed = true;
        marks.resting = state.lifeCycle === LifeCycle.halted;
        marks.announce();
        marks.beginSweep();
        this.store?.begin(state.logFailed ? StoreGoal.repair : StoreGoal.rewrite);
        return;
      case LifeCycle.leaving:
        marks.beginSweep();
        this.#beginLeave();
    }
  }

  /** On a cluster the group says first whether this record still counts. */
  #startShared(): void {
    const { state, marks, replica, uuid } = this.#parts;
    const { lifeCycle } = state;
    const used = lifeCycle === LifeCycle.active || lifeCycle === LifeCycle.halted;
    if (used && !state.everResumed) state.everResumed = true;
    marks.resting = lifeCycle === LifeCycle.halted;
    const leaves = lifeCycle === LifeCycle.leaving;
    const stored = decodeMembers(uuid, state.members);
    const { rank = used ? 1 : 0, hint = 0, table } = stored ?? {};
    replica.restored(leaves, { rank, hint, members: table?.members ?? [] });
  }

  /** On its way out of the group. */
  get leaves(): boolean {
    return this.#parts.state.lifeCycle === LifeCycle.leaving || this.#abandoning;
  }

  /** To be removed as soon as it has left. */
  get goes(): boolean {
    return this.#destroys.count > 0;
  }

  /** RESUME. The registry has seen to it that no instance has the uuid that is not this one, or leaves. */
  resume(seq: number): void {
    const { state } = this.#parts;
    if (state.lifeCycle === LifeCycle.active) {
      this.#resumeAgain(seq);
      return;
    }
    this.#resumes.add(seq);
    if (state.lifeCycle === LifeCycle.pending) {
      this.#beginResume();
    } else if (state.lifeCycle === LifeCycle.halted) {
      this.#join();
    } else if (this.#parts.replica.rights.shared) {
      if (this.#parts.replica.phase === 'outside') this.#enter();
    } else if (this.store !== null && !this.store.busy && !this.#joining) {
      this.#load();
    }
  }

  /** PRESUSPEND. */
  presuspend(seq: number): void {
    const { world, state, marks, replica, uuid } = this.#parts;
    if (state.lifeCycle === LifeCycle.halted) {
      world.effects.reply(seq, DM_ULOG_PRESUSPEND, 0);
      return;
    }
    if (state.lifeCycle === LifeCycle.active) {
      this.#halts.add(seq);
      if (this.#halts.count > 1) return;
      marks.resting = true;
      marks.dropSticky();
      if (replica.rights.shared) replica.request(MessageType.halt, 0);
      else world.sender.one(MessageType.halt, uuid, seq, -1, 0);
      return;
    }
    const stalled = state.lifeCycle === LifeCycle.resuming;
    if (stalled) {
      if (!state.draining) state.draining = true;
      if (state.marksUnknown) this.#letGo();
    }
    world.effects.reply(seq, DM_ULOG_PRESUSPEND, stalled ? -Errno.EIO : -Errno.EINVAL);
  }

  /** POSTSUSPEND. */
  postsuspend(seq: number): void {
    const { world, state } = this.#parts;
    if (state.lifeCycle === LifeCycle.pending) {
      // Where another instance has taken its place, it has left long ago.
      const left = state.everResumed && !this.#hooks.replaced();
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

  // Ordered messages of this node.

  joinDelivered(): void {
    const { state, world, args, marks, recovery, replica } = this.#parts;
    this.#joining = false;
    const { map } = state;
    if (state.lifeCycle === LifeCycle.resuming) {
      if (this.store === null && !replica.rights.shared) deriveCoreBits(state, args, this.#hooks.predecessors());
      // Ends with the resume that follows a suspend; a first resume is the one that began it (R3).
      if (state.marksUnknown && state.everResumed) state.marksUnknown = false;
      if (!replica.rights.shared) marks.forgetOwners();
      // A kernel that only reconnects keeps what it was told.
      replica.record.hint = 0;
    } else if (state.lifeCycle !== LifeCycle.halted) {
      return;
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
    if (state.draining) state.draining = false;
    if (!replica.rights.shared) marks.announce();
    else if (rests) replica.request(MessageType.halt, 0);
    const inSync = `${map.syncCount} of ${map.regionCount} regions in sync, ${map.regionCount - map.cleanCount} dirty`;
    report(world, 'info', 'resumed', this.#parts.uuid, inSync);
    this.#resumes.answerAll((seq) => this.#resumeAgain(seq));
    this.#hooks.changed();
  }

  haltDelivered(order: number): void {
    // R10: while another node's recovery is in flight its end is waited for; and all members must know that this kernel rests.
    this.#haltWaits = true;
    this.#haltOrder = this.#parts.replica.rights.shared ? order : 0;
    this.poll();
  }

  /** Something waits for other nodes. */
  get waits(): boolean {
    return this.#haltWaits;
  }

  /** The copy follows the stream again: what others may not have heard goes once more. */
  resubmit(): void {
    if (!this.#haltWaits) return;
    this.#haltWaits = false;
    this.#parts.replica.request(MessageType.halt, 0);
  }

  /** Does what had to wait for other nodes. */
  poll(): void {
    const { recovery, world } = this.#parts;
    const known = this.#haltOrder <= world.acknowledgedOrder;
    if (this.#haltWaits && known && recovery.recoveredElsewhere < 0) this.#halted();
    if (this.#closeWaits) this.#close();
  }

  #halted(): void {
    const { state, world } = this.#parts;
    this.#haltWaits = false;
    if (state.lifeCycle === LifeCycle.active) state.lifeCycle = LifeCycle.halted;
    this.#halts.answerAll((seq) => world.effects.reply(seq, DM_ULOG_PRESUSPEND, 0));
  }

  leaveDelivered(): void {
    const { state, marks, recovery, replica } = this.#parts;
    if (state.lifeCycle !== LifeCycle.leaving) return;
    marks.forgetOwners();
    recovery.forget();
    if (replica.rights.shared) this.#left(this.#closeErrno);
    else if (this.store === null) this.#left(0);
    else this.store.finish((errno) => this.#left(errno));
  }

  /** The constructor has looked at the log device. */
  deviceKnown(info: LogDeviceInfo): void {
    if (this.store === null) return;
    this.store.info = info;
    this.#answers.deviceKnown(info);
  }

  // Steps.

  #beginResume(): void {
    const { state } = this.#parts;
    state.resumeCount += 1;
    if (state.draining) state.draining = false;
    state.lifeCycle = LifeCycle.resuming;
    this.#hooks.official(true);
    if (this.#parts.replica.rights.shared) this.#enter();
    else this.#load();
  }

  /** Flag 1: the first resume of this table; 2: what the kernel holds is not known (R3). */
  #enter(): void {
    const { state, replica } = this.#parts;
    replica.enter((state.everResumed ? 0 : 1) + (state.marksUnknown && !state.everResumed ? 2 : 0));
  }

  /** On a cluster: nobody has the log. */
  loadFirst(): void {
    if (this.store !== null) {
      this.#load();
      return;
    }
    const { state, args, replica } = this.#parts;
    deriveCoreBits(state, args, this.#hooks.predecessors());
    if (replica.rights.table?.doubt || (state.everResumed && this.#isOutdated())) this.#forgetBits();
    replica.loaded();
  }

  /** Others had the log after this node had left it: what they did to it is not known here. */
  #isOutdated(): boolean {
    const { state, replica, world, uuid } = this.#parts;
    const last = replica.rights.table?.lastLeaver ?? -1;
    if (last !== -1) return last !== world.node;
    return (decodeMembers(uuid, state.members)?.table.members ?? []).some(({ node }) => node !== world.node);
  }

  #forgetBits(): void {
    const { map } = this.#parts.state;
    map.fillClean(0, map.regionCount, false);
    map.fillInSync(0, map.regionCount, false);
    const text =
      'other nodes had the log since this one left it, and none of them has it now: every region is resynced';
    report(this.#parts.world, 'warning', 'copy-outdated', this.#parts.uuid, text);
  }

  /** The members have a log of another size. */
  joinRefused(): void {
    const { world, args, replica, uuid } = this.#parts;
    const there = replica.rights.table;
    const text = `its members have ${there?.regionCount} regions of ${there?.regionSizeSectors} sectors, this table ${args.regionCount} of ${args.regionSizeSectors}`;
    report(world, 'error', 'resume-refused', uuid, text);
    replica.phase = 'outside';
    this.#failResumes(Errno.EINVAL);
  }

  #load(): void {
    const { state } = this.#parts;
    if (this.store === null) {
      this.#join();
      return;
    }
    if (state.logFailed && state.everResumed) {
      // R16: the device missed what memory knows, so memory is written and not the device read.
      deriveDiskBits(state, this.#hooks.predecessors());
      this.store.begin(StoreGoal.repair);
    } else {
      this.store.begin(StoreGoal.load);
    }
  }

  #join(): void {
    const { world, replica, uuid } = this.#parts;
    if (replica.rights.shared) {
      replica.loaded();
      return;
    }
    if (this.#joining) return;
    this.#joining = true;
    world.sender.one(MessageType.join, uuid, 0, -1, 0);
  }

  /** RESUME of a log that serves: answered like a flush, so that its answer always means a log in order. */
  #resumeAgain(seq: number): void {
    const { world, state, waiters, marks } = this.#parts;
    if (this.store === null || state.logFailed || this.store.allDurable) {
      world.effects.reply(seq, DM_ULOG_RESUME, 0);
      return;
    }
    const { marksDelivered, lastMarkOrder } = marks;
    waiters.add(DM_ULOG_RESUME, seq, marksDelivered, {
      marksDelivered,
      lastMarkOrder,
      generation: this.store.generation,
      fresh: marks.fresh,
    });
    this.#hooks.changed();
  }

  /** The device must not be used: nothing is tried again, and on a cluster another member may. */
  #refuse(errno: number): void {
    if (this.#parts.replica.rights.shared) this.#parts.replica.withdraw();
    this.#failResumes(errno);
  }

  /**
   * A load has failed. A kernel that writes already (R3) must hear of no error, which makes it write without marks: it goes on
   * waiting, or is let go when another of its threads has begun the suspend.
   */
  #failResumes(errno: number): void {
    if (this.#parts.state.marksUnknown && !this.#abandoning) {
      if (this.drains) this.#letGo();
      return;
    }
    this.#resumes.answerAll((seq) => this.#parts.world.effects.reply(seq, DM_ULOG_RESUME, -errno));
  }

  /** The writes of a kernel that waits for RESUME must drain: they go on to marks and flushes, which fail. */
  #letGo(): void {
    this.#resumes.answerAll((seq) => this.#parts.world.effects.reply(seq, DM_ULOG_RESUME, 0));
  }

  #leaveOnce(): void {
    const { state } = this.#parts;
    if (this.leaves) return;
    if (state.lifeCycle === LifeCycle.resuming) this.#abandon();
    else this.#beginLeave();
  }

  /** Leaves out of a load: nothing was served, so nothing is committed. */
  #abandon(): void {
    this.#abandoning = true;
    if (this.#parts.replica.rights.shared) this.#parts.replica.withdraw();
    this.#failResumes(Errno.EIO);
    const done = () => {
      this.#abandoning = false;
      this.#left(Errno.EIO, false);
    };
    if (this.store === null) done();
    else this.store.abandon(done);
  }

  #beginLeave(): void {
    const { state, marks } = this.#parts;
    marks.resting = true;
    marks.dropSticky();
    if (state.lifeCycle !== LifeCycle.leaving) state.lifeCycle = LifeCycle.leaving;
    this.#leaveWaits = true;
    this.#hooks.changed();
    this.swept();
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
    this.#closeWaits = this.store !== null && replica.rights.sole && !replica.writes;
    if (this.#closeWaits) return;
    this.#closeErrno = 0;
    if (this.store === null) replica.leave();
    else if (!replica.rights.sole) this.store.abandon(() => replica.leave());
    else
      this.store.finish((errno) => {
        this.#closeErrno = errno;
        replica.leave();
      });
  }

  /** The log has left: `errno` says how its last commit went, `memoryCounts` whether memory knows more then. */
  #left(errno: number, memoryCounts = true): void {
    const { world, state, waiters, uuid } = this.#parts;
    if (memoryCounts && this.store !== null && state.logFailed !== (errno !== 0)) state.logFailed = errno !== 0;
    if (state.recoveringRegion !== -1) state.recoveringRegion = -1;
    state.lifeCycle = LifeCycle.pending;
    if (state.draining) state.draining = false;
    this.#joining = false;
    this.#hooks.official(false);
    if (errno !== 0 && memoryCounts) {
      report(world, 'error', 'left-unwritten', uuid, `the last commit failed (${errnoName(errno)})`);
    }
    // The last commit covers every mark of a disk log; for what a core log's members have nobody can wait any more.
    const safe = errno === 0 && this.store !== null;
    waiters.takeAll((seq, type) => world.effects.reply(seq, type, safe ? 0 : -Errno.EIO));
    this.#halts.answerAll((seq) => world.effects.reply(seq, DM_ULOG_PRESUSPEND, -Errno.EINVAL));
    this.#leaves.answerAll((seq) => world.effects.reply(seq, DM_ULOG_POSTSUSPEND, errno === 0 ? 0 : -Errno.EIO));
    const whenLeft = this.#whenLeft;
    this.#whenLeft = [];
    for (const done of whenLeft) done();
    if (this.#destroys.count > 0 && state.lifeCycle === LifeCycle.pending) this.#remove();
  }

  #remove(): void {
    const { state, world } = this.#parts;
    this.#resumes.answerAll((seq) => world.effects.reply(seq, DM_ULOG_RESUME, -Errno.ENOENT));
    this.store?.abandon(() => {});
    for (const next of this.#hooks.successors()) {
      if (knowsMore(state, next)) next.searchPosition = SearchStart.knowledgeLost;
    }
    state.remove();
    this.#hooks.destroyed();
    this.#destroys.answerAll((seq) => world.effects.reply(seq, DM_ULOG_DTR, 0));
  }
}
