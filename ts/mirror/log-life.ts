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
 *
 * How each of them is entered and left: log-entry.ts, log-halt.ts, log-exit.ts.
 */
import type { LifeHooks } from './life-parts.js';
import type { LogDeviceInfo } from './log-device.js';
import { LogEntry } from './log-entry.js';
import { LogExit } from './log-exit.js';
import { LogHalt } from './log-halt.js';
import type { LogParts } from './log-parts.js';
import { LifeCycle } from './log-state.js';
import { LogStore } from './log-store.js';
import { decodeMembers } from './member-record.js';
import { type LogMessage, MessageType } from './messages.js';
import { StoreAnswers } from './store-answers.js';
import { StoreGoal } from './store-owner.js';

export class LogLife {
  readonly store: LogStore | null;
  readonly entry: LogEntry;
  readonly halt: LogHalt;
  readonly exit: LogExit;
  readonly #parts: LogParts;
  readonly #answers: StoreAnswers;

  constructor(parts: LogParts, hooks: LifeHooks) {
    this.#parts = parts;
    const { world, state, args } = parts;
    const { image } = state;
    this.#answers = new StoreAnswers(parts, {
      predecessors: () => hooks.predecessors(),
      changed: () => hooks.changed(),
      ready: () => this.entry.join(),
      notReady: (errno) => this.entry.loadFailed(errno),
      refused: (errno) => this.entry.refuse(errno),
      writtenGeneration: () => this.store?.writtenGeneration ?? 0,
    });
    const name = args.deviceName ?? '';
    this.store = image === null ? null : new LogStore(world, state.map, image, name, this.#answers);
    const lifeParts = { ...parts, store: this.store, hooks };
    this.entry = new LogEntry(lifeParts, () => this.exit.abandoning);
    this.halt = new LogHalt(lifeParts, this.entry);
    this.exit = new LogExit(lifeParts, this.entry, this.halt);
  }

  /** Resuming, and PRESUSPEND has come: writes must drain. */
  get drains(): boolean {
    return this.#parts.state.draining;
  }

  /** A log of an earlier daemon of this boot: goes on from where it was. */
  start(): void {
    const { state, marks, replica, uuid } = this.#parts;
    if (replica.rights.shared && state.lifeCycle !== LifeCycle.pending) {
      this.#startShared();
      return;
    }
    switch (state.lifeCycle) {
      case LifeCycle.pending:
        replica.record.suspended(decodeMembers(uuid, state.members) ?? { found: new Set(), moreFound: false });
        this.store?.begin(StoreGoal.learn);
        return;
      case LifeCycle.resuming:
        this.entry.load();
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
        this.exit.beginLeave();
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
    const facts = stored ?? { rank: used ? 1 : 0, hint: 0, found: new Set(), moreFound: false, membersGone: false };
    replica.restored(leaves, { ...facts, members: stored?.table.members ?? [] });
  }

  /** A message of this node about its own place. */
  delivered(order: number, message: LogMessage): void {
    switch (message.type) {
      case MessageType.join:
      case MessageType.ready:
        this.entry.joinDelivered();
        return;
      case MessageType.halt:
        this.halt.delivered(order);
        return;
      case MessageType.leave:
        this.exit.delivered();
        return;
    }
  }

  /** Does what had to wait for other nodes. */
  poll(): void {
    this.halt.poll();
    this.exit.poll();
  }

  /** The constructor has looked at the log device. */
  deviceKnown(info: LogDeviceInfo): void {
    if (this.store === null) return;
    this.store.info = info;
    this.#answers.deviceKnown(info);
  }
}
