/**
 * The cluster service of all nodes: who hears whom, in which order things are said, and which side has quorum.
 *
 * It promises what corosync's closed process groups promise and no more. Agreed order: an item has one place for all who
 * have it, and a sender may be handed its own before anybody else has it. When a ring breaks, those who stay together get
 * the same: what one of them has received all of them get, and what they said themselves; the rest of what the lost ones
 * said is gone for them, also when the lost ones have acted on it. A process that ends leaves behind what it had said. A service that
 * has stood still learns that it was lost when it hears the others again: they are gone for its daemon, and back, in one change.
 * Quorum is told by another service, in no order with the rest; but never `true` of a ring that is no more, nor of one whose
 * view is still to come: who was cut off alone and hears the others again does not have their quorum before they have him.
 */
import type { GroupMember } from '../../base/group-view.js';
import type { TransportEvents } from '../../cluster/transport.js';
import type { Prng } from '../prng.js';
import type { Timeline } from '../timeline.js';
import { Membership } from './membership.js';
import type { GroupPlan } from './plan.js';
import { type Entry, Ring, type RingItem } from './ring.js';
import { SimulatedTransport } from './transport.js';

/** A daemon looks again this often for a service that is gone. */
const reconnectMs = [20, 1000] as const;
/** Long enough for others to have acted on it. */
const lateMs = 2;
/** How often somebody has something to say in the moment in which a ring breaks, and for how long. */
const heldChance = 0.5;
const heldMsMax = 20;
/** Until the service takes something of a daemon again, when a ring is formed. */
const takesMsMax = 3;
/** No partition has so many sides. */
const pausedSide = 1000;
/** Whether the others have gone on without a service that stood still is looked at so often. */
const waitedMs = 20;

const usualPlan: GroupPlan = {
  quorumMsMax: 100,
  lossMs: [300, 2500],
  joinMs: [10, 300],
  lateChance: 0.08,
  lateMsMax: 40,
};

interface Node {
  readonly node: number;
  /** The cluster service runs. */
  up: boolean;
  /** It stands still: it is in no ring with others, says nothing, and does not notice that they go on without it. */
  paused: boolean;
  /** Nodes of one side hear each other. */
  side: number;
  ring: Ring | null;
  quorate: boolean;
  /** When its daemon is told last of what is known by now. */
  quorumToldMs: number;
  /** Since it began it has been in one ring with all others. */
  sawAll: boolean;
  transport: SimulatedTransport | null;
  /** Daemons that wait for the service, or for the one before them to be gone. */
  readonly waiting: SimulatedTransport[];
}

export interface GroupParts {
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly nodes: readonly number[];
  readonly plan?: GroupPlan;
  readonly twoNode?: boolean;
  /** Hears of what is worth counting. */
  readonly count?: (what: string) => void;
}

export class SimulatedGroup {
  readonly #timeline: Timeline;
  readonly #prng: Prng;
  readonly #nodes = new Map<number, Node>();
  readonly #plan: GroupPlan;
  readonly #twoNode: boolean;
  readonly #count: (what: string) => void;
  #serial = 0;
  #change = 0;

