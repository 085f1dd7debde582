/**
 * What a message of the ordered stream does to one log, at its place in the order: the same on every member that has the log. Which
 * part of a log changes is decided here, and how in marks.ts, recovery-requests.ts, membership.ts and log-life.ts.
 */
import type { FlushWaiters, Progress } from './flush-waiters.js';
import type { LogLife } from './log-life.js';
import type { LogParts } from './log-parts.js';
import type { CleanChange } from './marks.js';
import type { Membership } from './membership.js';
import { type LogMessage, MessageType } from './messages.js';
import type { RecoveryRequests } from './recovery-requests.js';
import type { Writer } from './replica-rights.js';

export interface DeliveryParts extends LogParts {
  readonly life: LogLife;
  readonly recoveryRequests: RecoveryRequests;
  readonly membership: Membership;
  readonly waiters: FlushWaiters;
  readonly progress: Progress;
}

export class LogDeliveries {
  readonly #log: DeliveryParts;
  readonly #change: CleanChange = { dirtied: 0, cleaned: 0 };

  constructor(parts: DeliveryParts) {
    this.#log = parts;
  }

  apply(order: number, message: LogMessage, nowMs: number): void {
    const { world, marks, recoveryRequests, replica, life, waiters, progress } = this.#log;
    const own = message.node === world.node;
    const change = this.#change;
    change.dirtied = 0;
    change.cleaned = 0;
    switch (message.type) {
      case MessageType.mark:
        marks.applyMark(message.node, message.regions, message.count, order, message.flag, change);
        break;
      case MessageType.release:
        marks.applyRelease(message.node, message.regions, message.count, change);
        break;
      case MessageType.inSync:
        if (recoveryRequests.endsDoubted(message)) return;
        for (let i = 0; i < message.count; i++)
          marks.applySync(message.regions[i] as number, message.flag === 1, change);
        break;
      case MessageType.wish:
        recoveryRequests.wishDelivered(message.regions[0] as number);
        break;
      case MessageType.assign:
        recoveryRequests.assignDelivered(message, order);
        // Given back: who was told of none meanwhile asks no more.
        if (message.flag === 1) this.#log.membership.restartRecovery();
        break;
      default:
        if (replica.rights.shared) this.#applyShared(message, change);
        else if (own) life.delivered(order, message);
    }
    if (change.dirtied > 0 || change.cleaned > 0) life.store?.changed(change.dirtied > 0, nowMs);
    if (own && message.type === MessageType.mark) waiters.delivered(progress);
    if (message.type === MessageType.inSync) this.#syncDelivered(order, message, own);
  }

  #syncDelivered(order: number, message: LogMessage, own: boolean): void {
    const { state, marks, replica, life, recoveryRequests, waiters } = this.#log;
    const { shared } = replica.rights;
    const dirtied = message.flag !== 1;
    // On a cluster all members must know first, as of a mark; and that a copy has ended under which this kernel waits to write: who has not
    // heard it would take that for copied when this node dies (R4).
    const waitedFor = !own && !dirtied && (state.marksUnknown || this.#holdsAny(message));
    if (shared && ((own && dirtied) || waitedFor)) {
      marks.lastMarkOrder = order;
      if (waitedFor) waiters.awaitAlso(order);
    }
    // Not only when it changed something: the same request again finds the region dirty and its write under way.
    const open = shared || (life.store !== null && !life.store.allDurable);
    recoveryRequests.syncDelivered(message, dirtied && open && !state.logFailed);
  }

  #holdsAny({ regions, count }: LogMessage): boolean {
    const { map } = this.#log.state;
    return regions.subarray(0, count).some((region) => map.isHeld(region));
  }

  /** What only several members have to say to each other. */
  #applyShared(message: LogMessage, change: CleanChange): void {
    const { world, membership, replica } = this.#log;
    const { store } = this.#log.life;
    switch (message.type) {
      case MessageType.durable:
        this.#durable(message, replica.rights.writer);
        return;
      case MessageType.unknownDirty:
        membership.unknownDirty(message, Number.POSITIVE_INFINITY);
        membership.restartRecovery();
        change.dirtied += 1;
        if (message.node === world.node && message.flag !== 2) store?.merged(message.seq);
        return;
      case MessageType.passRestart:
        membership.restartPassedOn(message.node);
        return;
      case MessageType.logState:
        if (message.node === replica.rights.writer.node) this.#logState(message);
        return;
    }
  }

  /** R1, R8: nobody else's word counts, none of an earlier epoch, and none of who wrote what only he had. */
  #durable({ node, regions }: LogMessage, writer: Writer): void {
    if (node !== writer.node || regions[0] !== writer.epoch || !writer.valid) return;
    this.#log.life.store?.confirmed(regions[1] as number);
  }

  /** R16: what the writer's device does is every member's business. The writer knows it before all, and may know better by then. */
  #logState({ node, flag }: LogMessage): void {
    const { state, failures, waiters, world } = this.#log;
    if (node === world.node) return;
    const failed = flag === 1;
    if (state.logFailed && !failed) failures.knownWell();
    if (!failed) return;
    if (!state.logFailed) state.logFailed = true;
    failures.failAll(waiters);
  }
}
