/**
 * Views, order and acknowledgements over a process group that gives agreed order and nothing else: the state machine of the
 * corosync transport. It is told what the group delivers, and sends through a port that never waits; it has no timer, no thread
 * and no clock, so that a model of the group can drive it through every order of events.
 *
 * - A view begins at the delivery that completes a round of introductions (`processes.ts`), at one point for all its
 *   members; what somebody says who is not in the view yet is dropped. Who leaves is out of the view at once.
 * - Since that point all members have had the same number of messages: that number is the acknowledgement. It goes with
 *   every multicast, with the name of the view that it is counted from, and alone when there is nothing else to say;
 *   nobody is told alone that a member has what it said itself, for only its sender waits for a message's acknowledgements;
 *   one that says nothing else waits for the one before it to come back, which bounds their rate by the group's.
 * - At most `onTheWayMax` own multicasts are on their way. That is the flow control: it fills no queue of corosync's, so that a
 *   corosync that stands still costs no more than waiting, and lets pile up what then goes together.
 *
 * Whoever cannot follow the order any more (a multicast is missing or damaged) is no member any more: it says so by `broken`, is
 * connected anew and taken in like one that comes.
 */
import type { Departure, DepartureReason, GroupMember } from '../base/group-view.js';
import type { LogMessage } from '../mirror/messages.js';
import { type CpgConfiguration, CpgReason, CpgSent } from '../native/cpg-group.js';
import { MessageReader, messageBytesMax } from './message-codec.js';
import { Outgoing } from './outgoing.js';
import { type Peer, Processes } from './processes.js';
import type { TransportEvents } from './transport.js';
import {
  emptyHeader,
  openMulticast,
  partHeaderBytes,
  readHello,
  sealMulticast,
  type WireHeader,
  WireKind,
  type WireVerdict,
  wireHeaderBytes,
  writeHello,
} from './wire.js';

/** Own multicasts on their way. Far fewer than the 200 and more bytes that fit the socket which tells corosync of them. */
export const onTheWayMax = 16;

export interface SessionPort {
  /** Never waits. The bytes are free again when it returns. */
  send(bytes: Buffer, count: number): CpgSent;
}

export interface SessionReports {
  problem(event: string, text: string): void;
}

export interface SessionCounters {
  multicastsSent: number;
  multicastsReceived: number;
  /** Of multicasts, headers included. */
  bytesSent: number;
  /** How many own multicasts were on their way when one was sent, itself among them; all added up. */
  onTheWaySum: number;
  messagesSent: number;
  messagesDelivered: number;
  acknowledgementsAlone: number;
  /** Dropped: from processes that are not in the view. */
  fromStrangers: number;
  /** Dropped: of another version, or none of ours. */
  notUnderstood: number;
  damaged: number;
  /** Times that corosync took nothing. */
  busy: number;
}

/** The connection that a session runs over. */
export interface Connection {
  readonly node: number;
  readonly pid: number;
  /** Random: tells this connection from any other. */
  readonly session: number;
}

