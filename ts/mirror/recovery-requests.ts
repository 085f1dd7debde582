/**
 * What the kernel asks and reports about recovery: GET_RESYNC_WORK, SET_REGION_SYNC, IS_REMOTE_RECOVERING, and the
 * delivery of the messages that they become. Which region is next is recovery.ts's decision.
 *
 * A request waits for its message, with all its repetitions; the message is sent once.
 */
import { Errno } from '../base/errno.js';
import { DM_ULOG_GET_RESYNC_WORK, DM_ULOG_IS_REMOTE_RECOVERING, DM_ULOG_SET_REGION_SYNC } from '../base/ulog-frames.js';
import type { LogParts } from './log-parts.js';
import { LifeCycle, serves } from './log-state.js';
import { type LogMessage, MessageType } from './messages.js';
import { noRegion } from './recovery.js';
import type { RecoveryRest } from './recovery-restarts.js';
import { SeqList } from './seq-list.js';
import { SyncChanges } from './sync-changes.js';
import { UnheardSuspend } from './unheard-suspend.js';
import { report } from './world.js';
import { WriteRound } from './write-round.js';

export class RecoveryRequests {
  readonly #parts: LogParts;
  /** Answers SET_REGION_SYNC when what is dirty now is durable. */
  readonly #answerWhenDurable: (seq: number) => void;
  readonly #syncChanges = new SyncChanges();
  readonly #assigns = new SeqList();
  /** What the kernel is to hear when all members have the message of this place in the order. */
  #assigned: { readonly region: number; readonly order: number } | null = null;
  /** What members assigned to this kernel without its knowledge is on its way back. */
  #givingBack = false;
  /** Regions that others have just copied and that it has found out of sync, on their way. */
  readonly #sayingAgain = new Set<number>();
  /** The kernel was told of no work and has not asked since. What an earlier daemon has told it is not known. */
  #toldNone: boolean;
  /** What this daemon has handed out last. */
  #handedOut: number = noRegion;
  /** What an earlier one may have. */
  #handedOutBefore: number;
  /** Regions that were put out of sync by requests which wait until that is safe, by sequence number. */
  readonly #settling = new Map<number, number>();
  readonly round: WriteRound;
  /** Wishes on their way through the stream. */
  readonly #wishing = new Set<number>();
  readonly #suspend = new UnheardSuspend();

  constructor(parts: LogParts, answerWhenDurable: (seq: number) => void) {
    this.#parts = parts;
    this.#answerWhenDurable = answerWhenDurable;
    this.round = new WriteRound(parts.state.restored && parts.replica.rights.shared);
    this.#toldNone = parts.state.restored;
    this.#handedOutBefore = parts.state.restored && !parts.state.recoveryUntold ? this.ownRegion : noRegion;
  }

  /** An answer waits for what members acknowledge. */
  get waiting(): boolean {
    return this.#assigned !== null;
  }

  /** True when a write waits for the region's recovery, or is about to say so (R5). */
  isWished(region: number): boolean {
    return this.#parts.recovery.wishes.has(region) || this.#wishing.has(region);
  }

  /** SET_REGION_SYNC of a region inside the log. */
  setRegionSync(seq: number, region: number, flag: number): void {
    const { effects } = this.#parts.world;
    if (flag !== 0 && flag !== 1) {
      effects.reply(seq, DM_ULOG_SET_REGION_SYNC, -Errno.EINVAL);
      return;
    }
    if (this.#isUnasked(region, flag === 1)) {
      this.#copiedUnasked(region);
      effects.reply(seq, DM_ULOG_SET_REGION_SYNC, 0);
      return;
    }
    if (this.#syncChanges.full) {
      effects.reply(seq, DM_ULOG_SET_REGION_SYNC, -Errno.EAGAIN);
      return;
    }
    // Without a copy nobody knows whose the region is: it is said when there is one.
    if (this.#syncChanges.add(region, flag === 1, seq) && this.#parts.replica.following) this.#saySync(region, flag);
  }

  #saySync(region: number, flag: number): void {
    const { world, replica, uuid } = this.#parts;
    world.sender.one(MessageType.inSync, uuid, replica.lineage, region, flag);
  }

