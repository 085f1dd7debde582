/**
 * How a log is halted: PRESUSPEND. Recovery rests from its delivery until the log is left, and on a cluster the answer waits for
 * other nodes (R10).
 */
import { Errno } from '../base/errno.js';
import { DM_ULOG_PRESUSPEND } from '../base/ulog-frames.js';
import type { LifeParts } from './life-parts.js';
import type { LogEntry } from './log-entry.js';
import { LifeCycle } from './log-state.js';
import { MessageType } from './messages.js';
import { SeqList } from './seq-list.js';

export class LogHalt {
  readonly #parts: LifeParts;
  readonly #entry: LogEntry;
  readonly #halts = new SeqList();
  #waits = false;
  /** Place of the halt message in the order, 0 when nobody else has to know. */
  #order = 0;

  constructor(parts: LifeParts, entry: LogEntry) {
    this.#parts = parts;
    this.#entry = entry;
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
    // The kernel of a log whose RESUME was refused goes on all the same; it suspends although this is refused, too.
    const begins = stalled || (state.lifeCycle === LifeCycle.pending && replica.rights.shared);
    if (begins && !state.draining) state.draining = true;
    if (stalled) {
      if (state.marksUnknown) this.#entry.letGo();
    }
    world.effects.reply(seq, DM_ULOG_PRESUSPEND, stalled ? -Errno.EIO : -Errno.EINVAL);
  }

  delivered(order: number): void {
    // R10: while another node's recovery is in flight its end is waited for; and all members must know that this kernel rests.
    this.#waits = true;
    this.#order = this.#parts.replica.rights.shared ? order : 0;
    this.poll();
  }

  /** Something waits for other nodes. */
  get waits(): boolean {
    return this.#waits;
  }

  /** The copy does not follow the stream any more: others may not have heard it, whatever they acknowledge from now on. */
  hush(): void {
    this.#order = Number.POSITIVE_INFINITY;
  }

  /** The copy follows the stream again: what others may not have heard goes once more. */
  resubmit(): void {
    if (!this.#waits) return;
    this.#waits = false;
    this.#parts.replica.request(MessageType.halt, 0);
  }

  /** Does what had to wait for other nodes. */
  poll(): void {
    const { recovery, replica, world } = this.#parts;
    // What others recover only a copy that follows knows; it is said again then.
    const known = replica.following && this.#order <= world.acknowledgedOrder;
    if (this.#waits && known && recovery.recoveredElsewhere < 0) this.#halted();
  }

  #halted(): void {
    const { state, world } = this.#parts;
    this.#waits = false;
    if (state.lifeCycle === LifeCycle.active) state.lifeCycle = LifeCycle.halted;
    this.#halts.answerAll((seq) => world.effects.reply(seq, DM_ULOG_PRESUSPEND, 0));
  }

  /** The log has left, without a halt. */
  left(): void {
    this.#halts.answerAll((seq) => this.#parts.world.effects.reply(seq, DM_ULOG_PRESUSPEND, -Errno.EINVAL));
  }
}
