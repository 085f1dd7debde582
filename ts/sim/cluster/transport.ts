/**
 * A daemon's end of the simulated group. It outlives the cluster service of its node: when that goes, what was submitted and not
 * seen is lost; when it is back, the daemon is a member again and what it submitted since is sent behind its next view.
 */
import type { GroupMember, GroupView } from '../../base/group-view.js';
import type { OrderedTransport, TransportEvents } from '../../cluster/transport.js';
import type { LogMessage } from '../../mirror/messages.js';
import { ownMessage } from '../daemon/stream.js';
import type { SimulatedGroup } from './group.js';
import type { Counters, Membership, MembershipEvents } from './membership.js';

export class SimulatedTransport implements OrderedTransport, MembershipEvents {
  readonly kind = 'simulated' as const;
  readonly self: GroupMember;
  readonly counters: Counters = { order: 0, epoch: 0 };
  /** Null while it is in no group. */
  membership: Membership | null = null;
  /** Its process is gone. */
  ended = false;
  /** Calls into the daemon, at once or when its process goes on. */
  readonly run: (action: () => void) => void;
  readonly #group: SimulatedGroup;
  readonly #events: TransportEvents;
  #waiting: LogMessage[] = [];
  #closed = false;

  constructor(group: SimulatedGroup, self: GroupMember, events: TransportEvents, run: (action: () => void) => void) {
    this.#group = group;
    this.self = self;
    this.#events = events;
    this.run = run;
  }

  get node(): number {
    return this.self.node;
  }

  get pending(): boolean {
    return this.#waiting.length > 0;
  }

  submit(message: LogMessage): void {
    if (this.#closed) throw new Error('the simulated transport is closed');
    if (message.node !== this.node) throw new Error(`node ${this.node} submits a message of node ${message.node}`);
    this.#waiting.push(ownMessage(message));
  }

  flush(): void {
    if (this.#closed) throw new Error('the simulated transport is closed');
    const { membership } = this;
    if (membership === null || membership.view.length === 0) return;
    const messages = this.#waiting;
    this.#waiting = [];
    for (const message of messages) this.#group.say(membership, { kind: 'message', from: membership, message });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#group.leave(this);
  }

  /** The daemon was killed, and all that its process had begun is over at `exitMs`. */
  abandon(exitMs: number): void {
    this.#closed = true;
    this.ended = true;
    this.#waiting = [];
    this.#group.processDied(this, exitMs);
  }

  /** The cluster service of this node is gone. */
  serviceLost(lost: Membership): void {
    this.#waiting = [];
    this.#events.quorumChanged(false);
    lost.serviceLost();
  }

  /** There is no cluster service to connect to. */
  notThere(): void {
    this.#events.quorumChanged(false);
  }

  delivered(order: number, message: LogMessage): void {
    this.#events.delivered(order, message);
  }

  acknowledged(order: number): void {
    this.#events.acknowledged(order);
  }

  viewChanged(view: GroupView): void {
    this.#events.viewChanged(view);
    if (view.left.some(({ reason }) => reason === 'node-down')) this.#group.tellQuorum(this);
    if (view.members.length > 0) this.flush();
  }

  completed(): void {
    this.#group.tellQuorum(this);
  }

  quorumChanged(quorate: boolean): void {
    this.#events.quorumChanged(quorate);
  }
}