  /** GET_RESYNC_WORK of a log that is not pending. `resumes`: it is about to be resumed, by a message before the one that is sent here. */
  getResyncWork(seq: number, resumes: boolean): void {
    const { world, state, replica, uuid } = this.#parts;
    this.#suspend.recovers();
    this.#toldNone = false;
    // A kernel that asks copies nothing.
    this.#handedOut = noRegion;
    this.#handedOutBefore = noRegion;
    // Who has only just come hears whether it has quorum in a moment: the hand-out waits for that.
    const mayAsk = this.#mayHandOut || (this.#mayAsk && replica.rights.quorumUnsaid);
    const may = mayAsk && state.map.syncCount < state.map.regionCount;
    if (!may && !resumes && !this.#isAwaited) {
      this.#kernelIdles();
      this.#toldNone = true;
      if (replica.rights.shared && replica.following && this.ownRegion !== noRegion) this.#giveBack();
      // Nobody waits for what it has asked before, which may come all the same.
      this.#assigned = null;
      this.#assigns.add(seq);
      this.#assigns.answerAll((each) => world.effects.replyPair(each, DM_ULOG_GET_RESYNC_WORK, 0, 0));
      return;
    }
    this.#assigns.add(seq);
    if (this.#assigns.count === 1) world.sender.one(MessageType.assign, uuid, seq, -1, 0);
  }

  /**
   * Members take a region for this kernel's, which was not told of it, or asks again: "none" would leave it to nobody, because a
   * kernel that has heard that may not ask any more.
   */
  get #isAwaited(): boolean {
    const { world, state, recovery, replica } = this.#parts;
    if (!replica.rights.shared || !replica.following || !this.#mayAsk || replica.rights.refusesWork) return false;
    const stands = recovery.recoverer === world.node && !state.map.isInSync(state.recoveringRegion);
    return stands || this.#assigns.count > 0;
  }

  /** A kernel that asks copies nothing. Members who think otherwise hear it when the copy follows again (`headTaken`); where this copy counts, the region is found anew. */
  #kernelIdles(): void {
    const { world, recovery, replica } = this.#parts;
    if (!replica.following) recovery.givenBack(world.node);
  }

  /**
   * R11: why this kernel asks for no work although regions are out of sync; null: it asks, another recovers, or nothing would be found for it.
   * One that was told of none asks again when it is written to, and one that nobody uses never.
   */
  get rest(): RecoveryRest | null {
    const { world, state, recovery, replica } = this.#parts;
    const { map, lifeCycle, inSyncLatched } = state;
    if (lifeCycle !== LifeCycle.active || map.syncCount === map.regionCount) return null;
    if (inSyncLatched) return 'latched';
    const some = this.#mayHandOut && replica.rights.mayHandOut && this.#holdersKnown;
    const may = this.#toldNone && some && recovery.recoverer === -1;
    return may && recovery.finds(world.node) ? 'told-none' : null;
  }

  /** The region that this kernel recovers, as far as its own daemons know. */
  get ownRegion(): number {
    const { world, state, recovery } = this.#parts;
    return recovery.recoverer === world.node ? state.recoveringRegion : noRegion;
  }

  /** The region that this kernel copies, or may; `noRegion` where what members have assigned is on its way back. */
  get copiedHere(): number {
    return this.#givingBack ? noRegion : this.ownRegion;
  }

  /** The head of a copy is about to be taken, which has `assigned` for this kernel's region: it may have another, and no other place has that. */
  headComes(assigned: number): void {
    const { ownRegion } = this;
    if (ownRegion !== noRegion && ownRegion !== assigned) this.#keepCopied(ownRegion);
  }