export class GroupSession {
  readonly counters: SessionCounters = {
    multicastsSent: 0,
    multicastsReceived: 0,
    bytesSent: 0,
    onTheWaySum: 0,
    messagesSent: 0,
    messagesDelivered: 0,
    acknowledgementsAlone: 0,
    fromStrangers: 0,
    notUnderstood: 0,
    damaged: 0,
    busy: 0,
  };
  readonly #self: GroupMember;
  readonly #events: TransportEvents;
  readonly #port: SessionPort;
  readonly #reports: SessionReports;
  readonly #processes = new Processes();
  readonly #outgoing = new Outgoing();
  readonly #reader = new MessageReader();
  readonly #header: WireHeader = emptyHeader();
  readonly #ownHeader: WireHeader = emptyHeader();
  /** For what is no message: hellos and acknowledgements. */
  readonly #note = Buffer.alloc(2048);
  #connection: Connection | null = null;
  /** Members of the view, in rising order of nodes; null: none. */
  #view: Peer[] | null = null;
  #epoch = 0;
  /** The hello that completed the view. */
  #viewSession = 0;
  #viewSeq = 0;
  /** Order of the last message before the view, and of the last one. */
  #base = 0;
  #order = 0;
  #acknowledged = 0;
  /** Who sent the last message, and where the messages begin that it sent without another's in between. */
  #lastSender: Peer | null = null;
  #lastRun = 0;
  /** Who completes the round if the next event does: the last that introduced himself. */
  #lastSession = 0;
  #lastSeq = 0;
  #seq = 0;
  /** Last own multicast that came back. */
  #seqBack = 0;
  #helloDue = false;
  #ackDue = false;
  /** Number of the last multicast that was nothing but an acknowledgement. */
  #ackSeq = 0;
  #reported = new Set<string>();

  constructor(self: GroupMember, events: TransportEvents, port: SessionPort, reports: SessionReports) {
    this.#self = self;
    this.#events = events;
    this.#port = port;
    this.#reports = reports;
  }

  get view(): readonly GroupMember[] {
    return this.#view === null ? [] : membersOf(this.#view);
  }

  get inView(): boolean {
    return this.#view !== null;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get waitingBytes(): number {
    return this.#outgoing.waitingBytes;
  }

  get onTheWay(): number {
    return this.#seq - this.#seqBack;
  }

  /** Processes that this member waits for before a view can begin. */
  get awaited(): { readonly node: number; readonly pid: number }[] {
    return this.#processes.missing().map(({ node, pid }) => ({ node, pid }));
  }

  /** Members that have not acknowledged all that was delivered here, and how far they have come. */
  get behind(): { readonly node: number; readonly acknowledged: number }[] {
    return (this.#view ?? [])
      .filter((peer) => !this.#isOwn(peer) && this.#has(peer) < this.#order)
      .map(({ node, acknowledged }) => ({ node, acknowledged }));
  }

  /** What a member has acknowledged; what it said itself behind that, the last of all, nobody asks it about. */
  #has(peer: Peer): number {
    return peer === this.#lastSender && peer.acknowledged >= this.#lastRun - 1 ? this.#order : peer.acknowledged;
  }

  /** A connection stands; the group's first configuration comes next. */
  connected(connection: Connection): void {
    this.#connection = connection;
    this.#seq = 0;
    this.#seqBack = 0;
    this.#ackSeq = 0;
  }

  /** The connection is gone: a view without members. What was submitted and has not come back is lost. */
  disconnected(): void {
    this.#connection = null;
    this.#processes.clear();
    this.#outgoing.clear();
    this.#helloDue = false;
    this.#ackDue = false;
    this.#reported.clear();
    this.#seqBack = this.#seq;
    this.#dropView();
  }

  submit(message: LogMessage): void {
    const { node } = this.#self;
    if (message.node !== node) throw new Error(`node ${node} cannot speak for node ${message.node}`);
    this.#outgoing.add(message);
    this.counters.messagesSent += 1;
  }

  // ---- what the group delivers

  configuration(configuration: CpgConfiguration): void {
    const { departed, roundBegun } = this.#processes.change(configuration, this.#view !== null);
    if (roundBegun) this.#helloDue = true;
    if (this.#view !== null && departed.length > 0) {
      const left = departed.map(({ peer, reason }) => departure(peer, reason));
      const gone = new Set(departed.map(({ peer }) => peer));
      this.#enter(
        this.#view.filter((peer) => !gone.has(peer)),
        [],
        left,
      );
    }
    this.#tryComplete();
  }

