/**
 * One log: the kernel's requests about regions, and what the ordered stream makes of them. The life cycle is in
 * log-life.ts, marks in marks.ts, recovery in recovery.ts, the device in log-store.ts.
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
 * | GET_SYNC_COUNT      | count            | 0                  | count        | count              |
 *
 * -ESRCH makes the kernel send constructor and RESUME (reconnect.ts). While a log of unknown marks (R3) is resuming, every
 * request that can be answered so is, until PRESUSPEND: its kernel writes and believes nobody's "recovering elsewhere".
 */
import { Errno } from '../base/errno.js';
import { payloadRegionsMax } from '../base/limits.js';
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
  DM_ULOG_PRESUSPEND,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
  DM_ULOG_STATUS_TABLE,
  type RequestView,
} from '../base/ulog-frames.js';
import type { ConstructorArgs } from './constructor-args.js';
import { FlushWaiters, type Progress } from './flush-waiters.js';
import { type LifeHooks, LogLife } from './log-life.js';
import type { LogParts } from './log-parts.js';
import { LifeCycle, type LogState } from './log-state.js';
import { type CleanChange, Marks } from './marks.js';
import { type LogMessage, MessageType } from './messages.js';
import { reconnects, reconnectsLive } from './reconnect.js';
import { Recovery } from './recovery.js';
import { RecoveryRequests } from './recovery-requests.js';
import { type DeviceNumbers, statusInfo, statusTable, unpackDevice } from './status-text.js';
import { report, type World } from './world.js';

