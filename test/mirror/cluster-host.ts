/**
 * Several hosts of the mirror core over one ordered group in memory. Nothing is delivered before `settle` or `step`; a host's
 * daemon or node can be taken away and brought back between any two messages.
 */
import type { DepartureReason, GroupMember } from '../../ts/base/group-view.js';
import { DM_ULOG_RESUME } from '../../ts/base/ulog-frames.js';
import type { LogMessage, MessageType } from '../../ts/mirror/messages.js';
import type { MirrorSettings } from '../../ts/mirror/mirror-service.js';
import { Host, type Luid, mirrorA, TestDisk } from './host.js';

/** A message on its way, and the process that sent it. */
interface Sent {
  readonly from: string;
  readonly message: LogMessage;
}

/** Members that stay together when the network changes. */
interface Part {
  readonly before: number;
  readonly after: number;
  readonly members: readonly GroupMember[];
  /** Those of their side who do not stay with them. */
  readonly lost: readonly GroupMember[];
}

export class Group {
  readonly disks = new Map<string, TestDisk>();
  /** By node. */
  readonly hosts = new Map<number, Host>();
  readonly #settings: Partial<MirrorSettings>;
  readonly #ownersMax: number | undefined;
  readonly #disksOf: (node: number) => Map<string, TestDisk>;
  /** Sent and not delivered. */
  readonly #queue: Sent[] = [];
  readonly #members = new Map<number, GroupMember>();
  readonly #orders = new Map<number, number>();
  readonly #boots = new Map<number, number>();
  /** On which side of a broken network each node is. */
  readonly #sides = new Map<number, number>();
  #incarnations = 0;
  #epoch = 0;
  /** False: what is delivered is not acknowledged before `acknowledge`. */
  acknowledges = true;
  /** False: nobody is told of quorum with a view. */
  tellsQuorum = true;
  /** Sees every message on its way, and may spoil it. */
  tamper: ((message: LogMessage) => void) | null = null;

