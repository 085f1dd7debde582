/**
 * This node's copy of one log and its place among the others: how it comes to follow the ordered stream, what it does with
 * messages before that, and what it may do while it does. Without a cluster it always follows and may do everything.
 *
 * | phase      | the copy                                                              | next                             |
 * | ---------- | --------------------------------------------------------------------- | -------------------------------- |
 * | outside    | none: the log is pending, or leaves                                   | waiting                          |
 * | waiting    | old, or none yet; somebody's copy, or the role of the first, is awaited | loading, copying, announcing     |
 * | loading    | comes from the log device: nobody has the log                         | announcing                       |
 * | copying    | regions below `covered` follow the stream already (transfer.ts)       | announcing, waiting              |
 * | announcing | follows; this kernel's marks are on their way into the stream         | following                        |
 * | following  | follows                                                               | waiting (the group was lost, or another side of it counts) |
 *
 * What follows from a phase for the log's parts is behind replica-hooks.ts; what a node may do in it, in replica-rights.ts.
 */
import type { Cluster } from './cluster.js';
import { CopyRecord, type PastMember } from './copy-record.js';
import { IncomingCopy } from './incoming-copy.js';
import { LifeCycle, type LogState } from './log-state.js';
import {
  anyValid,
  isUnused,
  leftUnwritten,
  type Member,
  type MemberTable,
  memberOf,
  providerOf,
} from './member-table.js';
import { copyOfMessage, type LogMessage, MessageType } from './messages.js';
import { PlaceRequests } from './place-requests.js';
import { Readiness } from './readiness.js';
import type { ReplicaHooks } from './replica-hooks.js';
import { ReplicaRights } from './replica-rights.js';
import { encodeChunk, type ReplicaHead, wordRegions } from './transfer.js';
import type { World } from './world.js';
import { WriterRole } from './writer-role.js';

export type Phase = 'outside' | 'waiting' | 'loading' | 'copying' | 'announcing' | 'following';

export class Replica {
  phase: Phase = 'outside';
  readonly rights: ReplicaRights;
  readonly record: CopyRecord;
  readonly ready: Readiness;
  readonly #world: World;
  readonly #state: LogState;
  readonly #hooks: ReplicaHooks;
  readonly #uuid: string;
  readonly #requests: PlaceRequests;
  readonly #writer: WriterRole;
  readonly #incoming: IncomingCopy;
  /** Of the table when the copy was begun. */
  #lineage = 0;
  /** Known when the copy was begun: owners are missing in what it is a copy of. */
  #ownersMissing = false;
  #wasSettled = false;
  /** It was the one who does what one does for all. */
  #led = false;
  #handsOut = false;
  /** Of the table that was seen last. */
  #epoch = -1;
  /** It was resumed here, and is not of a record. */
  #entered = false;

  constructor(world: World, state: LogState, hooks: ReplicaHooks) {
    this.#world = world;
    this.#state = state;
    this.#hooks = hooks;
    this.#uuid = state.identity.uuid;
    this.rights = new ReplicaRights(world, this.#uuid, () => this.following);
    this.record = new CopyRecord(state, this.rights, world);
    this.#requests = new PlaceRequests(world, state, this.rights, hooks);
    this.ready = new Readiness(world, state, hooks, this.rights, this.#requests);
    this.#writer = new WriterRole(world, hooks, this.rights, this.#requests);
    this.#incoming = new IncomingCopy(world, state, {
      begins: () => this.#copyBegins(),
      next: (kept) => this.#copyOn(kept),
      complete: (head, kept, inParts) => this.#copied(head, kept, inParts),
      failed: (again) => (again ? this.#ask(0) : this.#hold()),
    });
  }

  /** The copy is what all members have. */
  get following(): boolean {
    return !this.rights.shared || this.phase === 'announcing' || this.phase === 'following';
  }

  /** Of the table when the copy was begun: what this node says of others' regions it says by that. */
  get lineage(): number {
    return this.#lineage;
  }

  /** This node commits the log device. */
  get writes(): boolean {
    return this.#writer.writes;
  }

  /** It has the role, and by what all members know it may write: so it is until it hears otherwise, whatever its transport says of quorum. */
  get mayWrite(): boolean {
    const { table } = this.rights;
    return this.rights.shared && this.following && table?.writer === this.#world.node && this.#cluster.orderedQuorate;
  }

  /** Its role is known to all members, or it has none to share. */
  get mayBegin(): boolean {
    return this.#writer.mayBegin;
  }

  /** It commits it, or loads it: what fails is tried again. */
  get usesDevice(): boolean {
    return this.writes || this.phase === 'loading';
  }

  /** The kernel is about to hear this in-sync hint. */
  tellHint(hint: number): void {
    this.record.tellHint(hint, this.#isRight);
  }

  /** The copy is what the valid members have, and the members know it. */
  get #isRight(): boolean {
    return this.following && this.#me?.valid === true;
  }

  get #cluster(): Cluster {
    const { cluster } = this.#world;
    if (cluster === null) throw new Error('a replica of one host has no cluster');
    return cluster;
  }

