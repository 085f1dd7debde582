/**
 * One log: the kernel's requests, and what the ordered stream makes of them. Those that name regions are in
 * region-requests.ts, the life cycle in log-life.ts, marks in marks.ts, recovery in recovery.ts, the device in log-store.ts.
 *
 * A question is answered at once. A change goes into the ordered stream and takes effect at its delivery, on every
 * member alike; MARK and CLEAR are answered before that, as soon as they are stored (R1, R2), everything else when
 * it has taken effect. What each request gets in each life cycle (`-` numbers are errno):
 *
 * | request             | pending, leaving | resuming           | active       | halted             |
 * | ------------------- | ---------------- | ------------------ | ------------ | ------------------ |
 * | IS_CLEAN            | -ENOENT          | -EIO               | clean bit    | clean bit          |
 * | IN_SYNC             | -ESRCH           | 0 (1 once halted)  | R12          | 1 (R10)            |
 * | FLUSH               | -ENOENT          | -EIO               | R1           | R1                 |
 * | MARK_REGION         | -ESRCH           | -EIO               | stored       | stored             |
 * | CLEAR_REGION        | -ENOENT          | stored             | stored       | stored             |
 * | GET_RESYNC_WORK     | -ESRCH           | none               | recovery.ts  | none               |
 * | SET_REGION_SYNC     | -ESRCH           | -EIO               | delivered    | delivered          |
 * | IS_REMOTE_RECOVERING| -ESRCH           | yes, hint 0 (no once halted) | R18 | no, region count (R10) |
 * | STATUS_INFO         | -ENOENT          | -ENOENT            | text         | text               |
 * | GET_SYNC_COUNT      | count (not all)  | 0                  | count        | count (not all)    |
 *
 * -ESRCH makes the kernel send constructor and RESUME (reconnect.ts). While a log of unknown marks (R3) is resuming, every
 * request that can be answered so is, until PRESUSPEND: its kernel writes and believes nobody's "recovering elsewhere".
 */
import { Errno } from '../base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_REGION_SIZE,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_IS_REMOTE_RECOVERING,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
  DM_ULOG_STATUS_TABLE,
  type RequestView,
} from '../base/ulog-frames.js';
import type { ConstructorArgs } from './constructor-args.js';
import { FlushFailures } from './flush-failures.js';
import { FlushWaiters, type Progress } from './flush-waiters.js';
import type { LifeHooks } from './life-parts.js';
import { LogDeliveries } from './log-deliveries.js';
import { LogLife } from './log-life.js';
import type { LogParts } from './log-parts.js';
import { LifeCycle, type LogState, serves } from './log-state.js';
import { Marks } from './marks.js';
import { emptyTable, type Member, memberOf } from './member-table.js';
import { Membership } from './membership.js';
import type { LogMessage } from './messages.js';
import { reconnects, reconnectsLive } from './reconnect.js';
import { Recovery } from './recovery.js';
import { RecoveryRequests } from './recovery-requests.js';
import type { RecoveryRest } from './recovery-restarts.js';
import { RegionRequests } from './region-requests.js';
import { Replica } from './replica.js';
import type { LogReport } from './return-merge.js';
import { type DeviceNumbers, statusInfo, statusTable, unpackDevice } from './status-text.js';
import { report, type World } from './world.js';

/** What is known of one region. */
export interface RegionFacts {
  readonly clean: boolean;
  readonly inSync: boolean;
  readonly held: boolean;
  readonly sticky: boolean;
  readonly releasing: boolean;
  readonly ownedHere: boolean;
  readonly ownedElsewhere: boolean;
  readonly wished: boolean;
  readonly recovering: boolean;
  /** Out of sync, and the search for resync work has passed it. */
  readonly behindSearch: boolean;
  readonly sweeping: boolean;
}

