/**
 * One daemon in the simulated group: what is on its way to it, which view it is in, and whose acknowledgement it waits
 * for. The rules are those of the corosync transport:
 *
 * - who comes is in the view when everybody has said hello since; that is one point of the order for all of them, and until
 *   then each side goes on in its old view and drops what the other side says;
 * - who goes is out of the view at the place where the order says so;
 * - a message is acknowledged when every member of the view in which it was delivered has told that it has it, or has left.
 */
import type { Departure, DepartureReason, GroupMember, GroupView } from '../../base/group-view.js';
import type { LogMessage } from '../../mirror/messages.js';
import type { Entry, Ring, RingItem } from './ring.js';

/** What reaches the daemon. */
export interface MembershipEvents {
  delivered(order: number, message: LogMessage): void;
  acknowledged(order: number): void;
  viewChanged(view: GroupView): void;
  /** The view is that of its ring, and quorum was held back until then. */
  completed(): void;
}

interface Unacknowledged {
  readonly order: number;
  readonly serial: number;
  readonly waitsFor: Set<Membership>;
}

/** Orders and epochs go on over the memberships of one transport. */
export interface Counters {
  order: number;
  epoch: number;
}

export class Membership {
  readonly self: GroupMember;
  ring: Ring;
  inbox: Entry[] = [];
  /** What waits for its place in the order. */
  outbox: RingItem[] = [];
  /** The last item that was taken from the inbox. */
  taken = 0;
  /** Members of the current view; empty before the first. */
  view: readonly Membership[] = [];
  /** Its process is gone, or its node: nothing reaches anybody any more. */
  ended = false;
  /** Those who have been with it without a break since its last ring was formed. */
  companions: ReadonlySet<Membership> = new Set();
  /** Nothing is dispatched before then. */
  slowUntilMs = 0;
  /** Its daemon is about to look into the inbox; it is about to say what it has. */
  dispatching = false;
  telling = false;
  readonly #events: MembershipEvents;
  readonly #counters: Counters;
  /** Says something behind what it has said. */
  readonly #say: (item: RingItem) => void;
  /** Quorum is to be told when the view is complete. */
  quorumHeld = false;
  /** The ring of this place of the order. */
  #ring: Ring | null = null;
  /** Everybody who is there at this place of the order, in the view or not. */
  #present: readonly Membership[] = [];
  #change = 0;
  readonly #greeted = new Set<Membership>();
  /** What others have said that they have. */
  readonly #told = new Map<Membership, number>();
  #unacknowledged: Unacknowledged[] = [];
  #acknowledged: number;

  constructor(
    self: GroupMember,
    ring: Ring,
    parts: { events: MembershipEvents; counters: Counters; say: (membership: Membership, item: RingItem) => void },
  ) {
    this.self = self;
    this.ring = ring;
    this.#events = parts.events;
    this.#counters = parts.counters;
    this.#say = (item) => parts.say(this, item);
    this.#acknowledged = parts.counters.order;
  }

  /** Its view is everybody whom its cluster service hears. */
  get complete(): boolean {
    return (
      this.view.length > 0 && this.#ring === this.ring && this.#present.every((member) => this.view.includes(member))
    );
  }