  /**
   * A multicast of `bytes` bytes, of which `inbox` may hold the beginning only.
   *
   * @returns why this member cannot follow the order any more, or an empty text.
   */
  multicast(node: number, pid: number, inbox: Buffer, bytes: number): string {
    this.counters.multicastsReceived += 1;
    const peer = this.#processes.find(node, pid);
    if (peer === null) {
      this.counters.fromStrangers += 1;
      return '';
    }
    const header = this.#header;
    const verdict = openMulticast(inbox, bytes, header);
    if (verdict !== 'sound') return this.#notSound(peer, verdict);
    if (header.node !== node) return this.#notSound(peer, 'damaged');
    const own = this.#isOwn(peer);
    if (own && header.session !== this.#connection?.session) return '';
    if (peer.seq > 0 && (header.session !== peer.session || header.seq !== peer.seq + 1)) {
      if (peer.inView) return `multicast ${peer.seq + 1} of node ${node} is missing`;
      peer.seq = 0;
    }
    if (peer.seq > 0) peer.seq = header.seq;
    if (own) this.#seqBack = header.seq;
    if (header.kind === WireKind.hello) return this.#hello(peer, inbox, bytes);
    if (!peer.inView) {
      this.counters.fromStrangers += 1;
      return '';
    }
    this.#takeAcknowledgement(peer);
    if (header.kind === WireKind.messages) return this.#messages(peer, inbox, wireHeaderBytes, bytes);
    if (header.kind === WireKind.part) return this.#part(peer, inbox, bytes);
    return header.kind === WireKind.acknowledgement ? '' : this.#expel(peer, `a multicast of kind ${header.kind}`);
  }

  /** Tells how far all members have come. After a batch of multicasts rather than each. */
  settle(): void {
    if (this.#view === null) return;
    let order = this.#order;
    const connection = this.#connection;
    for (const peer of this.#view) {
      if (!this.#isOwn(peer)) order = Math.min(order, this.#has(peer));
    }
    if (connection === null || order <= this.#acknowledged) return;
    this.#acknowledged = order;
    this.#events.acknowledged(order);
  }

  // ---- what goes out

  /** Sends what may go. True when corosync takes nothing now and it is to be tried again. */
  flush(): boolean {
    if (this.#connection === null) return false;
    if (this.#helloDue) {
      const hello = { digest: this.#processes.digest, ...this.#self };
      const sent = this.#send(this.#note, writeHello(this.#note, hello), WireKind.hello);
      if (!sent) return true;
      this.#helloDue = false;
    }
    if (this.#view === null) return false;
    while (this.onTheWay < onTheWayMax) {
      const next = this.#outgoing.next();
      if (next === null) break;
      if (!this.#send(next.buffer, next.bytes, next.kind)) return true;
      this.#outgoing.sent();
    }
    if (!this.#ackDue || this.#view.length === 1 || this.#ackSeq > this.#seqBack) return false;
    if (!this.#send(this.#note, wireHeaderBytes, WireKind.acknowledgement)) return true;
    this.#ackSeq = this.#seq;
    this.counters.acknowledgementsAlone += 1;
    return false;
  }

  /** False when it could not be sent now. */
  #send(buffer: Buffer, bytes: number, kind: WireKind): boolean {
    const connection = this.#connection;
    if (connection === null) return false;
    const header = this.#ownHeader;
    header.kind = kind;
    header.inView = this.#view !== null;
    header.node = connection.node;
    header.session = connection.session;
    header.seq = this.#seq + 1;
    header.viewSession = this.#viewSession;
    header.viewSeq = this.#viewSeq;
    header.position = this.#order - this.#base;
    sealMulticast(buffer, bytes, header);
    if (this.#port.send(buffer, bytes) !== CpgSent.sent) {
      // A lost connection is told as an event of the group.
      this.counters.busy += 1;
      return false;
    }
    this.#seq += 1;
    this.#ackDue = false;
    this.counters.multicastsSent += 1;
    this.counters.bytesSent += bytes;
    this.counters.onTheWaySum += this.onTheWay;
    return true;
  }

  // ---- introductions and views

  #hello(peer: Peer, inbox: Buffer, bytes: number): string {
    const hello = readHello(inbox, bytes);
    if (hello === null) return this.#refuse(peer, 'an introduction that cannot be read');
    const { session, seq, inView } = this.#header;
    if (peer.inView) this.#takeAcknowledgement(peer);
    peer.session = session;
    peer.seq = seq;
    if (!this.#processes.introduce(peer, hello, inView)) return '';
    this.#lastSession = session;
    this.#lastSeq = seq;
    this.#tryComplete();
    return '';
  }

  #tryComplete(): void {
    const admitted = this.#processes.complete();
    if (admitted === null) return;
    const own = this.#own();
    if (own === null || !admitted.includes(own)) {
      const why = this.#processes.all.some((peer) => peer.refused)
        ? 'the group speaks a language that this version does not'
        : 'another daemon of this node is in the group';
      this.#reportOnce('group-closed', `cannot enter the group: ${why}`);
      this.#dropView();
      return;
    }
    const before = this.#view ?? [];
    const joined = admitted.filter((peer) => !before.includes(peer));
    const left = before.filter((peer) => !admitted.includes(peer)).map((peer) => departure(peer, 0));
    this.#viewSession = this.#lastSession;
    this.#viewSeq = this.#lastSeq;
    this.#base = this.#order;
    this.#lastSender = null;
    // What of a long message came before the view is nothing to those who come with it. All of it behind: as any other.
    if (own.partial !== null) this.#outgoing.restartLong();
    for (const peer of admitted) {
      peer.identity = peer.hello;
      peer.partial = null;
    }
    for (const peer of joined) peer.acknowledged = this.#base;
    this.#ackDue = true;
    if (joined.length > 0 || left.length > 0) this.#enter(admitted, joined, left);
  }

  #enter(members: Peer[], joined: readonly Peer[], left: readonly Departure[]): void {
    for (const peer of this.#view ?? []) peer.inView = false;
    for (const peer of members) peer.inView = true;
    this.#view = members;
    this.#epoch += 1;
    const view = { epoch: this.#epoch, meeting: this.#meeting, members: membersOf(members), joined: membersOf(joined) };
    this.#events.viewChanged({ ...view, left });
  }

  /** By the introduction that completed it. */
  get #meeting(): string {
    return `${this.#viewSession}:${this.#viewSeq}`;
  }

  /** This member is in no view any more. */
  #dropView(): void {
    if (this.#view === null) return;
    const left = this.#view.map((peer) => departure(peer, 0));
    for (const peer of this.#view) peer.inView = false;
    this.#view = null;
    this.#epoch += 1;
    this.#events.viewChanged({ epoch: this.#epoch, meeting: this.#meeting, members: [], joined: [], left });
  }

  // ---- messages

  #takeAcknowledgement(peer: Peer): void {
    const { viewSession, viewSeq, position } = this.#header;
    if (viewSession !== this.#viewSession || viewSeq !== this.#viewSeq) return;
    peer.acknowledged = Math.max(peer.acknowledged, this.#base + position);
  }

  #messages(peer: Peer, buffer: Buffer, from: number, to: number): string {
    const reader = this.#reader;
    reader.open(buffer, from, to, peer.node);
    // A delivery may end the connection.
    const own = this.#isOwn(peer);
    while (this.#connection !== null && reader.next()) {
      this.#order += 1;
      if (!own) this.#ackDue = true;
      if (this.#lastSender !== peer) {
        this.#lastSender = peer;
        this.#lastRun = this.#order;
      }
      this.counters.messagesDelivered += 1;
      this.#events.delivered(this.#order, reader.message);
    }
    return reader.problem === '' ? '' : this.#expel(peer, reader.problem);
  }

  #part(peer: Peer, inbox: Buffer, bytes: number): string {
    const from = wireHeaderBytes + partHeaderBytes;
    if (bytes <= from) return this.#expel(peer, 'an empty part of a message');
    const total = inbox.readUInt32LE(wireHeaderBytes);
    const offset = inbox.readUInt32LE(wireHeaderBytes + 4);
    if (total > messageBytesMax) return this.#expel(peer, `a message of ${total} bytes`);
    if (offset === 0) peer.partial = { buffer: Buffer.alloc(total), filled: 0 };
    const partial = peer.partial;
    // The rest of a message whose beginning was before this view: its sender begins again.
    if (partial === null) return '';
    const end = offset + bytes - from;
    if (partial.filled !== offset || partial.buffer.length !== total || end > total) {
      return this.#expel(peer, 'parts that do not fit each other');
    }
    inbox.copy(partial.buffer, offset, from, bytes);
    partial.filled = end;
    if (end < total) return '';
    peer.partial = null;
    if (this.#isOwn(peer)) this.#outgoing.longDelivered();
    return this.#messages(peer, partial.buffer, 0, total);
  }

  // ---- who cannot be understood

  #notSound(peer: Peer, verdict: WireVerdict): string {
    if (verdict === 'damaged') {
      this.counters.damaged += 1;
      if (peer.inView) return `a multicast of node ${peer.node} came damaged`;
      this.#reportOnce(
        `damaged ${peer.node}/${peer.pid}`,
        `node ${peer.node}, process ${peer.pid}, sent a damaged multicast`,
      );
      return '';
    }
    this.counters.notUnderstood += 1;
    const what = verdict === 'version' ? `wire version ${this.#header.version}` : 'no language of ours';
    return this.#refuse(peer, what);
  }

  /** Everybody sees it, who comes as well as who is in a view: the sender is waited for no more. */
  #refuse(peer: Peer, what: string): string {
    const own = this.#expel(peer, what);
    if (own !== '') return own;
    peer.refused = true;
    peer.hello = null;
    this.#tryComplete();
    return '';
  }

  /**
   * The sender is out of the view of all who can read it and, since it hears itself, for itself. A round that runs goes on with it: who
   * comes has not read what it said, and all must decide alike.
   */
  #expel(peer: Peer, what: string): string {
    this.#reportOnce(
      `refused ${peer.node}/${peer.pid}`,
      `node ${peer.node}, process ${peer.pid}, is refused: it speaks ${what}`,
    );
    if (this.#isOwn(peer)) return `this daemon sent ${what}`;
    peer.partial = null;
    if (peer.inView && this.#view !== null) {
      this.#enter(
        this.#view.filter((other) => other !== peer),
        [],
        [departure(peer, CpgReason.processDown)],
      );
    }
    return '';
  }

  #reportOnce(event: string, text: string): void {
    if (this.#reported.has(event)) return;
    // Bounded by the processes that come and go; forgotten with the connection.
    if (this.#reported.size < 1024) this.#reported.add(event);
    this.#reports.problem(event.split(' ')[0] ?? event, text);
  }

  #own(): Peer | null {
    const connection = this.#connection;
    return connection === null ? null : this.#processes.find(connection.node, connection.pid);
  }

  #isOwn(peer: Peer): boolean {
    return peer.node === this.#connection?.node && peer.pid === this.#connection.pid;
  }
}

function membersOf(peers: readonly Peer[]): GroupMember[] {
  return peers.map(({ identity }) => {
    if (identity === null) throw new Error('a member of a view has introduced itself');
    return identity;
  });
}

function departure(peer: Peer, reason: number): Departure {
  if (peer.identity === null) throw new Error('a member of a view has introduced itself');
  return { member: peer.identity, reason: departureReason(reason) };
}

function departureReason(reason: number): DepartureReason {
  if (reason === CpgReason.leave) return 'leave';
  if (reason === CpgReason.nodeDown) return 'node-down';
  return reason === CpgReason.processDown ? 'process-down' : 'unknown';
}