export class MirrorLog {
  readonly state: LogState;
  readonly args: ConstructorArgs;
  readonly uuid: string;
  readonly uuidBytes: Uint8Array;
  readonly life: LogLife;
  readonly replica: Replica;
  /** The end of this turn must look at the log. */
  needsTurn = true;
  /** When `tick` has something to do next; -1: never. */
  deadlineMs = -1;
  /** The kernel reconnects, and its first request after that has not come. */
  #reconnecting = false;
  /** It has repeated the constructor: the RESUME of that follows, or has come and is not known to have been answered. */
  #constructedAgain = false;
  /** That RESUME has come. */
  #resumedAgain = false;
  /** It has repeated the constructor since its PRESUSPEND. */
  #reconnectedHalted = false;
  /** No request has come since a restart: its kernel may have left while no daemon ran. */
  silent: boolean;
  /** When the last request came, and when a RESUME was refused because another instance served; -1: never. */
  heardAtMs = -1;
  refusedAtMs = -1;
  readonly #world: World;
  readonly #marks: Marks;
  readonly #recoveryRequests: RecoveryRequests;
  readonly #regionRequests: RegionRequests;
  readonly #recovery: Recovery;
  readonly #membership = new Membership();
  readonly #waiters = new FlushWaiters();
  readonly #failures: FlushFailures;
  readonly #deliveries: LogDeliveries;
  readonly #progress: Progress;
  readonly #answerSafe = (seq: number, type: number): void => this.#world.effects.reply(seq, type, 0);

  constructor(world: World, state: LogState, args: ConstructorArgs, hooks: Omit<LifeHooks, 'changed'>) {
    this.state = state;
    this.args = args;
    this.uuid = state.identity.uuid;
    this.uuidBytes = Buffer.from(this.uuid, 'utf8');
    this.silent = state.restored;
    this.#world = world;
    const recovery = new Recovery(state, world);
    this.#recovery = recovery;
    const replica = new Replica(world, state, this.#membership);
    this.replica = replica;
    const marks = new Marks(world, state, replica.rights, (region) => !this.#recoveryRequests.isWished(region));
    this.#marks = marks;
    const { uuid } = this;
    const failures = new FlushFailures(world, state, marks, replica.rights);
    this.#failures = failures;
    const parts: LogParts = { world, state, args, uuid, marks, recovery, replica, waiters: this.#waiters, failures };
    this.#recoveryRequests = new RecoveryRequests(parts, (seq) =>
      this.#waiters.add(DM_ULOG_SET_REGION_SYNC, seq, marks.marksDelivered, this.#progress),
    );
    const changed = () => {
      this.needsTurn = true;
    };
    const life = new LogLife(parts, { ...hooks, changed });
    this.life = life;
    this.#progress = {
      get marksDelivered() {
        return marks.marksDelivered;
      },
      get lastMarkOrder() {
        return marks.lastMarkOrder;
      },
      get generation() {
        return life.store?.generation ?? 0;
      },
      get fresh() {
        return marks.fresh;
      },
    };
    this.#regionRequests = new RegionRequests(parts, life, this.#recoveryRequests, this.#progress);
    const more = { life, recoveryRequests: this.#recoveryRequests, progress: this.#progress };
    this.#deliveries = new LogDeliveries({ ...parts, ...more, membership: this.#membership });
    this.#membership.attach({
      ...parts,
      ...more,
      apply: (order, message, nowMs) => this.#deliveries.apply(order, message, nowMs),
      changed,
    });
  }

  /** True until a restored log's device has been written again, or has failed. */
  get restoring(): boolean {
    const { store } = this.life;
    return this.state.restored && store?.busy === true && store.durableGeneration === 0;
  }

  /** The log device's numbers: as it said itself, also to an earlier daemon; before that as the constructor has them. */
  get deviceNumbers(): DeviceNumbers {
    const known = unpackDevice(this.state.deviceNumber);
    if (known !== null) return known;
    const named = /^([0-9]+):([0-9]+)$/.exec(this.args.deviceName ?? '');
    return { major: Number(named?.[1] ?? 0), minor: Number(named?.[2] ?? 0) };
  }