  /**
   * The head of a copy has been taken. A region that members have assigned and of which this node
   * never heard was not handed out: its daemon was killed in between.
   */
  headTaken(): void {
    if (!this.#parts.state.marksUnknown) this.#giveBackUntold();
  }

  /** The kernel has only reconnected: its daemons know what they have handed out (R3). */
  marksKnown(): void {
    const { rights, following } = this.#parts.replica;
    if (rights.shared && following && this.#assigned === null) this.#giveBackUntold();
  }

  #giveBackUntold(): void {
    const { ownRegion } = this;
    if (ownRegion === noRegion || this.#wasTold(ownRegion)) return;
    this.#setUntold(true);
    this.#giveBack();
  }

  #giveBack(): void {
    const { world, uuid } = this.#parts;
    this.#givingBack = true;
    world.sender.one(MessageType.assign, uuid, 0, -1, 1);
  }

  /** A daemon of this node has handed the region out, and the kernel has not asked for work since. */
  #wasTold(region: number): boolean {
    return region === this.#handedOut || region === this.#handedOutBefore;
  }

  /** The kernel hears that its copy of the region has ended: should members still have it for this kernel's, it goes back. */
  #copyEnded(region: number): void {
    if (region === this.#handedOut) this.#handedOut = noRegion;
    if (region === this.#handedOutBefore) this.#handedOutBefore = noRegion;
  }

  #setUntold(untold: boolean): void {
    const { state } = this.#parts;
    if (state.recoveryUntold !== untold) state.recoveryUntold = untold;
  }

  /**
   * R4, R6: what this kernel copies, or may, nobody else copies, also where the copy that counts is one of others who went on, or older
   * than the assignment. To all it is as a region that this kernel has found out of sync (R10), and will be its own to recover anew.
   */
  #keepCopied(region: number): void {
    const { state, replica } = this.#parts;
    if (this.#wasTold(region) && state.lifeCycle !== LifeCycle.resuming && !this.hasCopied(region))
      replica.record.foundUnsaid(region);
  }

