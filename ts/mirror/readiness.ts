/**
 * When this node says `ready`, that its copy of the log counts from there on, and what it says with it: whether what its kernel holds is
 * known (R3), and that its kernel is resumed by it.
 *
 * A kernel that begins is not let in before the log device was read, where that may hold marks that nobody else knows (R8): it would take
 * for in sync what may differ between the legs. One that goes on has what it has.
 */
import type { LogState } from './log-state.js';
import { memberOf } from './member-table.js';
import { MessageType } from './messages.js';
import type { PlaceRequests } from './place-requests.js';
import type { ReplicaHooks } from './replica-hooks.js';
import type { ReplicaRights } from './replica-rights.js';
import type { World } from './world.js';

export class Readiness {
  /** Set by the log: whether the kernel waits for RESUME, which the message answers. */
  resuming: () => boolean = () => false;
  readonly #world: World;
  readonly #state: LogState;
  readonly #hooks: ReplicaHooks;
  readonly #rights: ReplicaRights;
  readonly #requests: PlaceRequests;
  /** To be said when the device was read. */
  #due = false;

  constructor(world: World, state: LogState, hooks: ReplicaHooks, rights: ReplicaRights, requests: PlaceRequests) {
    this.#world = world;
    this.#state = state;
    this.#hooks = hooks;
    this.#rights = rights;
    this.#requests = requests;
  }

  /** The copy is as the members' copies, and all that the kernel holds is in the stream. */
  say(): void {
    this.#due = true;
    this.tableChanged();
  }

  /** The member table has changed: what was waited for may have come. */
  tableChanged(): void {
    if (!this.#due || this.#deviceUnread) return;
    this.#due = false;
    this.#requests.ask(MessageType.ready, this.#flag);
  }

  /** The copy is one of another line now: what was said of the last one does not count. */
  sayAnew(): void {
    const flag = this.#requests.flagOf(MessageType.ready);
    if (flag !== undefined) this.#requests.ask(MessageType.ready, flag);
  }

  /** The copy does not follow any more, or nobody wants it any more. */
  forget(): void {
    this.#due = false;
    this.#requests.drop(MessageType.ready);
  }

  /** It is said, or will be. */
  get said(): boolean {
    return this.#due || this.#requests.has(MessageType.ready);
  }

  /** What the kernel holds is known. What is not ends with the resume that follows a suspend; a first resume is the one that began it (R3). */
  get marksKnown(): boolean {
    const { marksUnknown, everResumed } = this.#state;
    return !marksUnknown || (this.resuming() && everResumed);
  }

  get #flag(): number {
    return (this.resuming() ? 2 : 0) + (this.marksKnown ? 1 : 0) + this.#restricts;
  }

  /** R10: see `restrictAll` of the log. */
  get #restricts(): 0 | 4 | 8 {
    if (this.#hooks.mayHaveGivenUp(this.resuming())) return 4;
    const wasMember = memberOf(this.#rights.table, this.#world.node)?.stage !== 'joining';
    if (!this.#hooks.restrictsMore() && !this.#hooks.restrictsUnknown(wasMember)) return 0;
    // What it had found before it left others may have recovered meanwhile; of a member nobody does before it has said this.
    return wasMember ? 8 : 4;
  }

  /** Who is about to write the device has read it, or loads it. */
  get #deviceUnread(): boolean {
    const { table } = this.#rights;
    if (table === undefined || !this.resuming()) return false;
    const writer = memberOf(table, table.writer);
    const unheard = writer?.present === false && writer.unwatched;
    return table.disk && (unheard || (table.writerDied && table.writer !== this.#world.node));
  }
}