  /** `ownersMax`: owners that each log has room for. `disksOf`: the log devices of a host that gets power; without it all have `disks`. */
  constructor(
    nodes: readonly number[],
    settings: Partial<MirrorSettings> = {},
    { ownersMax, disksOf }: { ownersMax?: number | undefined; disksOf?: (node: number) => Map<string, TestDisk> } = {},
  ) {
    this.#settings = settings;
    this.#ownersMax = ownersMax;
    this.#disksOf = disksOf ?? (() => this.disks);
    for (const node of nodes) this.hosts.set(node, this.#newHost(node));
    for (const node of nodes) this.join(node);
    this.settle();
  }

  host(node: number): Host {
    const host = this.hosts.get(node);
    if (host === undefined) throw new Error(`no node ${node}`);
    return host;
  }

  /** Its daemon is in the group. */
  isMember(node: number): boolean {
    return this.#members.has(node);
  }

  sideOf(node: number): number {
    return this.#sides.get(node) ?? 0;
  }

  /** The daemon of the node comes into the group. */
  join(node: number): void {
    this.#incarnations += 1;
    const incarnation = String(this.#incarnations);
    const member = { node, name: `node${node}`, bootId: this.#bootId(node), incarnation };
    this.#members.set(node, member);
    // Of one process the order goes on.
    if (!this.#orders.has(node)) this.#orders.set(node, 0);
    const here = this.#membersOf(this.sideOf(node));
    const meeting = this.#newMeeting();
    for (const each of here) this.#tell([each], meeting, here, each === member ? here : [member], []);
  }

  /** The daemon of the node is not in the group any more. What it had sent and was not delivered is lost. */
  part(node: number, reason: DepartureReason): void {
    const member = this.#members.get(node);
    if (member === undefined) return;
    this.#members.delete(node);
    const kept = this.#queue.filter(({ from }) => from !== member.incarnation);
    this.#queue.splice(0, this.#queue.length, ...kept);
    const here = this.#membersOf(this.sideOf(node));
    this.#tell(here, this.#newMeeting(), here, [], [member], reason);
  }

  /** SIGKILL of the daemon, and a new one that is not in the group yet. */
  killDaemon(node: number): void {
    this.part(node, 'process-down');
    this.#orders.delete(node);
    this.host(node).restart(false);
  }

  /** Power cut: the node comes back with another boot id when it joins. */
  cutPower(node: number): void {
    this.part(node, 'node-down');
    this.#orders.delete(node);
    this.#boots.set(node, (this.#boots.get(node) ?? 1) + 1);
    this.hosts.set(node, this.#newHost(node));
  }

  /** The network breaks between these nodes and the others; each side is told that it has quorum. */
  split(nodes: readonly number[]): void {
    this.rewire((node) => (nodes.includes(node) ? 1 : this.sideOf(node)));
  }

  /** It heals. */
  heal(): void {
    this.rewire(() => 0);
  }

  /**
   * The network changes: `next` says on which side each node is then. Who stays together has had the same messages of the side where it
   * was; `below` draws how many of those that were under way. A sender has its own as soon as anybody has them; what it has sent and nobody
   * has goes to its new side. Views without those who are lost come first, then those with who is met.
   */
  rewire(next: (node: number) => number, below: (limit: number) => number = () => 0): void {
    const parts = this.#partsOf(next);
    const queue = this.#queue.splice(0);
    const sent = parts.map((part) => queue.filter(({ message }) => part.before === this.sideOf(message.node)));
    const reached = parts.map((part, i) => (part.lost.length === 0 ? 0 : below(Math.min(sent[i]?.length ?? 0, 6) + 1)));
    const left = new Set<Sent>();
    for (const [i, { before, members }] of parts.entries()) {
      const most = Math.max(...reached.filter((_, other) => parts[other]?.before === before));
      for (const [at, one] of (sent[i] ?? []).entries()) {
        const own = members.some(({ incarnation }) => incarnation === one.from);
        if (at < (reached[i] as number) || (own && at < most)) this.#deliverToAll(members, one.message);
        else if (own) left.add(one);
      }
    }
    this.#queue.unshift(...queue.filter((one) => left.has(one)));
    for (const node of this.hosts.keys()) this.#sides.set(node, next(node));
    for (const { members, lost } of parts) {
      if (lost.length > 0) this.#tell(members, this.#newMeeting(), members, [], lost);
    }
    for (const side of new Set(parts.map(({ after }) => after))) {
      const meeting = this.#newMeeting();
      const here = this.#membersOf(side);
      for (const { members } of parts.filter(({ after }) => after === side)) {
        const met = here.filter((one) => !members.includes(one));
        if (met.length > 0) this.#tell(members, meeting, here, met, []);
      }
    }
  }

  /** Members that stay together, and who of their side does not. */
  #partsOf(next: (node: number) => number): Part[] {
    const parts: Part[] = [];
    for (const side of new Set([...this.#members.keys()].map((node) => this.sideOf(node)))) {
      const here = this.#membersOf(side);
      for (const after of new Set(here.map(({ node }) => next(node)))) {
        const members = here.filter(({ node }) => next(node) === after);
        parts.push({ before: side, after, members, lost: here.filter((one) => !members.includes(one)) });
      }
    }
    return parts;
  }

  #membersOf(side: number): GroupMember[] {
    const here = [...this.#members.values()].filter(({ node }) => this.sideOf(node) === side);
    return here.sort((a, b) => a.node - b.node);
  }

  /** A view of `members`, to some of them. */
  #tell(
    to: readonly GroupMember[],
    meeting: string,
    members: readonly GroupMember[],
    joined: readonly GroupMember[],
    lost: readonly GroupMember[],
    reason: DepartureReason = 'node-down',
  ): void {
    const left = lost.map((member) => ({ member, reason }));
    for (const { node } of to) {
      const host = this.host(node);
      host.service.viewChanged({ epoch: this.#nextEpoch(), meeting, members, joined, left }, host.nowMs);
      if (this.tellsQuorum) host.service.quorumChanged(true, host.nowMs);
    }
  }

  /** The node's cluster service goes away under the daemon: killed, or stopped in order, when it says that the daemon is gone. */
  loseGroup(node: number, reason: 'node-down' | 'process-down' = 'node-down'): void {
    this.part(node, reason);
    const host = this.host(node);
    host.service.viewChanged({ epoch: this.#nextEpoch(), meeting: '', members: [], joined: [], left: [] }, host.nowMs);
  }

  quorum(quorate: boolean, nodes: Iterable<number> = this.#members.keys()): void {
    for (const node of nodes) {
      const host = this.host(node);
      host.service.quorumChanged(quorate, host.nowMs);
    }
  }

  /** Delivers one message to all; false when there is none. */
  step(): boolean {
    const next = this.#queue.shift();
    if (next === undefined) return false;
    this.#deliverToAll(this.#membersOf(this.sideOf(next.message.node)), next.message);
    if (this.acknowledges) this.acknowledge();
    return true;
  }

  /** Delivers the first message of the sender that `choose` picks: the order that messages of several get is any. False: there is none. */
  stepOfAny(choose: (senders: number) => number): boolean {
    const next = this.#takeOfAny(choose);
    if (next === undefined) return false;
    this.#queue.unshift(next);
    return this.step();
  }

  /**
   * Some messages, in any such order, reach this node before all others. Then it must leave: those of others are the next ones for
   * who stays, its own are lost with it.
   */
  stepAhead(node: number, count: number, choose: (senders: number) => number): void {
    const handed: { readonly from: string; readonly message: LogMessage }[] = [];
    for (let next = this.#takeOfAny(choose); next !== undefined; next = this.#takeOfAny(choose)) {
      handed.push(next);
      this.#deliverTo(node, next.message);
      if (handed.length === count) break;
    }
    this.#queue.unshift(...handed);
  }

  #takeOfAny(choose: (senders: number) => number): { readonly from: string; readonly message: LogMessage } | undefined {
    const senders = [...new Set(this.#queue.map(({ from }) => from))];
    if (senders.length === 0) return undefined;
    const of = senders[choose(senders.length)];
    return this.#queue.splice(
      this.#queue.findIndex(({ from }) => from === of),
      1,
    )[0];
  }

  #deliverToAll(members: readonly GroupMember[], message: LogMessage): void {
    for (const { node } of members) this.#deliverTo(node, message);
  }

  #deliverTo(node: number, message: LogMessage): void {
    const order = (this.#orders.get(node) ?? 0) + 1;
    this.#orders.set(node, order);
    const host = this.host(node);
    host.service.deliver(order, message, host.nowMs);
  }

  /** A sender is handed its own message first: the next one reaches this node alone, and is lost for the others. */
  stepTo(node: number): void {
    this.#deliverTo(node, this.takeNext().message);
  }

  /** The message that `step` delivers. */
  get next(): LogMessage | undefined {
    return this.#queue[0]?.message;
  }

  /** Takes that message out: it has not been given its place yet. `putNext` gives it the next one. */
  takeNext(): ReturnType<typeof this.putNext> {
    const next = this.#queue.shift();
    if (next === undefined) throw new Error('nothing is on its way');
    return next;
  }

  putNext(sent: { readonly from: string; readonly message: LogMessage }): typeof sent {
    this.#queue.unshift(sent);
    return sent;
  }

  /** A message of this type was sent and not delivered. */
  awaits(type: MessageType): boolean {
    return this.#queue.some(({ message }) => message.type === type);
  }

  /** Every member has what was delivered. */
  acknowledge(): void {
    for (const node of this.#members.keys()) {
      const host = this.host(node);
      host.service.acknowledged(this.#orders.get(node) ?? 0, host.nowMs);
    }
  }

  /** Every message and turn, and nothing of the devices. */
  talk(): void {
    const submitted = () => [...this.hosts.values()].reduce((sum, host) => sum + host.submitted, 0);
    for (let before = -1; before !== submitted(); ) {
      before = submitted();
      while (this.step());
      for (const host of this.hosts.values()) host.turn();
    }
  }

  /** Messages, device operations and ticks that are due, of all hosts, until nothing is left to do now. */
  settle(): void {
    let limit = 100_000;
    for (let busy = true; busy; limit -= 1) {
      if (limit === 0) throw new Error('the group does not come to rest');
      busy = this.step();
      for (const host of this.hosts.values()) {
        const before = host.submitted + host.answers.length;
        host.settle();
        if (host.submitted + host.answers.length !== before) busy = true;
      }
      if (this.#queue.length > 0) busy = true;
    }
  }

  /** Lets time pass on all hosts. */
  wait(ms: number): void {
    for (let passed = 0; passed < ms; passed += 100) {
      for (const host of this.hosts.values()) host.wait(100);
      this.settle();
    }
  }

  /** A request to one host, and everything that follows. */
  ask(node: number, type: number, log: Luid, payload: readonly number[] = []): ReturnType<Host['answerTo']> {
    const host = this.host(node);
    const seq = host.send(type, log, payload);
    this.settle();
    return host.answerTo(seq);
  }

  /** A log that is constructed and resumed on these nodes, one after the other. */
  resume(log: Luid, text: string, nodes: readonly number[]): void {
    for (const node of nodes) {
      this.host(node).construct(log, text);
      this.settle();
      const answer = this.ask(node, DM_ULOG_RESUME, log);
      if (answer?.error !== 0) throw new Error(`not resumed on ${node}: ${JSON.stringify(answer)}`);
    }
  }

  #nextEpoch(): number {
    this.#epoch += 1;
    return this.#epoch;
  }

  #newMeeting(): string {
    return String(this.#nextEpoch());
  }

  #bootId(node: number): string {
    return `boot-${node}-${this.#boots.get(node) ?? 1}`;
  }

  #newHost(node: number): Host {
    return new Host({
      node,
      nodeName: `node${node}`,
      bootId: this.#bootId(node),
      disks: this.#disksOf(node),
      settings: { ...this.#settings, shared: true },
      ...(this.#ownersMax === undefined ? {} : { ownersMax: this.#ownersMax }),
      submit: (message) => this.#submit(node, message),
    });
  }

  #submit(node: number, message: LogMessage): void {
    const member = this.#members.get(node);
    // Without a group a message goes nowhere.
    if (member === undefined) return;
    this.tamper?.(message);
    this.#queue.push({ from: member.incarnation, message });
  }
}

/**
 * A group in which `resumed` have the log `text` of `mirrorA`, resumed one after the other, without sticky marks. `nodes`: all who are in
 * the group, if more are. `device` is what /dev/log names.
 */
export function groupWith(
  text: string,
  resumed: readonly number[],
  { nodes = resumed, settings = {} }: { nodes?: readonly number[]; settings?: Partial<MirrorSettings> } = {},
): { group: Group; device: TestDisk } {
  const group = new Group(nodes, { stickyMax: 0, ...settings });
  const device = new TestDisk(1024 * 1024);
  group.disks.set('/dev/log', device);
  group.resume(mirrorA, text, resumed);
  return { group, device };
}