  /**
   * The copy does not follow any more, and another may take its place: what was applied to this one and is not with all members has to
   * be said to that one.
   */
  hush(): void {
    this.#parts.waiters.withdraw(DM_ULOG_SET_REGION_SYNC, (seq) => {
      const region = this.#settling.get(seq);
      if (region !== undefined) this.#syncChanges.add(region, false, seq);
    });
    this.#settling.clear();
    this.#sayingAgain.clear();
    if (this.#assigned !== null && this.#assigned.region !== noRegion) this.#assigned = null;
    if (this.#givingBack) this.#kernelIdles();
    this.#givingBack = false;
  }

  /**
   * On one host nobody else recovers, so the answer is no; this kernel holds writes to its own recovery back itself. On a
   * cluster it is yes for every region out of sync: a kernel writes to those without marks, and keeps doing so when another
   * node has recovered them (R10). So they are recovered first, on request.
   */
  isRemoteRecovering(seq: number, region: number): void {
    const { world, state, recovery, replica, uuid } = this.#parts;
    if (this.#handedOut === noRegion && this.#handedOutBefore === noRegion) this.#suspend.writes();
    else this.#suspend.recovers();
    if (state.lifeCycle === LifeCycle.halted) {
      world.effects.replyPair(seq, DM_ULOG_IS_REMOTE_RECOVERING, 0, state.map.regionCount);
      return;
    }
    if (!replica.following) {
      const held = state.map.isHeld(region);
      this.round.told(region, !held);
      world.effects.replyPair(seq, DM_ULOG_IS_REMOTE_RECOVERING, held ? 0 : 1, 0);
      return;
    }
    const waits = replica.rights.shared && this.#mustWait(region) ? 1 : 0;
    if (replica.rights.shared) this.round.told(region, waits === 1);
    this.latch();
    replica.tellHint(recovery.hint());
    world.effects.replyPair(seq, DM_ULOG_IS_REMOTE_RECOVERING, waits, recovery.hint());
    const wanted = this.#mayHandOut && !state.map.isInSync(region) && region !== state.recoveringRegion;
    if (!wanted || this.isWished(region)) return;
    this.#wishing.add(region);
    world.sender.one(MessageType.wish, uuid, 0, region, 0);
  }

  /**
   * GET_SYNC_COUNT. The kernel keeps "all" as its hint until it resumes, and asks nobody about its writes any more (R12). It may have
   * resumed already: a RESUME that nobody heard, or that is behind this. What a log has that is not in use may be old by then.
   */
  syncCount(): number {
    const { state, replica } = this.#parts;
    const { map, lifeCycle } = state;
    this.#suspend.counts();
    if (lifeCycle === LifeCycle.resuming) return 0;
    if (replica.rights.shared && lifeCycle !== LifeCycle.active) return Math.min(map.syncCount, map.regionCount - 1);
    this.latch();
    return map.syncCount;
  }

  /** R12: the kernel is about to hear that every region is in sync, also when that came with a copy of the log. */
  latch(): void {
    const { state } = this.#parts;
    const { map } = state;
    if (!state.inSyncLatched && serves(state) && map.syncCount === map.regionCount) state.inSyncLatched = true;
  }

  #mustWait(region: number): boolean {
    const { state, recovery, replica, world } = this.#parts;
    if (recovery.recoveredElsewhere === region) return true;
    // R10: others have just copied what this kernel would write without a mark, and are about to hear so.
    if (this.#sayingAgain.has(region)) return true;
    // It recovers nothing itself any more, and its suspend waits for these writes. IN_SYNC says yes to it, so they are marked.
    if (this.#suspend.shown) return false;
    // What this kernel holds nobody else recovers (R4), and IN_SYNC says yes to it: it goes on under its mark. A kernel whose PRESUSPEND
    // nobody heard recovers nothing itself any more, and its suspend waits for these writes.
    if (state.map.isHeld(region) && state.owners.has(world.node, region)) return false;
    if (state.inSyncLatched || region < replica.record.hint || state.map.isInSync(region)) return false;
    // Nobody recovers anything before this kernel was suspended and resumed, and a suspend waits for its writes. IN_SYNC says yes to
    // it, so they are marked.
    if (state.marksUnknown && replica.rights.unsettled) return false;
    // R10: nobody else recovers it, nor anything where more regions are this kernel's own than can be named. It may have ended its own
    // recovery for a suspend that nobody heard and that waits for these writes.
    if (state.recoveringRegion !== region && recovery.restrictions.isOf(region, world.node)) {
      replica.record.foundOut(region);
      return false;
    }
    // Its own recovery the kernel knows of; not of one that is assigned and was not handed out.
    return state.recoveringRegion !== region || this.#handedOut !== region;
  }

  wishDelivered(region: number): void {
    const { state, recovery, marks } = this.#parts;
    this.#wishing.delete(region);
    if (state.map.isInSync(region)) return;
    recovery.wishes.add(region);
    marks.applyWish(region);
  }

  /** An `assign` message. On a cluster every replica decides it alike, by what all of them know. Flag 1: it is given back. */
  assignDelivered({ node, flag }: LogMessage, order: number): void {
    const { world, recovery, replica } = this.#parts;
    if (flag === 1) {
      recovery.givenBack(node);
      if (node === world.node) this.#givingBack = false;
      return;
    }
    // What stands is given again: who suspends waits for its end (R10).
    const { map, recoveringRegion } = this.#parts.state;
    const stands = replica.rights.shared && recovery.recoverer === node && !map.isInSync(recoveringRegion);
    const maySome = replica.rights.mayHandOut && this.#holdersKnown;
    const may = stands || (replica.rights.shared ? maySome : this.#mayHandOut);
    const assigned = may ? recovery.assign(node) : noRegion;
    if (node !== world.node) return;
    // Two questions of it may be on their way, of which the first was answered.
    if (replica.rights.shared && assigned !== noRegion && !this.#wasTold(assigned)) this.#setUntold(true);
    this.#assigned = { region: assigned, order: replica.rights.shared && assigned !== noRegion ? order : 0 };
    this.poll();
  }

  /** R4: what others did is not known here, and they may write a region that is assigned and was not handed out yet. */
  withdrawUntold(): void {
    if (this.#assigned === null || this.#assigned.region === noRegion) return;
    this.#assigned = null;
    this.#giveBack();
    if (this.#assigns.count > 0) this.#parts.world.sender.one(MessageType.assign, this.#parts.uuid, 0, -1, 0);
  }

  /** Hands out what was assigned when every member knows it: one that does not would let its kernel write there (R4). */
  poll(): void {
    const { world, state, recovery } = this.#parts;
    const assigned = this.#assigned;
    if (assigned === null || assigned.order > world.acknowledgedOrder) return;
    const { rights } = this.#parts.replica;
    // A kernel that is told of none may not ask again, and nobody else is given what is its own.
    if (assigned.region !== noRegion && this.#mayAsk && !rights.mayPromise && !rights.refusesWork) return;
    // R10: another kernel has found it out of sync since it was assigned.
    if (assigned.region !== noRegion && !recovery.restrictions.allow(world.node, assigned.region)) {
      this.withdrawUntold();
      return;
    }
    this.#assigned = null;
    if (this.#assigns.count === 0) {
      // It was told of none meanwhile.
      this.#giveBackUntold();
      return;
    }
    const region = this.#mayHandOut && state.recoveringRegion === assigned.region ? assigned.region : noRegion;
    if (region === noRegion && assigned.region !== noRegion && rights.refusesWork) this.#giveBackUntold();
    this.#handedOut = region;
    if (region !== noRegion) this.#setUntold(false);
    this.#toldNone = region === noRegion;
    const found = region === noRegion ? 0 : 1;
    this.#assigns.answerAll((seq) =>
      world.effects.replyPair(seq, DM_ULOG_GET_RESYNC_WORK, found, found === 1 ? region : 0),
    );
  }

  /** An inSync message of any node has taken effect. `waits`: its regions are dirty and that may not be durable yet. */
  syncDelivered(message: LogMessage, waits: boolean): void {
    for (let i = 0; i < message.count; i++) {
      this.#regionSyncDelivered(message.node, message.regions[i] as number, message.flag, waits);
    }
  }

  #regionSyncDelivered(node: number, region: number, flag: number, waits: boolean): void {
    const { world, state, recovery, replica, failures, uuid } = this.#parts;
    const inSync = flag === 1;
    const { map } = state;
    // What only the daemon says ends no copy, should the region have been assigned to its kernel meanwhile (R6).
    if (flag === 2) recovery.outOfSync(region);
    else recovery.ended(node, region, inSync);
    if (inSync) recovery.restrictions.remove(region);
    else if (flag === 0 && replica.rights.shared) recovery.restrictions.add(region, node);
    const allInSync = map.syncCount === map.regionCount;
    if (allInSync) recovery.restrictions.clear();
    // R10: who has copied it did not know. This kernel writes there without marks all the same.
    const again = inSync && node !== world.node && this.#mayHaveFound(region);
    if (again) {
      this.#sayingAgain.add(region);
      world.sender.one(MessageType.inSync, uuid, 0, region, 0);
    } else if (inSync) replica.record.inSync(region, allInSync);
    else if (flag === 0 && replica.rights.shared && node === world.node) replica.record.foundOut(region);
    if (inSync && !state.inSyncLatched && allInSync) {
      state.inSyncLatched = true;
      report(world, 'notice', 'resync-done', uuid, `all ${map.regionCount} regions are in sync`);
    }
    if (node !== world.node) return;
    if (!inSync) this.#sayingAgain.delete(region);
    failures.syncDelivered(region);
    const asked = flag === 2 ? null : this.#syncChanges.take(region, inSync);
    // Of what its kernel copies still a daemon says so where another copy counts.
    if (asked === null) return;
    this.#copyEnded(region);
    asked.answerAll((seq) => {
      if (waits) this.#settles(seq, region);
      else world.effects.reply(seq, DM_ULOG_SET_REGION_SYNC, 0);
    });
  }

  /** This kernel has found it out of sync, as its record names it; or may have, where it has found more than that and the copy does not name all. */
  #mayHaveFound(region: number): boolean {
    const { recovery, replica, world } = this.#parts;
    const { found, moreFound } = replica.record;
    const { restrictions } = recovery;
    return found.has(region) || (moreFound && !restrictions.knows(world.node) && !restrictions.isAlone(world.node));
  }

  /** True when the message was the end of a copy that says nothing: the region is to be copied anew. An end is said of one region. */
  endsDoubted({ node, flag, regions }: LogMessage): boolean {
    const { recovery, world } = this.#parts;
    const region = regions[0] as number;
    if (flag !== 1 || !recovery.isDoubted(node, region)) return false;
    recovery.givenBack(node);
    if (node === world.node) {
      this.#copiedUnasked(region);
      this.#syncChanges.take(region, true)?.answerAll((seq) => world.effects.reply(seq, DM_ULOG_SET_REGION_SYNC, 0));
    }
    return true;
  }

  /**
   * R6: that a copy has ended well counts once, and from whoever was to make it. Others may have heard it before this node lost them, or
   * may never have known of the copy; by now the region may be out of sync for another reason.
   */
  #isUnasked(region: number, inSync: boolean): boolean {
    const { recovery, replica, world } = this.#parts;
    return inSync && replica.rights.shared && replica.following && !recovery.isAssignedTo(world.node, region);
  }

  /** What its kernel has copied it does not write without a mark any more. Where members have that it does, they have it until it has another table. */
  #copiedUnasked(region: number): void {
    const { recovery, replica, state, world } = this.#parts;
    this.#copyEnded(region);
    if (recovery.restrictions.names(region, world.node)) return;
    replica.record.inSync(region, state.map.syncCount === state.map.regionCount);
  }

  /** Its end is on its way, or has to be said again. */
  hasCopied(region: number): boolean {
    return this.#syncChanges.awaits(region, true);
  }

  /** What its kernel has said of it last was not answered, and is said again. */
  awaits(region: number): boolean {
    return this.#syncChanges.awaits(region, false) || this.hasCopied(region);
  }

  #settles(seq: number, region: number): void {
    if (!this.#parts.waiters.has(DM_ULOG_SET_REGION_SYNC)) this.#settling.clear();
    this.#settling.set(seq, region);
    this.#answerWhenDurable(seq);
  }

  /** The copy follows the stream again: what was on its way goes once more. */
  resubmit(): void {
    const { effects, sender } = this.#parts.world;
    for (const { region, inSync } of [...this.#syncChanges.waiting()]) {
      if (!this.#isUnasked(region, inSync)) {
        this.#saySync(region, inSync ? 1 : 0);
        continue;
      }
      this.#copiedUnasked(region);
      this.#syncChanges.take(region, inSync)?.answerAll((each) => effects.reply(each, DM_ULOG_SET_REGION_SYNC, 0));
    }
    this.#assigned = null;
    if (this.#assigns.count > 0) sender.one(MessageType.assign, this.#parts.uuid, 0, -1, 0);
    this.#wishing.clear();
  }

  /** R4: owners that did not fit (R17) may hold any region, but for one who is alone. */
  get #holdersKnown(): boolean {
    const { marks, replica } = this.#parts;
    return !marks.ownersFull || replica.rights.members <= 1;
  }

  get #mayHandOut(): boolean {
    const { replica } = this.#parts;
    return this.#mayAsk && replica.rights.mayPromise;
  }

  /** This kernel may recover, as far as it is concerned. */
  get #mayAsk(): boolean {
    const { state, marks } = this.#parts;
    return state.lifeCycle === LifeCycle.active && !marks.resting && !state.marksUnknown;
  }
}
