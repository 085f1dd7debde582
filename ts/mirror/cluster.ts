/**
 * The group as the cores see it: who is in it, whether it has quorum (R13), who is known dead (R7), and the directory of all logs.
 *
 * When somebody comes to the group, everybody says once what it knows (`report`), and the directory is computed anew from all
 * of that (return-merge.ts). From the view to the last report the *exchange* is under way: messages that change member
 * tables do not count then, for who came does not know the tables that they would change; who sent one sends it again.
 *
 * Quorum: what the transport says is this node's own knowledge, in no order with the stream. It holds back this node's
 * replies at once; what all replicas do by it waits for the ordered `quorum` message. After a node was lost neither counts
 * before it was said anew, by somebody who knows that the node is lost.
 */
import type { GroupMember, GroupView } from '../base/group-view.js';
import { bootKey } from './boot-key.js';
import { type DepartureMeanwhile, Directory, departMeanwhile } from './directory.js';
import type { Member, MemberTable } from './member-table.js';
import { addJoining, hasEnded, isNewerTable, memberOf, neverServed } from './member-table.js';
import { type LogMessage, MessageType } from './messages.js';
import { decodeReport, encodeReports } from './report-codec.js';
import { type LogReport, mergeReports, type Reporter, reportUnused } from './return-merge.js';
import { report, type World } from './world.js';

/** What the group tells the logs of this host. */
export interface ClusterEvents {
  /** This host's live instance of a log, for a report. */
  liveReports(): Iterable<LogReport>;
  /** The logs of which this host's kernel has a table, in use or not. */
  withTable(): ReadonlySet<string>;
  /** The member table of a log has changed. */
  tableChanged(uuid: string): void;
  /** A node has no table of the log any more that it had. `surmised`: its daemon knows of none, which may have lost its records. */
  tableEnded(uuid: string, node: number, surmised: boolean): void;
  /** A member is known dead or has left without a suspend; `member` is what it was. */
  gone(uuid: string, member: Member, died: boolean): void;
  /** What those who follow have may lack what others did: nothing is known to be in sync. */
  resync(uuid: string, why: string): void;
  groupLost(): void;
  /** Somebody came: copies under way begin again. */
  exchangeBegun(): void;
  exchangeEnded(): void;
  operationalChanged(): void;
}

interface Exchange {
  readonly tag: string;
  readonly reports: Map<number, Reporter>;
  readonly logs: Map<number, Map<string, LogReport>>;
  /** Who has gone since it began. */
  readonly left: DepartureMeanwhile[];
  /** Ordered: this side was told meanwhile that it has no quorum. */
  denied: boolean;
}

const lostText = 'a node that may have gone on alone is dead';
const apartText = 'members went on without each other';

/** Of a session record (R9). */
export interface SessionOwner {
  readonly uuid: string;
  readonly nodeName: string;
  readonly bootId: string;
  readonly writerEpoch: number;
}

export class Cluster {
  readonly directory = new Directory();
  /** Ordered: all replicas of this side agree. */
  orderedQuorate = false;
  /** How often this node has ceased to be operational: others may have been since. */
  lapses = 0;
  readonly #world: World;
  readonly #events: ClusterEvents;
  #members: readonly GroupMember[] = [];
  #exchange: Exchange | null = null;
  #wasOperational = false;
  /** Null: not said since the last loss of a node. */
  #ownQuorate: boolean | null = null;
  /** Ordered: this side was without quorum since it had it last, and since somebody came. */
  #denied = false;
  /** It had quorum when daemons met last, and nothing has been said of it, and nobody lost, since. */
  #hadQuorum = false;
  /** Deaths that are confirmed and not delivered yet, node -> boot. */
  readonly #deaths = new Map<number, string>();
  /** Logs that this node leaves without a log that waits for it, and the number of the message. */
  readonly #withdrawn = new Map<string, number>();
  /** Logs whose tables are gone from this host, and members may not know it. */
  readonly #removed = new Set<string>();
  /** Boots that are known to be over. */
  readonly #deadBoots = new Set<string>();
  /** Lost members that the edge was told of. */
  readonly #told = new Set<string>();

  constructor(world: World, events: ClusterEvents) {
    this.#world = world;
    this.#events = events;
  }

  get tables(): ReadonlyMap<string, MemberTable> {
    return this.directory.tables;
  }

  get inGroup(): boolean {
    return this.#members.length > 0;
  }

  get exchanging(): boolean {
    return this.#exchange !== null || !this.inGroup;
  }

  /** New marks may be promised, and the writer may write (R13). */
  get operational(): boolean {
    return this.inGroup && this.#ownQuorate === true && this.orderedQuorate;
  }

  /** This node was told that it has no quorum, or has lost its group. Not: nothing was said yet. */
  get inquorate(): boolean {
    return this.#ownQuorate === false;
  }