  // Requests about membership.

  /** A request waits, or waits still: what could not be copied may be by now, as when there was no room for it. */
  requested(): void {
    if (this.phase === 'waiting') this.tableChanged();
  }

  /** RESUME. */
  enter(): void {
    this.phase = 'waiting';
    const { table } = this.rights;
    if (table !== undefined) this.record.keep(table);
    this.#incoming.covered = 0;
    this.#entered = true;
    this.#writer.enter();
    this.request(MessageType.join, this.#joinFlag);
  }

  /** 1: the first resume of this table; 2: what the kernel holds is not known (R3), and its table is not new. */
  get #joinFlag(): number {
    const { marksUnknown, everResumed, lifeCycle } = this.#state;
    if (everResumed) return marksUnknown && lifeCycle !== LifeCycle.resuming ? 2 : 0;
    return marksUnknown ? 2 : 1;
  }

  /** The first member cannot load the log device: another one that waits to join tries, whose path to it may be whole. */
  passOn(): void {
    const { table } = this.rights;
    const others = table?.members.some(({ node, present }) => present && node !== this.#world.node);
    if (this.phase !== 'loading' || table === undefined || !others || !isUnused(table)) return;
    this.#hold();
    this.#writer.end(() => this.enter());
  }

  /** A record of an earlier daemon: its kernel uses the log. */
  restored(leaving: boolean, stored: Parameters<CopyRecord['restored']>[0]): void {
    this.phase = 'waiting';
    this.record.restored(stored);
    this.#hooks.hush();
    if (leaving) {
      this.phase = 'outside';
      this.request(MessageType.leave, 0);
      return;
    }
    // It has a place by its record. That its table is new others may not have heard (R10).
    if (this.#joinFlag === 1) this.request(MessageType.join, 1);
  }

  /** The load has ended well, or a halted log is resumed. */
  loaded(): void {
    if (this.phase === 'loading') this.#follow();
    else if (this.following) this.ready.say();
  }

  /** Everything that the kernel holds is in the stream. */
  announced(): void {
    if (this.phase === 'announcing') this.ready.say();
  }

  /** R3 has ended: what the kernel holds is known. */
  marksKnown(): void {
    if (this.rights.shared && this.following) this.ready.say();
  }

  /** The kernel reconnects anew: the question for which it had done so before was given up, if nobody has heard the RESUME of that. */
  gaveUp(): void {
    if (this.record.gaveUp !== 'maybe') return;
    this.record.gaveUp = 'yes';
    if (this.rights.shared && this.following) this.ready.say();
  }

  /** `closed`: it was the last, and has closed the log device. `besideOthers`: they may have left before that is delivered. */
  leave(closed: boolean, besideOthers: boolean): void {
    this.#requests.closedEpoch = closed ? this.rights.epoch : 0;
    this.#writer.end(() => this.request(MessageType.leave, besideOthers ? 4 : 0));
  }

  /** Its leave was delivered and does not count, since it is the last one by now. False: it was not that of this leave. */
  isLast({ type, seq }: LogMessage): boolean {
    if (!this.#requests.delivered(type, seq)) return false;
    this.#writer.enter();
    return true;
  }

  /** Leaves out of a resume: nobody waits for it. */
  withdraw(): void {
    this.phase = 'outside';
    this.ready.forget();
    this.#requests.clear();
    this.#incoming.forget();
    this.#writer.end(() => this.#cluster.withdraw(this.#uuid));
  }

  /** Sends the message, now or when the group takes it; again until it is delivered. */
  request(type: MessageType, flag: number): void {
    this.#requests.ask(type, flag);
  }

  /** One of this node was delivered and counts. False: it is not the one that was asked for last, and that one comes yet. */
  requestDelivered({ type, seq }: LogMessage): boolean {
    const last = this.#requests.delivered(type, seq);
    if (type === MessageType.ready && this.phase === 'announcing') {
      this.phase = 'following';
      this.#writer.sayAgain();
    }
    // A log that was withdrawn from one resume may be in the next already: its join is behind this.
    if (type === MessageType.leave && !this.#requests.has(MessageType.join)) this.phase = 'outside';
    return last;
  }

  /** Somebody who had the role before may have written behind what this node wrote (R8). */
  overwritten(): void {
    this.#hooks.writeAgain();
  }

  // What the group says.

  groupLost(): void {
    if (this.phase === 'outside') return;
    const followed = this.following;
    this.#hold();
    if (!followed) this.#writer.giveBack();
  }

  exchangeBegun(): void {
    const { table } = this.rights;
    if (this.phase !== 'outside' && table !== undefined) this.record.keep(table);
    // Whether a log device can be believed the tables say: not before all have spoken.
    const loads = this.phase === 'loading';
    if (loads || this.phase === 'copying' || (this.phase === 'announcing' && this.#me?.valid !== true)) this.#hold();
    if (loads) this.#writer.giveBack();
  }

  exchangeEnded(): void {
    this.overwritten();
    // Members knew this node, and its copy counts by now: a join would take that back, and nobody might be left who has one.
    if (this.following) this.#requests.drop(MessageType.join);
    this.#requests.askAgain();
    const joining = this.phase === 'waiting' && this.#me === undefined;
    if (joining && !this.#requests.has(MessageType.join)) this.request(MessageType.join, this.#joinFlag);
  }

  /** The member table has changed, or who may do what: finds out what follows from it. */
  tableChanged(): void {
    const { table } = this.rights;
    if (table === undefined) return;
    if (this.phase === 'outside') {
      if (anyValid(table) && !this.#cluster.exchanging) this.#hooks.othersHave();
      return;
    }
    if (this.#epoch !== table.epoch) this.#hooks.epochBegun();
    this.#epoch = table.epoch;
    // While daemons say what they know, only those who follow know anything.
    if (this.#cluster.exchanging && !this.following) return;
    const gone = this.following ? this.record.gone(table) : [];
    this.record.store(table, this.#isRight);
    this.#hooks.changed();
    const me = memberOf(table, this.#world.node);
    if (me === undefined) {
      if (this.following) this.#hold();
      return;
    }
    if (this.phase === 'following' && !me.valid) this.#hold();
    if (this.phase === 'announcing' && table.lineage !== this.#lineage) this.#begunAnew(table, me, gone);
    if (this.phase === 'waiting') this.#start(table, me);
    else if (this.phase === 'loading') this.#keepLoading(table);
    else if (this.phase === 'copying') this.#keepCopying(table, me);
    if (this.phase === 'following') this.#chosen(table, me, gone);
    if (this.following) this.#writer.tableChanged(table);
    this.ready.tableChanged();
    this.#settledChanged(table);
  }

  /** A copy that has followed all the time may be chosen among those that nobody follows with, or of those who went on apart: as others, it says so anew. */
  #chosen(table: MemberTable, me: Member, gone: readonly PastMember[]): void {
    if (table.lineage !== this.#lineage) this.#countsAnew(table, gone);
    if ((!me.settled || table.doubt) && this.ready.marksKnown && !this.ready.said) this.ready.say();
  }

  /**
   * Nobody else has a copy where nobody was followed: who has left those who went on, or is dead, as they say, this one does not know of.
   * Where others have one it was told already.
   */
  #countsAnew(table: MemberTable, gone: readonly PastMember[]): void {
    this.#lineage = table.lineage;
    if (table.doubt) this.#hooks.doubt(leftUnwritten(table));
    if (providerOf(table, this.#world.node) < 0) this.#hooks.adopt(gone, false);
  }

  #start(table: MemberTable, me: Member): void {
    const joins = this.#requests.has(MessageType.join);
    if (me.valid && !(joins && this.#isNew)) {
      // What others did alone to a disk log its device says, which is about to be read.
      const told = table.disk && table.deviceAhead;
      const inPieces = this.record.rank === 0 || (this.record.lacks(table) && !told);
      if (table.doubt || inPieces) this.#hooks.doubt(inPieces || leftUnwritten(table));
      this.#follow();
      this.#hooks.adopt(this.record.gone(table), this.record.hasLost(table));
      this.record.ownersKnown = true;
      return;
    }
    // A join that is on its way gives the role that this place has away again, and so does the leave before it: of another instance of
    // the log, and what it held is lost with it (R7), behind the place that a copy asked for now would be of.
    const settled = !joins && !this.#writer.givesBack;
    if (anyValid(table)) {
      if (settled && providerOf(table, this.#world.node) >= 0) this.#ask(0);
      return;
    }
    const first = table.writer === this.#world.node && me.stage === 'joining' && settled;
    if (!first || !this.#cluster.operational) return;
    this.phase = 'loading';
    this.#writer.begin(table.epoch);
    this.#hooks.load();
  }

  #keepLoading(table: MemberTable): void {
    if (table.writer === this.#world.node && !anyValid(table)) {
      this.#writer.begin(table.epoch);
      return;
    }
    this.phase = 'waiting';
    this.#hooks.abandonLoad();
    this.tableChanged();
  }

  #keepCopying(table: MemberTable, me: Member): void {
    const provider = memberOf(table, this.#incoming.provider);
    const same = table.lineage === this.#lineage;
    if (provider?.present && provider.valid && same) return;
    if (providerOf(table, this.#world.node) >= 0) {
      // Others have had all of it, and will not say it again.
      const kept = this.#incoming.takeKept();
      if (same) for (const apply of kept) apply();
      this.#ask(same ? this.#incoming.covered : 0);
    } else {
      this.#hold();
      this.#start(table, me);
    }
  }

  /** Of those whose copy this is nobody is there any more. It counts if the members say so, and otherwise others may begin anew. */
  #begunAnew(table: MemberTable, me: Member, gone: readonly PastMember[]): void {
    if (!me.valid) {
      this.#hold();
      return;
    }
    this.#countsAnew(table, gone);
    this.ready.sayAnew();
  }

  #settledChanged(table: MemberTable): void {
    const serves = this.phase === 'following' && this.rights.operational && table.members.length > 0;
    const settled = serves && this.rights.mayClean;
    const handsOut = serves && this.rights.mayHandOut;
    const leads = settled && this.rights.leads;
    // Who led before may not have come to what one does for all.
    if (settled && (!this.#wasSettled || (leads && !this.#led))) this.#hooks.settled();
    if (handsOut && !this.#handsOut) this.#hooks.restartRecovery();
    this.#wasSettled = settled;
    this.#led = leads;
    this.#handsOut = handsOut;
  }

  /** Of a new table: before its join is delivered members know the place of another instance. Where the record was lost it is its own (R3). */
  get #isNew(): boolean {
    return this.#entered && !this.#state.marksUnknown;
  }

  get #me(): Member | undefined {
    return memberOf(this.rights.table, this.#world.node);
  }

  /** The copy does not follow any more, and somebody else's will have to be taken. */
  #hold(): void {
    const followed = this.following;
    this.phase = 'waiting';
    this.#incoming.forget();
    this.#wasSettled = false;
    this.#handsOut = false;
    this.ready.forget();
    if (!followed) return;
    this.#hooks.hush();
    this.#writer.giveBack();
  }

  /** `behind`: what was said behind the place that the copy is of. It is done before this node says anything: an end that all have heard is not said again. */
  #follow(behind: readonly (() => void)[] = []): void {
    this.phase = 'announcing';
    this.#lineage = this.rights.table?.lineage ?? 0;
    this.#incoming.whole();
    for (const apply of behind) apply();
    if (this.following) this.#hooks.follow();
  }

  // Copies.

  #ask(from: number, ownersMissing = false): void {
    const { table } = this.rights;
    if (table === undefined) return;
    this.phase = 'copying';
    if (from === 0) this.#ownersMissing = ownersMissing;
    this.#lineage = table.lineage;
    this.#incoming.ask(providerOf(table, this.#world.node), from);
  }

  /** The first of it has come. Until then the copy from before is whole: whoever was to answer may go, and it may count. */
  #copyBegins(): void {
    this.#spoil();
    this.record.ownersKnown = true;
    this.#hooks.copyBegun(this.#ownersMissing);
  }

  /** The copy from before counts no more: it is overwritten, or everything is out of sync by now, which no log device says. */
  #spoil(): void {
    const { table } = this.rights;
    if (table !== undefined) this.record.spoil(table);
  }

  #copyOn(kept: readonly (() => void)[]): void {
    for (const apply of kept) apply();
    this.#ask(this.#incoming.covered);
  }

  #copied(head: ReplicaHead, kept: readonly (() => void)[], inParts: boolean): void {
    // What was released of the first parts meanwhile was cleaned here, and not by those who knew that already.
    if (inParts && head.ownersFull && !this.#ownersMissing) {
      this.#ask(0, true);
      return;
    }
    this.#hooks.takeHead(head);
    this.#state.position = head.position;
    this.#follow(kept);
    const { table } = this.rights;
    if (table !== undefined && this.following) this.#writer.tableChanged(table);
  }

  /** True when the message is to be applied as it is. */
  takes(order: number, message: LogMessage, nowMs: number): boolean {
    if (!this.rights.shared) return true;
    if (message.type === MessageType.want) {
      this.#wantDelivered(message);
      return false;
    }
    if (message.type === MessageType.chunk) {
      if (this.phase === 'copying') this.#incoming.chunkDelivered(message);
      return false;
    }
    if (!this.#counts(message)) return false;
    if (this.following) {
      this.#count();
      return true;
    }
    if (this.phase !== 'copying') return false;
    if (message.type === MessageType.unknownDirty && message.flag === 1) this.#spoil();
    this.#takePart(order, message, nowMs);
    return false;
  }

  /**
   * A member says it; and that a region is in sync, one whose copy follows. One that says so on its way there does so by the copy that the
   * others have, and not by one that it has given up since.
   */
  #counts({ type, node, seq, flag }: LogMessage): boolean {
    const { table } = this.rights;
    const member = memberOf(table, node);
    if (member === undefined) return false;
    const ends = type === MessageType.inSync && flag === 1;
    return !ends || member.valid || seq === table?.lineage;
  }

  /** The part of a message that the copy covers so far, now or behind the answer that is waited for. */
  #takePart(order: number, message: LogMessage, nowMs: number): void {
    if (!this.#incoming.asks) {
      this.#applyBits(message);
      return;
    }
    const kept = copyOfMessage(message);
    const { allowed } = this.rights;
    this.#incoming.keep(() => this.rights.as(allowed, () => this.#applyKept(order, kept, nowMs)));
  }

  /** A member is gone, at its place in the stream. */
  gone(member: Member, died: boolean): void {
    this.#apply(() => {
      // Of the copy from before nothing is told yet: what has to be done to it, whoever goes by it again finds out.
      if (this.#limit > 0) this.#hooks.applyGone(member, died, this.#limit);
    });
  }

  /** All regions are out of sync, at this place in the stream. A copy begins anew: it does not know whose recovery that puts in doubt. */
  resync(): void {
    if (this.following) this.#hooks.resync();
    else if (this.phase === 'copying') {
      this.#spoil();
      this.#ask(0, this.#ownersMissing);
    }
  }

  /** Changes what comes with the head of a copy, at this place in the stream. */
  head(change: () => void): void {
    this.#apply(() => {
      if (this.following) change();
    });
  }

  /** Regions below this follow the stream. */
  get #limit(): number {
    return this.following ? Number.POSITIVE_INFINITY : this.#incoming.covered;
  }

  #apply(apply: () => void): void {
    if (this.#incoming.asks) this.#incoming.keep(apply);
    else if (this.following || this.phase === 'copying') apply();
  }

  #count(): void {
    if (!this.rights.sole) this.#state.position += 1;
  }

  #applyKept(order: number, message: LogMessage, nowMs: number): void {
    if (!this.following) {
      this.#applyBits(message);
      return;
    }
    this.#count();
    this.#hooks.apply(order, message, nowMs);
  }

  #applyBits(message: LogMessage): void {
    if (!this.#incoming.endsDoubted(message)) this.#hooks.applyBits(message, this.#incoming.covered);
  }

  #wantDelivered({ node, seq, regions }: LogMessage): void {
    const { table } = this.rights;
    if (node === this.#world.node) {
      if (this.phase === 'copying' && table !== undefined)
        this.#incoming.questionDelivered(seq, providerOf(table, node));
      return;
    }
    const valid = this.following && table !== undefined && providerOf(table, node) === this.#world.node;
    const from = regions[0] as number;
    if (!valid || from % wordRegions !== 0 || from >= this.#state.map.regionCount) return;
    const { chunkRegions } = this.#world.settings;
    const bytes = encodeChunk(this.#state, from, this.#hooks.doubted(), () => this.#hooks.head(), chunkRegions);
    this.#world.sender.bytes(MessageType.chunk, this.#uuid, seq, node, [], bytes);
  }
}