  /** `twoNode`: of two nodes each has quorum alone, once it has seen the other (corosync's two_node brings wait_for_all along). */
  constructor(parts: GroupParts) {
    this.#timeline = parts.timeline;
    this.#prng = parts.prng;
    this.#plan = parts.plan ?? usualPlan;
    this.#twoNode = parts.twoNode === true;
    this.#count = parts.count ?? (() => {});
    for (const node of parts.nodes) {
      this.#nodes.set(node, {
        node,
        up: false,
        paused: false,
        side: 0,
        ring: null,
        quorate: false,
        quorumToldMs: 0,
        sawAll: false,
        transport: null,
        waiting: [],
      });
    }
  }

  /** True when no ring is being made: what happened last is known to everybody. */
  get settled(): boolean {
    return [...this.#nodes.values()].every(({ up, ring }) => !up || ring?.formed === true);
  }

  get split(): boolean {
    return new Set([...this.#nodes.values()].map(({ side }) => side)).size > 1;
  }

  serviceUp(node: number): boolean {
    return this.#node(node).up;
  }

  /** Whether two nodes are in one ring now. */
  hears(a: number, b: number): boolean {
    const { ring } = this.#node(a);
    return ring?.nodes.has(b) === true;
  }

  /** Whether the ring of this node has quorum, as the node was last told. */
  quorate(node: number): boolean {
    return this.#node(node).up && this.#node(node).quorate;
  }

  startService(number: number): void {
    const node = this.#node(number);
    if (node.up) return;
    node.up = true;
    node.sawAll = false;
    this.#reconfigure();
  }

  /** The cluster service dies, or its node does: then no daemon is left to be told. */
  stopService(number: number): void {
    const node = this.#node(number);
    if (!node.up) return;
    node.up = false;
    if (node.paused) this.#wake(node);
    node.quorate = false;
    const { transport } = node;
    node.transport = null;
    node.ring = null;
    const membership = transport?.membership;
    if (transport && membership) {
      transport.membership = null;
      membership.ended = true;
      if (!transport.ended) {
        node.waiting.push(transport);
        transport.run(() => transport.serviceLost(membership));
      }
    }
    this.#reconfigure();
  }

  /** Nodes that are not in the same list do not hear each other any more. Only while `settled`. */
  partition(sides: readonly (readonly number[])[]): void {
    sides.forEach((side, index) => {
      // One whose service stands still is apart until it goes on.
      for (const node of side.map((number) => this.#node(number))) if (!node.paused) node.side = index;
    });
    this.#reconfigure();
  }

  /**
   * The cluster service of a node stands still. Nothing is `settled` until it goes on: only while all hear each other, so one at a time.
   */
  pause(number: number): void {
    const node = this.#node(number);
    if (!node.up || this.split || !this.settled) return;
    node.paused = true;
    node.side = pausedSide;
    this.#count('group: service stands still');
    this.#reconfigure();
  }

  /** It goes on, as soon as the others have formed a ring without it, and hears them at once. */
  resume(number: number): void {
    const node = this.#node(number);
    if (!node.paused) return;
    if ([...this.#nodes.values()].some(({ up, paused, ring }) => up && !paused && ring?.formed !== true)) {
      this.#timeline.after(waitedMs, () => this.resume(number));
      return;
    }
    this.#wake(node);
    this.#count('group: service goes on');
    this.#reconfigure();
  }

  /** All hear each other again. Only while `settled`. */
  mend(): void {
    this.partition([[...this.#nodes.keys()]]);
  }

  /** Nothing reaches this node's daemon for a while. */
  slow(number: number, ms: number): void {
    const membership = this.#node(number).transport?.membership;
    if (membership) membership.slowUntilMs = this.#timeline.nowMs + ms;
  }

  /** A daemon that wants to be a member. */
  connect(self: GroupMember, events: TransportEvents, run: (action: () => void) => void): SimulatedTransport {
    const transport = new SimulatedTransport(this, self, events, run);
    const node = this.#node(self.node);
    node.waiting.push(transport);
    this.#timeline.after(this.#prng.real(0.1, 5), () => {
      if (!node.up) transport.run(() => transport.notThere());
      this.#attach(node);
    });
    return transport;
  }

  say(membership: Membership, item: RingItem): void {
    const { outbox } = membership;
    outbox.splice(item.kind === 'hello' ? this.#placeOfHello(outbox) : outbox.length, 0, item);
    if (outbox.length > 1) return;
    // Until the token comes round.
    const tokenMs = this.#prng.chance(0.05) ? this.#prng.real(1, 20) : this.#prng.real(0.02, 0.6);
    this.#timeline.after(tokenMs, () => this.#drain(membership));
  }

  /** Before messages that wait in the daemon for the service to take them, and behind those that it has taken: how many is chance. */
  #placeOfHello(outbox: readonly RingItem[]): number {
    const place = this.#prng.between(outbox.findLastIndex(({ kind }) => kind !== 'message') + 1, outbox.length);
    if (place < outbox.length) this.#count('group: introduction before messages');
    return place;
  }

  leave(transport: SimulatedTransport): void {
    this.#withdraw(transport, 'leave');
  }

  processDied(transport: SimulatedTransport, exitMs: number): void {
    this.#timeline.at(exitMs, () => this.#withdraw(transport, 'process-down'));
  }

  /**
   * The quorum service says how things stand, somewhat later and in the order in which it came to be so: that there is none also of a
   * ring that is no more.
   */
  tellQuorum(transport: SimulatedTransport): void {
    const node = this.#node(transport.node);
    const { quorate, ring } = node;
    // When it is made it is told.
    if (ring?.formed !== true) return;
    const atMs = Math.max(node.quorumToldMs, this.#timeline.nowMs + this.#prng.real(0, this.#plan.quorumMsMax));
    node.quorumToldMs = atMs;
    this.#timeline.at(atMs, () => {
      transport.run(() => {
        const { membership } = transport;
        if (node.transport !== transport || membership === null) return;
        if (!quorate) transport.quorumChanged(false);
        else if (node.ring === ring && membership.complete) transport.quorumChanged(true);
        else if (node.ring === ring) membership.quorumHeld = true;
      });
    });
  }

  #node(number: number): Node {
    const node = this.#nodes.get(number);
    if (node === undefined) throw new Error(`there is no node ${number}`);
    return node;
  }

  #wake(node: Node): void {
    node.paused = false;
    node.side = [...this.#nodes.values()].find((other) => other !== node)?.side ?? node.side;
  }

  #attach(node: Node): void {
    const { ring } = node;
    if (!node.up || ring === null || node.transport !== null) return;
    while (node.waiting[0]?.ended === true) node.waiting.shift();
    const transport = node.waiting.shift();
    if (transport === undefined) return;
    node.transport = transport;
    const membership = new Membership(transport.self, ring, {
      events: transport,
      counters: transport.counters,
      say: (who, item) => this.say(who, item),
    });
    transport.membership = membership;
    ring.members.add(membership);
    this.tellQuorum(transport);
    if (ring.formed) this.#appendMembers(ring, membership);
  }

  #withdraw(transport: SimulatedTransport, reason: 'leave' | 'process-down'): void {
    const node = this.#node(transport.node);
    const { membership } = transport;
    const waits = node.waiting.indexOf(transport);
    if (waits >= 0) node.waiting.splice(waits, 1);
    if (membership === null || node.transport !== transport) return;
    membership.ended = true;
    this.say(membership, { kind: 'gone', from: membership, reason });
  }

  /** What a member has said gets its place in the order. */
  #drain(membership: Membership): void {
    const node = this.#node(membership.self.node);
    const { ring } = node;
    if (node.transport?.membership !== membership || ring === null) return;
    if (!ring.formed) {
      this.#drainHolder(ring, membership);
      return;
    }
    const items = membership.outbox;
    membership.outbox = [];
    for (const item of items) {
      if (item.kind === 'gone') {
        ring.members.delete(membership);
        node.transport = null;
        this.#append(ring, item, membership);
        this.#attach(node);
        return;
      }
      this.#append(ring, item, membership);
    }
  }

  /** Messages of who has the token of a ring that is no more. */
  #drainHolder(ring: Ring, membership: Membership): void {
    if (ring.holder !== membership || this.#timeline.nowMs > ring.heldUntilMs) return;
    while (membership.outbox[0]?.kind === 'message') {
      this.#append(ring, membership.outbox.shift() as RingItem, membership);
      this.#count('group: message of who held the token');
    }
  }

  #append(ring: Ring, item: RingItem, from: Membership | null): void {
    this.#serial += 1;
    const nowMs = this.#timeline.nowMs;
    for (const member of ring.members) {
      if (member.ended) continue;
      const last = member.inbox.at(-1)?.receivedAtMs ?? 0;
      const wayMs = ring.formed ? this.#wayMs() : Infinity;
      const receivedAtMs = member === from ? nowMs : nowMs + wayMs;
      member.inbox.push({ serial: this.#serial, item, receivedAtMs: Math.max(last, receivedAtMs) });
      if (receivedAtMs - nowMs > lateMs) this.#count('group: message late');
      this.#dispatch(member);
    }
  }

  /** Mostly at once; now and then long enough for a sender to act on what nobody else has. */
  #wayMs(): number {
    const { lateChance, lateMsMax } = this.#plan;
    return this.#prng.chance(lateChance) ? this.#prng.real(lateMs, lateMsMax) : this.#prng.real(0.05, 1.5);
  }

  #appendMembers(ring: Ring, by: Membership): void {
    this.#change += 1;
    this.#append(
      ring,
      { kind: 'members', members: [...ring.members], change: this.#change, by, ring, companions: null },
      by,
    );
  }

  /** Hands a member what is there, when its daemon comes to it. */
  #dispatch(member: Membership): void {
    const first = member.inbox[0];
    if (first === undefined || member.ended || member.dispatching || first.receivedAtMs === Infinity) return;
    member.dispatching = true;
    const { transport } = this.#node(member.self.node);
    const atMs = Math.max(first.receivedAtMs, member.slowUntilMs) + this.#prng.real(0.01, 0.3);
    this.#timeline.at(atMs, () => {
      if (member.ended || transport?.membership !== member) return;
      transport.run(() => {
        member.dispatching = false;
        if (!member.ended) this.#take(member);
      });
    });
  }

  #take(member: Membership): void {
    const nowMs = this.#timeline.nowMs;
    let has = false;
    try {
      for (let first = member.inbox[0]; first !== undefined; first = member.inbox[0]) {
        if (first.receivedAtMs > nowMs) break;
        member.inbox.shift();
        if (member.take(first)) has = true;
      }
    } finally {
      if (has) this.#tellTaken(member);
      this.#dispatch(member);
    }
  }

  /** Says to the others what this member has, with the next thing that it says or alone. */
  #tellTaken(member: Membership): void {
    if (member.telling) return;
    member.telling = true;
    this.#timeline.after(this.#prng.real(0.05, 3), () => {
      member.telling = false;
      if (member.ended) return;
      if (!member.ring.formed) {
        this.#tellTaken(member);
        return;
      }
      const { taken } = member;
      for (const other of member.ring.members) {
        if (other === member || other.ended) continue;
        const { transport } = this.#node(other.self.node);
        this.#timeline.after(this.#wayMs(), () => {
          // What is said in a ring that breaks is said again in the next.
          if (other.ring !== member.ring) return this.#tellTaken(member);
          if (transport?.membership !== other || !other.told(member, taken)) return;
          transport.run(() => {
            if (transport.membership === other) other.acknowledge();
          });
        });
      }
    });
  }

  /** Who hears whom has changed: rings that are not what they were are made anew. */
  #reconfigure(): void {
    const sides = new Map<number, Node[]>();
    for (const node of this.#nodes.values()) {
      if (!node.up) continue;
      const side = sides.get(node.side);
      if (side === undefined) sides.set(node.side, [node]);
      else side.push(node);
    }
    for (const nodes of sides.values()) {
      const numbers = new Set(nodes.map(({ node }) => node));
      const before = new Set(nodes.map(({ ring }) => ring));
      const [only] = before;
      if (before.size === 1 && only && sameNodes(only.nodes, numbers)) continue;
      this.#remake(nodes, numbers, before);
    }
  }

  #remake(nodes: readonly Node[], numbers: ReadonlySet<number>, before: ReadonlySet<Ring | null>): void {
    const ring = new Ring(numbers);
    let lost = false;
    for (const old of before) {
      if (old === null) continue;
      const group = [...old.members].filter((member) => numbers.has(member.self.node));
      this.#recover(group, numbers);
      const together = old.formed ? null : new Map(group.map((member) => [member, member.companions]));
      for (const member of group) {
        const companions = together?.get(member);
        member.companions = new Set(companions === undefined ? group : group.filter((other) => companions.has(other)));
        member.ring = ring;
        ring.members.add(member);
      }
      if ([...old.nodes].some((node) => !numbers.has(node))) lost = true;
    }
    for (const node of nodes) node.ring = ring;
    if (lost && ring.members.size > 0 && this.#prng.chance(heldChance)) {
      ring.holder = this.#prng.pick([...ring.members]);
      ring.heldUntilMs = this.#timeline.nowMs + this.#prng.real(0, heldMsMax);
    }
    const [low, high] = lost ? this.#plan.lossMs : this.#plan.joinMs;
    this.#timeline.after(this.#prng.real(low, high), () => {
      if (nodes.every((node) => node.ring === ring && !node.paused)) this.#form(ring, nodes);
    });
  }

  /** What those who stay together have of the old ring: all that one of them received, and what they said. */
  #recover(group: readonly Membership[], numbers: ReadonlySet<number>): void {
    const nowMs = this.#timeline.nowMs;
    let received = 0;
    for (const member of group) {
      received = Math.max(received, member.taken);
      for (const entry of member.inbox) if (entry.receivedAtMs <= nowMs) received = Math.max(received, entry.serial);
    }
    for (const member of group) {
      const kept = (entry: Entry) => entry.serial <= received || numbers.has(saidBy(entry.item));
      const before = member.inbox.length;
      member.inbox = member.inbox.filter(kept);
      if (member.inbox.length < before) this.#count('group: message lost with its ring');
      for (const entry of member.inbox) if (entry.receivedAtMs > nowMs) entry.receivedAtMs = Infinity;
    }
  }

  #form(ring: Ring, nodes: readonly Node[]): void {
    ring.formed = true;
    this.#serial += 1;
    this.#change += 1;
    const companions = new Map([...ring.members].map((member) => [member, member.companions]));
    const members = [...ring.members];
    const item: RingItem = { kind: 'members', members, change: this.#change, by: null, ring, companions };
    const nowMs = this.#timeline.nowMs;
    for (const member of ring.members) {
      for (const entry of member.inbox) entry.receivedAtMs = Math.min(entry.receivedAtMs, nowMs);
      if (member.ended) continue;
      member.inbox.push({ serial: this.#serial, item, receivedAtMs: nowMs });
      this.#dispatch(member);
    }
    const total = this.#nodes.size;
    const split = this.split && nodes.length > 0;
    for (const node of nodes) {
      if (ring.nodes.size === total) node.sawAll = true;
      node.quorate = ring.nodes.size * 2 > total || (this.#twoNode && total === 2 && node.sawAll);
      if (node.transport !== null) this.tellQuorum(node.transport);
      else if (node.waiting.length > 0) this.#attachSoon(node);
    }
    if (split) this.#countSplit(nodes[0]?.quorate === true);
    for (const member of ring.members) {
      if (member.outbox.length === 0) continue;
      // Taken by the service before the ring broke, or waiting in the daemon until the service takes anything again.
      if (this.#prng.chance(0.5)) this.#drain(member);
      else this.#timeline.after(this.#prng.real(0.05, takesMsMax), () => this.#drain(member));
    }
  }

  /** A ring was formed while some nodes do not hear each other. */
  #countSplit(quorate: boolean): void {
    this.#count(`partition: a side with${quorate ? '' : 'out'} quorum`);
    const quorateRings = new Set(
      [...this.#nodes.values()].filter((node) => node.up && node.quorate).map(({ ring }) => ring),
    );
    if (quorateRings.size > 1) this.#count('partition: two sides with quorum');
  }

  #attachSoon(node: Node): void {
    this.#timeline.after(this.#prng.real(...reconnectMs), () => this.#attach(node));
  }
}

function saidBy(item: RingItem): number {
  if (item.kind !== 'members') return item.from.self.node;
  return item.by?.self.node ?? -1;
}

function sameNodes(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  return a.size === b.size && [...a].every((node) => b.has(node));
}