  /** Nothing was said of this node's quorum since it came or somebody was lost. */
  get quorumUnsaid(): boolean {
    return this.inGroup && this.#ownQuorate === null;
  }

  /** All members of the group. */
  get members(): readonly GroupMember[] {
    return this.#members;
  }

  /** Null when the node is not in the group. */
  memberOfGroup(node: number): GroupMember | null {
    return this.#members.find((member) => member.node === node) ?? null;
  }

  /**
   * True when the host that left a log unclosed does not use it any more: it is here, with another boot, or with this one and
   * is no member of the log, or one that is about to be, of which it is known that its kernel holds nothing; or it is known dead, or to
   * have left the log after that session.
   */
  hasEnded({ uuid, nodeName, bootId, writerEpoch }: SessionOwner): boolean {
    const boot = bootKey(bootId);
    const table = this.tables.get(uuid);
    if (this.#deadBoots.has(boot)) return true;
    if (table?.ended.some((one) => one.boot === boot && writerEpoch <= one.epoch) === true) return true;
    const [here, namesake] = this.#members.filter(({ name }) => name === nodeName);
    if (here === undefined || namesake !== undefined) return false;
    const member = memberOf(table, here.node);
    return here.bootId !== bootId || member === undefined || neverServed(member);
  }

  /** Logs that this host uses, as members know. */
  *ownMemberships(): Iterable<string> {
    if (this.exchanging) return;
    for (const table of this.tables.values()) {
      const me = memberOf(table, this.#world.node);
      if (me !== undefined && me.stage !== 'joining') yield table.uuid;
    }
  }

  /** Leaves a log for good, without anybody who waits for it. */
  withdraw(uuid: string): void {
    this.#world.placeRequests += 1;
    const number = this.#world.placeRequests;
    this.#withdrawn.set(uuid, number);
    if (!this.exchanging) this.#world.sender.numbers(MessageType.leave, uuid, number, 0, []);
  }

  leaveDelivered({ uuid, seq }: LogMessage): void {
    if (this.#withdrawn.get(uuid) === seq) this.#withdrawn.delete(uuid);
  }

  /** The last table of a log is gone from this host's kernel, and with it what that alone may recover (R10). */
  removed(uuid: string): void {
    this.#removed.add(uuid);
    if (!this.exchanging) this.#sendRemoved(uuid);
  }

  /** The same of one whose record was lost: this daemon knows of it what members know. */
  forgotten(uuid: string): void {
    const own = this.memberOfGroup(this.#world.node);
    const table = this.tables.get(uuid);
    if (own === null || table === undefined || memberOf(table, own.node) !== undefined) return;
    if (hasEnded(table, bootKey(own.bootId))) this.removed(uuid);
  }

  removedDelivered(uuid: string): void {
    this.#removed.delete(uuid);
  }

  #sendRemoved(uuid: string): void {
    this.#world.sender.numbers(MessageType.leave, uuid, 0, 1, []);
  }

  /** A table that an earlier daemon of this host stored. Nobody is known to follow the stream now. */
  remember(table: MemberTable): void {
    for (const member of table.members) {
      member.valid = false;
      // Who was about to join may have done so since.
      if (member.stage === 'joining' && member.node !== this.#world.node) member.needed = true;
    }
    const known = this.directory.tables.get(table.uuid);
    if (known === undefined || isNewerTable(table, known)) this.directory.tables.set(table.uuid, table);
    else {
      addJoining(known, table);
      // A doubt that daemons come to when they meet makes no table newer.
      if (!isNewerTable(known, table) && table.doubt) known.doubt = true;
    }
  }

  viewChanged(view: GroupView): void {
    this.#members = view.members;
    if (view.members.length === 0) {
      this.#exchange = null;
      this.directory.groupLost(this.#world.node);
      this.#hadQuorum = false;
      this.orderedQuorate = false;
      this.#ownQuorate = false;
      this.#countLapse();
      this.#events.groupLost();
      return;
    }
    // Who is here has refuted what was said of its death.
    for (const { node, bootId } of view.members) {
      if (this.#deaths.get(node) === bootKey(bootId)) this.#deaths.delete(node);
    }
    const changed = this.directory.departed(view.left);
    for (const { member, reason } of view.left) {
      if (reason === 'node-down' || reason === 'unknown') this.#forgetQuorum();
      const said = this.#exchange?.reports.delete(member.node) === true;
      this.#exchange?.left.push({ member, reason, said });
    }
    this.#tellNamesakes(view);
    if (view.joined.length > 0) this.#beginExchange(view.meeting);
    else if (this.#exchange !== null) this.#endIfComplete();
    else {
      for (const uuid of changed) this.#events.tableChanged(uuid);
      // That there is some counts from nobody who names one that has left, as what is on its way may.
      this.#sendQuorum();
    }
    this.#tellLost();
    this.#operationalChanged();
  }

  quorumChanged(quorate: boolean): void {
    this.#ownQuorate = quorate;
    if (this.inGroup) this.#sendQuorum();
    this.#operationalChanged();
  }

  /** A fencing source says that the node is dead; null: the boot that the tables know. */
  confirmDead(node: number, bootId: string | null): void {
    const boot = bootId === null ? this.#bootInTables(node) : bootKey(bootId);
    if (boot === null) {
      report(
        this.#world,
        'notice',
        'dead-unknown',
        '',
        `node ${node} is confirmed dead, and has no log that is known here`,
      );
      return;
    }
    this.#deaths.set(node, boot);
    if (!this.exchanging) this.#sendDeath(node, boot);
  }

  /** True when the message was the group's own and no log's. */
  deliver(message: LogMessage): boolean {
    switch (message.type) {
      case MessageType.report:
        this.#reportDelivered(message);
        return true;
      case MessageType.quorum:
        this.#quorumDelivered(message);
        return true;
      case MessageType.dead:
        this.#deadDelivered(message);
        return true;
      default:
        return false;
    }
  }

  // Exchange.

  /** What was said in another meeting of the same daemons, and waited in one of them, says nothing in this one. */
  #beginExchange(meeting: string): void {
    const tag = [meeting, ...this.#members.map(({ node, incarnation }) => `${node}:${incarnation}`)].join(' ');
    this.#exchange = { tag, reports: new Map(), logs: new Map(), left: [], denied: false };
    this.directory.meets(this.#members);
    this.#events.exchangeBegun();
    const known = new Map<string, LogReport>();
    const withTable = this.#events.withTable();
    for (const table of this.tables.values()) {
      known.set(table.uuid, reportUnused(table, !withTable.has(table.uuid)));
    }
    for (const live of this.#events.liveReports()) known.set(live.table.uuid, live);
    for (const bytes of encodeReports(tag, this.orderedQuorate || this.#hadQuorum, [...known.values()]))
      this.#world.sender.bytes(MessageType.report, '', 0, 0, [], bytes);
  }

  #reportDelivered({ node, bytes, byteCount }: LogMessage): void {
    const exchange = this.#exchange;
    const said = decodeReport(bytes.subarray(0, byteCount));
    const member = this.memberOfGroup(node);
    if (exchange === null || member === null || said === null || said.tag !== exchange.tag) return;
    if (said.part === 0) exchange.logs.set(node, new Map());
    for (const log of said.logs) exchange.logs.get(node)?.set(log.table.uuid, log);
    if (said.part + 1 < said.parts) return;
    const { name, bootId } = member;
    exchange.reports.set(node, { node, name, boot: bootKey(bootId), quorate: said.quorate, log: undefined });
    this.#endIfComplete();
  }

  #endIfComplete(): void {
    const exchange = this.#exchange;
    if (exchange === null || this.#members.some(({ node }) => !exchange.reports.has(node))) return;
    this.#exchange = null;
    this.#hadQuorum ||= this.orderedQuorate;
    this.orderedQuorate = false;
    this.#denied = false;
    this.directory.met();
    const uuids = new Set<string>();
    for (const { node } of this.#members) for (const uuid of exchange.logs.get(node)?.keys() ?? []) uuids.add(uuid);
    for (const uuid of [...uuids].sort()) this.#merge(uuid, exchange);
    if (exchange.denied) this.directory.quorumLost();
    this.directory.forgetOldest();
    for (const [uuid, number] of this.#withdrawn) this.#world.sender.numbers(MessageType.leave, uuid, number, 0, []);
    for (const uuid of this.#removed) this.#sendRemoved(uuid);
    this.#events.exchangeEnded();
    // That there is none may be of before who came: said now, it would count more than the word of who knows better.
    if (this.#ownQuorate === true) this.#sendQuorum();
    for (const [node, boot] of this.#deaths) this.#sendDeath(node, boot);
    this.#tellLost();
    this.#operationalChanged();
  }

  #merge(uuid: string, exchange: Exchange): void {
    const reporters = this.#members.map(({ node }) => ({
      ...(exchange.reports.get(node) as Reporter),
      log: exchange.logs.get(node)?.get(uuid),
    }));
    const { table, together, dead, left, conflict, lost } = mergeReports(reporters);
    departMeanwhile(table, together, exchange.left);
    const before = this.tables.get(uuid);
    this.directory.tables.set(uuid, table);
    for (const member of dead) {
      this.#deadBoots.add(member.boot);
      // Whose table counts may not have heard of the boot that is here: what is known of that one stands.
      const known = memberOf(before, member.node)?.boot === exchange.reports.get(member.node)?.boot;
      if (!known) this.#events.gone(uuid, member, true);
    }
    for (const member of left) this.#events.gone(uuid, member, false);
    if (conflict) this.#events.resync(uuid, apartText);
    else if (lost) this.#events.resync(uuid, lostText);
    this.#events.tableChanged(uuid);
    // One that has left has no table of the log any more, as it says, or because it was booted since; or it is about to make one.
    for (const { node, boot, log } of reporters) {
      const gone = log === undefined ? !hasEnded(table, boot) : log.tableGone;
      if (gone && memberOf(table, node) === undefined) this.#events.tableEnded(uuid, node, true);
    }
  }

  // Quorum.

  #operationalChanged(): void {
    this.#countLapse();
    this.#events.operationalChanged();
  }

  #countLapse(): void {
    if (this.#wasOperational && !this.operational) this.lapses += 1;
    this.#wasOperational = this.operational;
  }

  #forgetQuorum(): void {
    this.#hadQuorum = false;
    this.orderedQuorate = false;
    this.#ownQuorate = null;
  }

  #sendQuorum(): void {
    if (this.#ownQuorate === null) return;
    const nodes = this.#members.map(({ node }) => node);
    this.#world.sender.numbers(MessageType.quorum, '', 0, this.#ownQuorate ? 1 : 0, nodes);
  }

  #quorumDelivered({ flag, regions, count }: LogMessage): void {
    // Sent by somebody who did not know yet that a node is lost. That there is none is true without that node all the more.
    const stale = regions.subarray(0, count).some((node) => this.memberOfGroup(node) === null);
    if (stale && flag === 1) return;
    // Whose copy counts is not decided: who was without quorum stays so until then, and hears it again.
    if (this.exchanging && flag === 1) return;
    const before = this.orderedQuorate;
    this.#hadQuorum = false;
    this.orderedQuorate = flag === 1;
    if (!before && this.orderedQuorate) {
      for (const uuid of this.directory.quorumWon(this.#members.length === 1, this.#denied))
        this.#events.resync(uuid, lostText);
    }
    this.#denied = flag !== 1;
    if (this.#denied && this.#exchange !== null) this.#exchange.denied = true;
    else if (this.#denied) this.directory.quorumLost();
    if (before !== this.orderedQuorate) this.#operationalChanged();
  }

  // Deaths.

  #sendDeath(node: number, boot: string): void {
    this.#world.sender.bytes(MessageType.dead, '', 0, 0, [node], Buffer.from(boot, 'latin1'));
  }

  #deadDelivered({ regions, bytes, byteCount }: LogMessage): void {
    if (this.exchanging) return;
    const node = regions[0] as number;
    const boot = Buffer.from(bytes.subarray(0, byteCount)).toString('latin1');
    if (this.#deaths.get(node) === boot) this.#deaths.delete(node);
    // It is back since that was said: it was not dead.
    const here = this.memberOfGroup(node);
    if (here !== null && bootKey(here.bootId) === boot) return;
    this.#deadBoots.add(boot);
    // Its table ended with it, also of a log that it had left.
    for (const table of this.tables.values()) {
      const left = hasEnded(table, boot) && memberOf(table, node) === undefined;
      if (left && this.memberOfGroup(node) === null) this.#events.tableEnded(table.uuid, node, false);
    }
    for (const { uuid, member, lost } of this.directory.died(node, boot)) {
      this.#events.gone(uuid, member, true);
      if (lost) this.#events.resync(uuid, lostText);
      this.#events.tableChanged(uuid);
    }
  }

  #bootInTables(node: number): string | null {
    for (const table of this.tables.values()) {
      const member = memberOf(table, node);
      if (member !== undefined && !member.present) return member.boot;
    }
    return null;
  }

  /** R9: a log device says by name who wrote it. */
  #tellNamesakes({ joined }: GroupView): void {
    for (const name of new Set(joined.map((member) => member.name))) {
      const nodes = this.#members.filter((member) => member.name === name).map(({ node }) => node);
      if (nodes.length > 1)
        report(this.#world, 'error', 'same-name', '', `nodes ${nodes.join(' and ')} are all called ${name}`);
    }
  }

  /** Members that are not in the group: an operator, or fencing, has to say whether they are dead. */
  #tellLost(): void {
    if (this.exchanging) return;
    for (const { members } of this.tables.values()) {
      for (const { node, name, boot, present } of members) {
        const key = `${node} ${boot}`;
        if (present || this.#told.has(key)) continue;
        this.#told.add(key);
        this.#world.effects.lost?.(node, name, boot);
        const text = `node ${node} (${name}) is not in the group: what it marked stays marked until it is back or known dead`;
        report(this.#world, 'warning', 'member-lost', '', text);
      }
    }
  }
}