  /** Every request but CTR and RESUME, which the registry of logs has to see first. */
  handle(request: RequestView, nowMs: number): void {
    const { effects } = this.#world;
    const { state } = this;
    const { type, seq } = request;
    this.silent = false;
    this.heardAtMs = nowMs;
    this.needsTurn = true;
    if (this.#wantsReconnect(type)) {
      effects.reply(seq, type, -Errno.ESRCH);
      return;
    }
    if (this.#resumedAgain && serves(state) && !this.#waiters.has(DM_ULOG_RESUME)) this.#reconnected();
    this.#regionRequests.seen(type);
    switch (type) {
      case DM_ULOG_DTR:
        this.life.exit.destroy(seq);
        return;
      case DM_ULOG_PRESUSPEND:
        this.life.halt.presuspend(seq);
        return;
      case DM_ULOG_GET_REGION_SIZE:
        effects.replyValue(seq, type, state.geometry.regionSizeSectors);
        return;
      case DM_ULOG_GET_SYNC_COUNT:
        effects.replyValue(seq, type, this.#recoveryRequests.syncCount());
        return;
      case DM_ULOG_STATUS_TABLE:
        effects.replyText(seq, type, statusTable(this.args, this.deviceNumbers));
        return;
      case DM_ULOG_STATUS_INFO:
        if (!serves(this.state)) {
          effects.reply(seq, type, -Errno.ENOENT);
          return;
        }
        effects.replyText(seq, type, statusInfo(this.args, this.deviceNumbers, state.logFailed));
        return;
      case DM_ULOG_GET_RESYNC_WORK:
        this.#recoveryRequests.getResyncWork(seq, this.life.entry.asksForWork());
        return;
      case DM_ULOG_IS_CLEAN:
      case DM_ULOG_IN_SYNC:
      case DM_ULOG_FLUSH:
      case DM_ULOG_MARK_REGION:
      case DM_ULOG_CLEAR_REGION:
      case DM_ULOG_SET_REGION_SYNC:
      case DM_ULOG_IS_REMOTE_RECOVERING:
        this.#regionRequests.handle(request, type, seq, nowMs);
        return;
      case DM_ULOG_POSTSUSPEND:
        this.#reconnectedHalted = false;
        if (this.life.entry.unsure) this.replica.record.nothingGivenUp();
        this.life.exit.postsuspend(seq);
        return;
    }
  }

  /**
   * The kernel has repeated the constructor; RESUME follows, then the request for which it does that. When no daemon
   * runs for that RESUME the kernel gives the request up, and a question that it gave up counts as "not in sync": a write
   * goes to one leg, its region marked and cleared like any other. So a daemon that is killed in between leaves a log of unknown
   * marks (R3), which cleans nothing before suspend and resume.
   */
  reconnecting(): void {
    this.#constructedAgain = true;
    this.#resumedAgain = false;
    if (this.state.lifeCycle === LifeCycle.halted) this.#reconnectedHalted = true;
    this.replica.gaveUp();
    if (!this.state.reconnecting) this.state.reconnecting = true;
    if (!serves(this.state) || this.state.marksUnknown) return;
    this.#reconnecting = true;
    // What the daemon before this one was told is stored: no mark was lost.
    this.#regionRequests.marksAreOurs();
    this.state.marksUnknown = true;
  }

  /**
   * It went well: the kernel goes on. What could not be cleaned meanwhile is looked for. While RESUME waits for the log device,
   * requests of the kernel's other threads say nothing of the one that reconnects.
   */
  #reconnected(): void {
    this.#constructedAgain = false;
    this.#resumedAgain = false;
    const known = this.#reconnecting && this.state.marksUnknown;
    this.#reconnecting = false;
    // In this order: killed in between, the next daemon must not take them for lost.
    if (known) this.state.marksUnknown = false;
    this.state.reconnecting = false;
    if (!known) return;
    this.#marks.beginSweep();
    this.replica.marksKnown();
    this.#recoveryRequests.marksKnown();
  }

  /** RESUME, when the registry has found that the log may have its uuid. */
  resume(seq: number): void {
    // It is sent again, and heard. Of one that suspends it may be the resume behind that.
    if (this.state.lifeCycle === LifeCycle.active) this.replica.record.nothingGivenUp();
    this.#resumedAgain = this.#constructedAgain;
    this.life.entry.resume(seq, this.#constructedAgain, this.#reconnectedHalted);
  }

  /** A message of the ordered stream, at its place in the order. */
  deliver(order: number, message: LogMessage, nowMs: number): void {
    this.needsTurn = true;
    if (this.replica.takes(order, message, nowMs)) this.#deliveries.apply(order, message, nowMs);
  }

  /** Its leave was delivered behind those of all others. */
  stayToClose(message: LogMessage): void {
    this.needsTurn = true;
    if (!this.replica.isLast(message)) return;
    this.replica.tableChanged();
    this.life.exit.closeAlone();
  }

  /** A member is gone, at its place in the stream. */
  memberGone(member: Member, died: boolean): void {
    this.replica.gone(member, died);
  }

  /** What all who follow have may lack what others did, at its place in the stream. */
  resync(why: string): void {
    if (this.replica.following)
      report(this.#world, 'error', 'split-resync', this.uuid, `${why}: every region is resynced`);
    this.replica.resync();
  }

  /**
   * A node has another table, or none any more: what its kernel knew of regions out of sync ended with the one before (R10). `surmised`: or
   * its daemon has lost what it knew, and the table comes back.
   */
  tableReplaced(node: number, surmised: boolean): void {
    const { restrictions } = this.#recovery;
    const ends = () => (surmised ? restrictions.forget(node) : restrictions.removeNode(node));
    // What a log that has left remembers of others counts when nobody has it any more, and they are not there to say it then.
    // So it is with a copy that waits, and may be chosen as it is.
    if (!this.replica.following) ends();
    this.replica.head(ends);
  }

  /** R11: see `MirrorService.restartRecoveries`. */
  restartRecovery(): void {
    this.#membership.restartRecovery();
  }

  /** The node's kernel writes regions without marks that nobody can name (R10). */
  restrictAll(node: number, forgotten: boolean): void {
    this.#membership.restrictAll(node, forgotten);
  }

  /** The node has said all the regions to which its kernel writes without marks (R10). */
  restrictionsSaid(node: number): void {
    this.replica.head(() => this.#recovery.restrictions.known(node));
  }

  /** This node is no member any more: what it says of the log is what it knew when it left. */
  left(): void {
    const { table } = this.replica.rights;
    if (table !== undefined) this.replica.record.keep(table);
  }

  /** What this node says of the log when somebody comes to the group; null: its kernel does not use it. */
  report(): LogReport | null {
    const { lifeCycle, marksUnknown, position } = this.state;
    const { replica, uuid } = this;
    // Also one whose load was refused: it has left, and does not load anything when it is chosen to. Who has given a load up leaves when its
    // last write has ended, and has the writer's role until then (R8).
    const writes = this.life.store?.writing === true;
    if (replica.phase === 'outside' && !serves(this.state) && !writes) return null;
    const shape = { ...this.state.geometry, disk: this.state.image !== null };
    const table = replica.rights.table ?? Object.assign(emptyTable(uuid), shape);
    const me = memberOf(table, this.#world.node);
    const resuming = lifeCycle === LifeCycle.resuming;
    // One of unknown marks is in use, and members know as what; any other that resumes is not, whatever it was before.
    const entering = marksUnknown ? (me?.stage ?? 'joining') : 'joining';
    const halts = lifeCycle === LifeCycle.halted || this.life.halt.waits;
    const live = resuming ? entering : halts ? 'halted' : 'active';
    const valid = replica.following && me?.valid === true;
    // A load writes when it has read, whenever that is; and who has the role may begin until it hears that another has it.
    const begins = replica.phase === 'loading' || replica.mayWrite;
    const writing = writes || begins;
    return { table, live, tableGone: false, marksUnknown, shape, valid, writing, rank: replica.record.rank, position };
  }

  /** Somebody has resumed: the search for resync work begins anew on all replicas. */
  searchAnew(): void {
    this.replica.head(() => this.#recovery.restart());
  }

  tick(nowMs: number): void {
    this.needsTurn = true;
    this.#marks.expire(nowMs);
    if (this.#marks.announcesOn) this.#announceOn();
    if (this.#doubtMayEnd) this.#failures.putOutOfSync();
    if (this.#marks.sweepsOn) {
      this.#marks.sweep();
      this.life.exit.swept();
    }
    if (this.replica.usesDevice) this.life.store?.tick(nowMs);
  }

  get #doubtMayEnd(): boolean {
    return this.#failures.mayEndDoubt(this.life.store?.allDurable ?? true);
  }

  #announceOn(): void {
    this.#marks.announceStep();
    if (this.#marks.announcing) return;
    if (this.replica.rights.shared) {
      this.#membership.announced();
      return;
    }
    this.#waiters.announced(this.#progress, this.#marks.marksSubmitted);
    this.life.exit.swept();
  }

  /** Answers what has become safe, starts the commit that is due, and says when `tick` is needed. */
  endTurn(nowMs: number): void {
    this.needsTurn = false;
    this.life.poll();
    this.#recoveryRequests.poll();
    this.#answerWaiters();
    const { store } = this.life;
    const uses = store !== null && this.replica.usesDevice;
    if (uses) {
      if (this.replica.rights.sole && this.replica.writes) store.countWritten();
      store.proceed();
      // What other nodes have marked they wait for, without a waiter here.
      const owed = (!this.replica.rights.sole || this.#marks.doubted) && store.generation > store.startedGeneration;
      store.commitIfDue(owed || this.#waiters.needsWrite(store.startedGeneration), nowMs);
      // Nothing had to be written after all: what waited is safe.
      if (this.needsTurn) this.#answerWaiters();
    }
    let deadlineMs = earlier(this.#marks.deadlineMs(), uses ? store.deadlineMs() : -1);
    if (this.#marks.sweepsOn || this.#marks.announcesOn || this.#doubtMayEnd) deadlineMs = nowMs;
    this.deadlineMs = deadlineMs;
  }

  /** See reconnect.ts: the kernel takes the log for resumed, or writes to it while its marks are not known (R3). */
  #wantsReconnect(type: number): boolean {
    if (serves(this.state)) return false;
    if (this.state.lifeCycle !== LifeCycle.resuming) return reconnectsLive(type);
    return this.state.marksUnknown && !this.life.drains && reconnects(type);
  }

  /** R11: why its kernel asks for no work although regions are out of sync. */
  get recoveryRest(): RecoveryRest | null {
    return this.#recoveryRequests.rest;
  }

  /** R10: no other node recovers anything before this one has another table or is dead. */
  recoversAlone(node: number): boolean {
    return this.replica.following && this.#recovery.restrictions.isAlone(node);
  }

  /** True while a request waits for the stream or the device. */
  get waiting(): boolean {
    const merges = this.life.store?.merges === true;
    return merges || this.#waiters.size > 0 || this.#recoveryRequests.waiting || this.life.halt.waits;
  }

  /** How a region stands, for people who ask why. */
  regionFacts(region: number): RegionFacts {
    const { map, owners, sticky, recoveringRegion, searchPosition } = this.state;
    return {
      clean: map.isClean(region),
      inSync: map.isInSync(region),
      held: map.isHeld(region),
      sticky: sticky.has(region),
      releasing: this.#marks.isReleasing(region),
      ownedHere: owners.has(this.#world.node, region),
      ownedElsewhere: owners.ownedByOther(this.#world.node, region),
      wished: this.#recoveryRequests.isWished(region),
      recovering: recoveringRegion === region,
      behindSearch: !map.isInSync(region) && recoveringRegion !== region && region < searchPosition,
      sweeping: this.#marks.sweeping,
    };
  }

  #answerWaiters(): void {
    if (this.#waiters.size === 0) return;
    if (!this.#regionRequests.mayPromise) {
      this.#regionRequests.refuseWaiting();
      this.life.entry.answerWaiting();
      return;
    }
    const durable = this.life.store?.durableGeneration ?? 0;
    const fresh = this.#waiters.takeReady(this.#world.acknowledgedOrder, durable, this.#answerSafe);
    this.#marks.promised(fresh);
  }
}

/** The earlier of two times of which -1 means never. */
function earlier(first: number, second: number): number {
  if (first < 0) return second;
  return second < 0 ? first : Math.min(first, second);
}