  /** Takes one item. True when the service should say to the others that this member has it. */
  take(entry: Entry): boolean {
    const { item } = entry;
    this.taken = entry.serial;
    switch (item.kind) {
      case 'message':
        return this.#message(entry.serial, item.from, item.message);
      case 'hello':
        if (item.change !== this.#change) return false;
        this.#greeted.add(item.from);
        this.#install();
        this.#completed();
        return false;
      case 'gone':
        this.#present = this.#present.filter((member) => member !== item.from);
        this.#left([{ member: item.from, reason: item.reason }]);
        this.#install();
        this.#completed();
        return false;
      case 'members':
        this.#ring = item.ring;
        this.#membersChanged(item.members, item.change, item.companions?.get(this) ?? null);
        this.#completed();
        return false;
    }
  }

  /** Another member has everything up to `serial`; it may be ahead of this one. True: `acknowledge` has something to say now. */
  told(by: Membership, serial: number): boolean {
    // What was said later may have come sooner.
    this.#told.set(by, Math.max(serial, this.#told.get(by) ?? 0));
    for (const waiting of this.#unacknowledged) {
      if (waiting.serial > serial) break;
      waiting.waitsFor.delete(by);
    }
    return this.#unacknowledged[0]?.waitsFor.size === 0;
  }

  /** Tells its daemon what all have. */
  acknowledge(): void {
    let upTo = 0;
    while (this.#unacknowledged[0]?.waitsFor.size === 0) upTo = this.#unacknowledged.shift()?.order ?? upTo;
    if (upTo <= this.#acknowledged) return;
    this.#acknowledged = upTo;
    this.#events.acknowledged(upTo);
  }

  /** The service is gone: a view without members. */
  serviceLost(): void {
    const left = this.view.map((member): Departure => ({ member: member.self, reason: 'unknown' }));
    this.#unacknowledged = [];
    const had = this.view.length > 0;
    this.view = [];
    if (had) this.#tell([], left);
  }

  #message(serial: number, from: Membership, message: LogMessage): boolean {
    if (!this.view.includes(from)) return false;
    this.#counters.order += 1;
    const { order } = this.#counters;
    const waitsFor = new Set<Membership>();
    for (const member of this.view) if (member !== this && (this.#told.get(member) ?? 0) < serial) waitsFor.add(member);
    this.#unacknowledged.push({ order, serial, waitsFor });
    this.#events.delivered(order, message);
    if (waitsFor.size === 0) this.acknowledge();
    return true;
  }

  /** `companions`: whoever is none of them was gone, and may be back; null: nobody. */
  #membersChanged(members: readonly Membership[], change: number, companions: ReadonlySet<Membership> | null): void {
    const before = this.#present;
    this.#present = members;
    const stays = (member: Membership) => companions === null || companions.has(member);
    const gone = before.filter((member) => !members.includes(member) || !stays(member));
    this.#left(gone.map((member) => ({ member, reason: 'node-down' })));
    if (members.every((member) => before.includes(member) && !gone.includes(member))) {
      // Nobody came. Who was awaited may have gone.
      this.#install();
      return;
    }
    this.#change = change;
    this.#greeted.clear();
    this.#say({ kind: 'hello', from: this, change });
  }

  #left(departed: readonly { member: Membership; reason: DepartureReason }[]): void {
    const known = departed.filter(({ member }) => this.view.includes(member));
    if (known.length === 0) return;
    this.view = this.view.filter((member) => !known.some((departure) => departure.member === member));
    for (const { member } of known) this.#told.delete(member);
    for (const waiting of this.#unacknowledged) for (const { member } of known) waiting.waitsFor.delete(member);
    this.#tell(
      [],
      known.map(({ member, reason }) => ({ member: member.self, reason })),
    );
    this.acknowledge();
  }

  /** The view of everybody, once all have said hello. */
  #install(): void {
    if (!this.#present.every((member) => this.#greeted.has(member))) return;
    const joined = this.#present.filter((member) => !this.view.includes(member));
    if (joined.length === 0) return;
    this.view = [...this.#present].sort((a, b) => a.self.node - b.self.node);
    this.#tell(
      joined.map((member) => member.self),
      [],
    );
  }

  #completed(): void {
    if (!this.quorumHeld || !this.complete) return;
    this.quorumHeld = false;
    this.#events.completed();
  }

  #tell(joined: readonly GroupMember[], left: readonly Departure[]): void {
    this.#counters.epoch += 1;
    const members = this.view.map((member) => member.self);
    this.#events.viewChanged({ epoch: this.#counters.epoch, meeting: String(this.#change), members, joined, left });
  }
}