const regions = new Float64Array(payloadRegionsMax);

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
  /** The end of this turn must look at the log. */
  needsTurn = true;
  /** When `tick` has something to do next; -1: never. */
  deadlineMs = -1;
  /** R3: the kernel was seen outside a flush, so no mark of the flush that it is in went to a daemon that is gone. */
  #flushIsOurs = false;
  /** The kernel reconnects, and its first request after that has not come. */
  #reconnecting = false;
  /** No request has come since a restart: its kernel may have left while no daemon ran. */
  silent: boolean;
  /** When the last request came, and when a RESUME was refused because another instance served; -1: never. */
  heardAtMs = -1;
  refusedAtMs = -1;
  readonly #world: World;
  readonly #marks: Marks;
  readonly #recoveryRequests: RecoveryRequests;
  readonly #waiters = new FlushWaiters();
  readonly #change: CleanChange = { dirtied: 0, cleaned: 0 };
  readonly #progress: Progress;
  readonly #answerSafe = (seq: number, type: number): void => this.#world.effects.reply(seq, type, 0);

  constructor(world: World, state: LogState, args: ConstructorArgs, hooks: Omit<LifeHooks, 'changed'>) {
    this.state = state;
    this.args = args;
    this.uuid = state.identity.uuid;
    this.uuidBytes = Buffer.from(this.uuid, 'utf8');
    this.silent = state.restored;
    this.#world = world;
    const recovery = new Recovery(state, world.node);
    const marks = new Marks(world, state, (region) => !this.#recoveryRequests.isWished(region));
    this.#marks = marks;
    const parts: LogParts = { world, state, args, uuid: this.uuid, marks, recovery, waiters: this.#waiters };
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
    };
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
  handle(request: RequestView, slotTaken: boolean, nowMs: number): void {
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
    if (this.#reconnecting) this.#reconnected();
    if (this.state.marksUnknown && showsNoFlush(type)) this.#flushIsOurs = true;
    switch (type) {
      case DM_ULOG_DTR:
        this.life.destroy(seq);
        return;
      case DM_ULOG_PRESUSPEND:
        this.life.presuspend(seq);
        return;
      case DM_ULOG_GET_REGION_SIZE:
        effects.replyValue(seq, type, state.geometry.regionSizeSectors);
        return;
      case DM_ULOG_GET_SYNC_COUNT:
        effects.replyValue(seq, type, state.lifeCycle === LifeCycle.resuming ? 0 : state.map.syncCount);
        return;
      case DM_ULOG_STATUS_TABLE:
        effects.replyText(seq, type, statusTable(this.args, this.deviceNumbers));
        return;
      case DM_ULOG_STATUS_INFO:
        if (!this.#serves) {
          effects.reply(seq, type, -Errno.ENOENT);
          return;
        }
        effects.replyText(seq, type, statusInfo(this.args, this.deviceNumbers, state.logFailed));
        return;
      case DM_ULOG_GET_RESYNC_WORK:
        this.#recoveryRequests.getResyncWork(seq);
        return;
      case DM_ULOG_IS_CLEAN:
      case DM_ULOG_IN_SYNC:
      case DM_ULOG_FLUSH:
      case DM_ULOG_MARK_REGION:
      case DM_ULOG_CLEAR_REGION:
      case DM_ULOG_SET_REGION_SYNC:
      case DM_ULOG_IS_REMOTE_RECOVERING:
        this.#handleRegions(request, type, seq, nowMs);
        return;
    }
    // POSTSUSPEND is the last: its answer depends on whose the uuid is now.
    this.life.postsuspend(seq, slotTaken);
  }

  /**
   * The kernel has repeated the constructor; RESUME follows, then the request for which it does that. When no daemon
   * runs for that RESUME the kernel gives the request up, and a question that it gave up counts as "not in sync": a write
   * goes to one leg, its region marked and cleared like any other. So a daemon that is killed in between leaves a log of unknown
   * marks (R3), which cleans nothing before suspend and resume.
   */
  reconnecting(): void {
    if (!this.#serves || this.state.marksUnknown) return;
    this.#reconnecting = true;
    this.state.marksUnknown = true;
  }

  /** It went well: the kernel goes on. What could not be cleaned meanwhile is looked for. */
  #reconnected(): void {
    this.#reconnecting = false;
    if (!this.state.marksUnknown) return;
    this.state.marksUnknown = false;
    this.#marks.beginSweep();
  }

  /** A message of the ordered stream, at its place in the order. */
  deliver(order: number, message: LogMessage, nowMs: number): void {
    const own = message.node === this.#world.node;
    const change = this.#change;
    change.dirtied = 0;
    change.cleaned = 0;
    this.needsTurn = true;
    switch (message.type) {
      case MessageType.mark:
        this.#marks.applyMark(message.node, message.regions, message.count, order, change);
        break;
      case MessageType.release:
        this.#marks.applyRelease(message.node, message.regions, message.count, change);
        break;
      case MessageType.inSync:
        this.#marks.applySync(message.regions[0] as number, message.flag === 1, change);
        break;
      case MessageType.wish:
        this.#recoveryRequests.wishDelivered(message.regions[0] as number);
        break;
      default:
        if (own) this.#deliverLife(message);
    }
    if (change.dirtied > 0 || change.cleaned > 0) this.life.store?.changed(change.dirtied > 0, nowMs);
    if (own && message.type === MessageType.mark) this.#waiters.delivered(this.#progress);
    if (own && message.type === MessageType.inSync) {
      const { store } = this.life;
      // Not only when it changed something: the same request again finds the region dirty and its write under way.
      const waits = message.flag === 0 && store !== null && !store.allDurable && !this.state.logFailed;
      this.#recoveryRequests.syncDelivered(message, waits);
    }
  }

  tick(nowMs: number): void {
    this.needsTurn = true;
    this.#marks.expire(nowMs);
    if (this.#marks.announcing) this.#announceOn();
    if (this.#marks.sweeping) {
      this.#marks.sweep();
      this.life.swept();
    }
    this.life.store?.tick(nowMs);
  }

  #announceOn(): void {
    this.#marks.announceStep();
    if (this.#marks.announcing) return;
    this.#waiters.announced(this.#progress, this.#marks.marksSubmitted);
    this.life.swept();
  }

  /** Answers what has become safe, starts the commit that is due, and says when `tick` is needed. */
  endTurn(nowMs: number): void {
    this.needsTurn = false;
    this.#answerWaiters();
    const { store } = this.life;
    if (store !== null) {
      store.commitIfDue(this.#waiters.needsWrite(store.startedGeneration), nowMs);
      // Nothing had to be written after all: what waited is safe.
      if (this.needsTurn) this.#answerWaiters();
    }
    let deadlineMs = earlier(this.#marks.deadlineMs(), store?.deadlineMs() ?? -1);
    if (this.#marks.sweeping || this.#marks.announcing) deadlineMs = nowMs;
    this.deadlineMs = deadlineMs;
  }

  /** See reconnect.ts: the kernel takes the log for resumed, or writes to it while its marks are not known (R3). */
  #wantsReconnect(type: number): boolean {
    if (this.#serves) return false;
    if (this.state.lifeCycle !== LifeCycle.resuming) return reconnectsLive(type);
    return this.state.marksUnknown && !this.life.drains && reconnects(type);
  }

  /** True while a request waits for the stream or the device. */
  get waiting(): boolean {
    return this.#waiters.size > 0;
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

  get #serves(): boolean {
    return this.state.lifeCycle === LifeCycle.active || this.state.lifeCycle === LifeCycle.halted;
  }

  #answerWaiters(): void {
    if (this.#waiters.size === 0) return;
    const durable = this.life.store?.durableGeneration ?? 0;
    this.#waiters.takeReady(this.#world.acknowledgedOrder, durable, this.#answerSafe);
  }

  #handleRegions(request: RequestView, type: number, seq: number, nowMs: number): void {
    const { effects } = this.#world;
    const count = request.readRegions(regions);
    if (!payloadFits(type, count) || this.#outside(type, count)) {
      effects.reply(seq, type, -Errno.EINVAL);
      return;
    }
    if (this.state.lifeCycle === LifeCycle.resuming) {
      this.#whileResuming(type, seq, count);
      return;
    }
    if (!this.#serves) {
      effects.reply(seq, type, -Errno.ENOENT);
      return;
    }
    if (changesRegions(type) && !this.#reserve(type, count)) {
      effects.reply(seq, type, -Errno.ENOSPC);
      return;
    }
    const region = regions[0] as number;
    switch (type) {
      case DM_ULOG_IS_CLEAN:
        effects.replyValue(seq, type, this.state.map.isClean(region) ? 1 : 0);
        return;
      case DM_ULOG_IN_SYNC:
        effects.replyValue(seq, type, this.#isInSync(region) ? 1 : 0);
        return;
      case DM_ULOG_MARK_REGION:
        this.#marks.mark(regions, count);
        effects.reply(seq, type, 0);
        return;
      case DM_ULOG_CLEAR_REGION:
        this.#marks.clear(regions, count, nowMs);
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
    const { map } = this.state;
    if (map.reserve(regions, type === DM_ULOG_SET_REGION_SYNC ? 1 : count)) return true;
    report(this.#world, 'error', 'state-full', this.uuid, 'no room left in the state folder: a request was refused');
    return false;
  }

  /** Of SET_REGION_SYNC only the first value is a region. */
  #outside(type: number, count: number): boolean {
    return this.state.map.firstOutside(regions, type === DM_ULOG_SET_REGION_SYNC ? 1 : count) >= 0;
  }

  /** Nothing is known yet: writes are held back, and what must be said for good is refused (log-life.ts). */
  #whileResuming(type: number, seq: number, count: number): void {
    const { effects } = this.#world;
    const { drains } = this.life;
    switch (type) {
      case DM_ULOG_IN_SYNC:
        effects.replyValue(seq, type, drains ? 1 : 0);
        return;
      case DM_ULOG_IS_REMOTE_RECOVERING:
        effects.replyPair(seq, type, drains ? 0 : 1, drains ? this.state.map.regionCount : 0);
        return;
      case DM_ULOG_CLEAR_REGION:
        this.state.map.unhold(regions, count);
        effects.reply(seq, type, 0);
        return;
    }
    effects.reply(seq, type, -Errno.EIO);
  }

  #isInSync(region: number): boolean {
    const { state } = this;
    return state.lifeCycle === LifeCycle.halted || state.inSyncLatched || state.map.isInSync(region);
  }

  /**
   * A flush whose marks may have gone to a daemon that is gone, state and all: any region may be the one that is written
   * next. So all of them are dirty before it is answered, and are resynced after the next suspend and resume.
   */
  #distrust(nowMs: number): void {
    const { map } = this.state;
    this.#flushIsOurs = true;
    if (map.cleanCount === 0) return;
    map.fillClean(0, map.regionCount, false);
    this.life.store?.changed(true, nowMs);
    report(
      this.#world,
      'warning',
      'marks-distrusted',
      this.uuid,
      'marks were lost with the state: every region is dirty',
    );
  }

  #flush(seq: number, count: number, nowMs: number): void {
    const { effects, acknowledgedOrder } = this.#world;
    const marks = this.#marks;
    if (count > 0) marks.mark(regions, count);
    else if (this.state.marksUnknown && !this.#flushIsOurs) this.#distrust(nowMs);
    if (this.state.logFailed) {
      effects.reply(seq, DM_ULOG_FLUSH, -Errno.EIO);
      return;
    }
    const delivered = marks.marksDelivered === marks.marksAwaited;
    if (delivered && marks.lastMarkOrder <= acknowledgedOrder && (this.life.store?.allDurable ?? true)) {
      effects.reply(seq, DM_ULOG_FLUSH, 0);
      return;
    }
    this.#waiters.add(DM_ULOG_FLUSH, seq, marks.marksAwaited, this.#progress);
  }

  #deliverLife(message: LogMessage): void {
    switch (message.type) {
      case MessageType.assign:
        this.#recoveryRequests.assignDelivered();
        return;
      case MessageType.join:
        this.life.joinDelivered();
        return;
      case MessageType.halt:
        this.life.haltDelivered();
        return;
      case MessageType.leave:
        this.life.leaveDelivered();
        return;
    }
  }
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

/** The earlier of two times of which -1 means never. */
function earlier(first: number, second: number): number {
  if (first < 0) return second;
  return second < 0 ? first : Math.min(first, second);
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
