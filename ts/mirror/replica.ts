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
 * While a question (`want`) is under way its answer is what its provider had at the delivery of the question; so messages behind
 * that are kept and applied after the answer. One question at a time bounds both sides.
 */
import { memberTableBytesMax } from '../base/limits.js';
import type { Cluster } from './cluster.js';
import type { LogState } from './log-state.js';
import { encodeMembers } from './member-record.js';
import {
  allSettled,
  anyHalted,
  anyValid,
  type Member,
  type MemberTable,
  memberOf,
  providerOf,
} from './member-table.js';
import { type LogMessage, MessageType } from './messages.js';
import { type Chunk, decodeChunk, encodeChunk, type ReplicaHead } from './transfer.js';
import { report, type World } from './world.js';

export type Phase = 'outside' | 'waiting' | 'loading' | 'copying' | 'announcing' | 'following';

/** What a replica asks of its log. */
export interface ReplicaHooks {
  /** Nobody has the log: load it. */
  load(): void;
  abandonLoad(): void;
  /** The copy follows from here on: announce what the kernel holds. */
  follow(): void;
  /** The copy counts from here on although it may lack something, or although it is in pieces. */
  doubt(inPieces: boolean): void;
  /** This node is the writer as all know, and may write: what it has written counts. */
  counts(): void;
  /**
   * The copy counts from here on. These nodes were members when it followed last and are dead, or have left unheard. `unknown`: what
   * they held was in the memory of a daemon that has ended.
   */
  adopt(gone: readonly number[], unknown: boolean): void;
  /** The copy does not follow any more. */
  hush(): void;
  /** This node is the writer in an epoch that is new to it. */
  serve(): void;
  /** This node must not write: `done` when nothing of it is on its way to the log device. */
  retire(done: () => void): void;
  /** A message at its place, whole. */
  apply(order: number, message: LogMessage, nowMs: number): void;
  /** The part of a message that concerns the bits of regions below `limit`. */
  applyBits(message: LogMessage, limit: number): void;
  /** A member is gone. Regions below `limit`. */
  applyGone(member: Member, died: boolean, limit: number): void;
  /** Nothing is known to be in sync. Regions below `limit`. */
  everythingOutOfSync(limit: number): void;
  head(): ReplicaHead;
  takeHead(head: ReplicaHead): void;
  /** Everything that no owner explains any more is in the stream and all members are heard: what is left over can be cleaned. */
  settled(): void;
  changed(): void;
}

/** Chunks that cannot be taken before the copy is given up for now. */
const copiesFailedMax = 3;

/** What replicas do alike, by what all members know at a place of the order. */
interface Allowed {
  readonly mayClean: boolean;
  readonly mayHandOut: boolean;
}

export class Replica {
  phase: Phase = 'outside';
  /** Generation of the member table in which the copy was last right; 0: never, or it is being overwritten. */
  rank = 0;
  /** The highest in-sync hint that the kernel was told since its resume. */
  hint = 0;
  /** The members of that generation, node -> boot. */
  #boots: ReadonlyMap<number, string> = new Map();
  /** What members held is in memory. */
  #ownersKnown = true;
  readonly #world: World;
  readonly #state: LogState;
  readonly #hooks: ReplicaHooks;
  readonly #uuid: string;
  /** Messages about membership that were not delivered yet; an exchange swallows them. */
  readonly #requests = new Map<MessageType, number>();
  #covered = 0;
  #asked: { id: number; provider: number } | null = null;
  #questions = 0;
  /** Chunks in a row that could not be taken. */
  #failures = 0;
  #kept: (() => void)[] | null = null;
  /** What all members went by at the place of the kept message that is being applied. */
  #then: Allowed | null = null;
  /** Of the table when the copy was begun. */
  #lineage = 0;
  #servedEpoch = -1;
  #wasSettled = false;
  /** This node was the writer and might write. */
  #wrote = false;

  constructor(world: World, state: LogState, hooks: ReplicaHooks) {
    this.#world = world;
    this.#state = state;
    this.#hooks = hooks;
    this.#uuid = state.identity.uuid;
  }

  get shared(): boolean {
    return this.#world.cluster !== null;
  }

  /** The copy is what all members have. */
  get following(): boolean {
    return !this.shared || this.phase === 'announcing' || this.phase === 'following';
  }

  /** New marks may be promised; what this node writes and hands out is right (R13). */
  get operational(): boolean {
    const { cluster } = this.#world;
    return cluster === null || (cluster.operational && this.following);
  }

  /**
   * New marks may be promised. Not without the writer of a disk log, also when the device has them: where he is, with quorum of his
   * own as one of two may have, he may clean what nobody there holds.
   */
  get mayPromise(): boolean {
    if (!this.operational) return false;
    const { table } = this;
    return table === undefined || !table.disk || memberOf(table, table.writer)?.present === true;
  }

  /** No other node has the log. */
  get sole(): boolean {
    return !this.shared || this.others === 0;
  }

  get others(): number {
    return this.table?.members.filter(({ node }) => node !== this.#world.node).length ?? 0;
  }

  /** Replicated: a region without an owner may be cleaned. */
  get mayClean(): boolean {
    const { cluster } = this.#world;
    if (cluster === null) return true;
    if (this.#then !== null) return this.#then.mayClean;
    const { table } = this;
    return cluster.orderedQuorate && table !== undefined && allSettled(table);
  }

  /** Replicated: a region may be handed out for recovery (R4, R10). */
  get mayHandOut(): boolean {
    if (this.#then !== null) return this.#then.mayHandOut;
    return this.mayClean && (this.table === undefined || !anyHalted(this.table));
  }

  /** This node commits the log device. */
  get writes(): boolean {
    if (!this.shared) return true;
    const { table } = this;
    return this.operational && table?.writer === this.#world.node && this.#servedEpoch === table.epoch;
  }

  /** What a write and its confirmation carry (R1). */
  get epoch(): number {
    return this.shared ? (this.table?.epoch ?? 0) : this.#world.epoch;
  }

  get table(): MemberTable | undefined {
    return this.#world.cluster?.tables.get(this.#uuid);
  }

  get #cluster(): Cluster {
    const { cluster } = this.#world;
    if (cluster === null) throw new Error('a replica of one host has no cluster');
    return cluster;
  }

  /** The lowest member that follows: it does what one has to do for all. */
  get leads(): boolean {
    return this.table === undefined || providerOf(this.table, -1) === this.#world.node;
  }

  /**
   * The kernel is about to hear this in-sync hint. Of regions below it, it does not ask any more whether another node recovers
   * them; so none of them may ever be out of sync for it before its next resume (R12), also when a death makes it so.
   */
  tellHint(hint: number): void {
    const { table } = this;
    if (!this.shared || hint <= this.hint) return;
    this.hint = hint;
    if (table !== undefined) this.#store(table);
  }

  // Requests about membership.

  /** RESUME. */
  enter(flag: number): void {
    this.phase = 'waiting';
    this.#covered = 0;
    this.request(MessageType.join, flag);
  }

  /** A record of an earlier daemon: its kernel uses the log. */
  restored(leaving: boolean, stored: { rank: number; hint: number; members: readonly Member[] }): void {
    this.phase = 'waiting';
    this.rank = stored.rank;
    this.hint = stored.hint;
    this.#rememberBoots(stored.members);
    this.#ownersKnown = false;
    this.#hooks.hush();
    if (leaving) {
      this.phase = 'outside';
      this.request(MessageType.leave, 0);
    }
  }

  /** The load has ended well, or a halted log is resumed. */
  loaded(): void {
    if (this.phase === 'loading') this.#follow();
    else if (this.following) this.request(MessageType.ready, this.#readyFlag);
  }

  /** Everything that the kernel holds is in the stream. */
  announced(): void {
    if (this.phase === 'announcing') this.request(MessageType.ready, this.#readyFlag);
  }

  /** R3 has ended: what the kernel holds is known. */
  marksKnown(): void {
    if (this.shared && this.following) this.request(MessageType.ready, this.#readyFlag);
  }

  leave(): void {
    this.request(MessageType.leave, 0);
  }

  /** Leaves out of a resume: nobody waits for it. */
  withdraw(): void {
    this.phase = 'outside';
    this.#requests.clear();
    this.#kept = null;
    this.#asked = null;
    this.#cluster.withdraw(this.#uuid);
  }

  /** Sends the message, now or when the group takes it; again until it is delivered. */
  request(type: MessageType, flag: number): void {
    this.#requests.set(type, flag);
    if (!this.#cluster.exchanging) this.#send(type, flag);
  }

  /** One of this node was delivered and counts. */
  requestDelivered(type: MessageType): void {
    this.#requests.delete(type);
    if (type === MessageType.ready && this.phase === 'announcing') {
      this.phase = 'following';
      this.#wrote = false;
    }
    if (type === MessageType.leave) this.phase = 'outside';
  }

  get #readyFlag(): number {
    const resumes = this.#resumes;
    // What is not known ends with the resume that follows a suspend; a first resume is the one that began it (R3).
    const { marksUnknown, everResumed } = this.#state;
    const known = !marksUnknown || (resumes && everResumed);
    return (resumes ? 2 : 0) + (known ? 1 : 0);
  }

  /** A RESUME waits for the ready message. */
  get #resumes(): boolean {
    return this.resuming();
  }

  /** Set by the log: whether the kernel waits for RESUME. */
  resuming: () => boolean = () => false;

  #send(type: MessageType, flag: number): void {
    const { sender } = this.#world;
    if (type === MessageType.ready) {
      sender.numbers(type, this.#uuid, 0, flag, [this.table?.lineage ?? 0]);
      return;
    }
    if (type === MessageType.join) {
      const { regionCount, regionSizeSectors } = this.#state.geometry;
      const disk = this.#state.image === null ? 0 : 1;
      sender.numbers(type, this.#uuid, 0, flag, [regionCount, regionSizeSectors, disk]);
    } else {
      sender.numbers(type, this.#uuid, 0, flag, []);
    }
  }

  // What the group says.

  groupLost(): void {
    if (this.phase === 'outside') return;
    const followed = this.following;
    this.#hold();
    if (!followed) this.#giveBack();
  }

  exchangeBegun(): void {
    if (this.phase === 'copying' || (this.phase === 'announcing' && this.#me?.valid !== true)) this.#hold();
  }

  exchangeEnded(): void {
    for (const [type, flag] of this.#requests) this.#send(type, flag);
    const joining = this.phase === 'waiting' && this.#me === undefined;
    if (joining && !this.#requests.has(MessageType.join))
      this.request(MessageType.join, this.#state.marksUnknown ? 2 : 0);
  }

  /** The member table has changed, or who may do what: finds out what follows from it. */
  tableChanged(): void {
    const { table } = this;
    if (table === undefined || this.phase === 'outside') return;
    // While daemons say what they know, only those who follow know anything.
    if (this.#cluster.exchanging && !this.following) return;
    this.#store(table);
    this.#hooks.changed();
    const me = memberOf(table, this.#world.node);
    if (me === undefined) {
      if (this.following) this.#hold();
      return;
    }
    if (this.phase === 'following' && !me.valid) this.#hold();
    if (this.phase === 'announcing' && table.lineage !== this.#lineage) this.#begunAnew(table, me);
    if (this.phase === 'waiting') this.#start(table, me);
    else if (this.phase === 'loading') this.#keepLoading(table);
    else if (this.phase === 'copying') this.#keepCopying(table, me);
    if (this.phase === 'following') this.#chosen(table, me);
    this.#writerChanged(table);
    this.#settledChanged(table);
  }

  /** A copy that has followed all the time may be chosen among those that nobody follows with: as others, it says so anew. */
  #chosen(table: MemberTable, me: Member): void {
    const anew = table.lineage !== this.#lineage;
    this.#lineage = table.lineage;
    if (anew && table.doubt) this.#hooks.doubt(false);
    const flag = this.#readyFlag;
    if (!me.settled && (flag & 1) === 1 && !this.#requests.has(MessageType.ready))
      this.request(MessageType.ready, flag);
  }

  #start(table: MemberTable, me: Member): void {
    if (me.valid) {
      if (table.doubt || this.rank === 0) this.#hooks.doubt(this.rank === 0);
      this.#follow();
      const known = [...this.#boots].filter(([node, boot]) => memberOf(table, node)?.boot !== boot);
      this.#hooks.adopt(
        known.map(([node]) => node),
        !this.#ownersKnown,
      );
      this.#ownersKnown = true;
      return;
    }
    if (anyValid(table)) {
      if (providerOf(table, this.#world.node) >= 0) this.#ask(0);
      return;
    }
    const first = table.writer === this.#world.node && me.stage === 'joining';
    if (!first || !this.#cluster.operational) return;
    this.phase = 'loading';
    this.#servedEpoch = table.epoch;
    this.#hooks.load();
  }

  #keepLoading(table: MemberTable): void {
    if (table.writer === this.#world.node && !anyValid(table)) return;
    this.phase = 'waiting';
    this.#hooks.abandonLoad();
    this.tableChanged();
  }

  #keepCopying(table: MemberTable, me: Member): void {
    const provider = memberOf(table, this.#asked?.provider ?? -1);
    if (provider?.present && provider.valid && table.lineage === this.#lineage) return;
    if (providerOf(table, this.#world.node) >= 0) {
      this.#ask(table.lineage === this.#lineage ? this.#covered : 0);
    } else {
      this.#hold();
      this.#start(table, me);
    }
  }

  /** Of those whose copy this is nobody is there any more. It counts if the members say so, and otherwise others may begin anew. */
  #begunAnew(table: MemberTable, me: Member): void {
    if (!me.valid) {
      this.#hold();
      return;
    }
    this.#lineage = table.lineage;
    const flag = this.#requests.get(MessageType.ready);
    if (flag !== undefined) this.request(MessageType.ready, flag);
  }

  #writerChanged(table: MemberTable): void {
    if (!this.following) return;
    if (table.writer !== this.#world.node) {
      this.#servedEpoch = -1;
      this.#hooks.retire(() => {});
    } else if (this.#servedEpoch !== table.epoch && this.operational && !this.#requests.has(MessageType.leave)) {
      this.#servedEpoch = table.epoch;
      this.#hooks.serve();
    } else if (this.writes && !this.#wrote) {
      this.#hooks.counts();
    }
    this.#wrote = this.writes;
  }

  #settledChanged(table: MemberTable): void {
    const settled = this.phase === 'following' && this.operational && this.mayClean && table.members.length > 0;
    if (settled && !this.#wasSettled) this.#hooks.settled();
    this.#wasSettled = settled;
  }

  get #me(): Member | undefined {
    return memberOf(this.table, this.#world.node);
  }

  #store(table: MemberTable): void {
    if (this.following && this.#me?.valid) {
      this.rank = table.generation;
      this.#rememberBoots(table.members);
    }
    const bytes = encodeMembers(table, this.rank, this.hint);
    if (bytes.length <= memberTableBytesMax) this.#state.members = bytes;
  }

  #rememberBoots(members: readonly Member[]): void {
    this.#boots = new Map(members.map(({ node, boot }) => [node, boot]));
  }

  /** The copy does not follow any more, and somebody else's will have to be taken. */
  #hold(): void {
    const followed = this.following;
    this.phase = 'waiting';
    this.#covered = 0;
    this.#asked = null;
    this.#kept = null;
    this.#wasSettled = false;
    this.#requests.delete(MessageType.ready);
    if (!followed) return;
    this.#hooks.hush();
    this.#giveBack();
  }

  /** Who does not follow does not write. It keeps the role until what it has begun is over: nobody else may write before that (R8). */
  #giveBack(): void {
    const epoch = this.#servedEpoch;
    this.#servedEpoch = -1;
    this.#hooks.retire(() => {
      const { table } = this;
      if (table?.writer === this.#world.node && table.epoch === epoch) this.request(MessageType.retired, epoch);
    });
  }

  #follow(): void {
    this.phase = 'announcing';
    this.#lineage = this.table?.lineage ?? 0;
    this.#covered = this.#state.map.regionCount;
    this.#asked = null;
    this.#hooks.follow();
  }

  // Copies.

  #ask(from: number): void {
    const { table } = this;
    if (table === undefined) return;
    this.phase = 'copying';
    this.#covered = from;
    this.#kept = null;
    this.#questions += 1;
    this.#asked = { id: this.#questions, provider: providerOf(table, this.#world.node) };
    if (from === 0) this.#spoil(table);
    this.#ownersKnown = true;
    this.#lineage = table.lineage;
    this.#world.sender.numbers(MessageType.want, this.#uuid, this.#questions, 0, [from]);
  }

  /** The old copy is about to be overwritten: no daemon may take it for one. */
  #spoil(table: MemberTable): void {
    if (this.rank === 0) return;
    this.rank = 0;
    this.#store(table);
  }

  /** True when the message is to be applied as it is. */
  takes(order: number, message: LogMessage, nowMs: number): boolean {
    if (!this.shared) return true;
    if (message.type === MessageType.want) {
      this.#wantDelivered(message);
      return false;
    }
    if (message.type === MessageType.chunk) {
      this.#chunkDelivered(message);
      return false;
    }
    if (memberOf(this.table, message.node) === undefined) return false;
    if (this.following) {
      this.#count();
      return true;
    }
    if (this.phase === 'copying') {
      if (this.#kept !== null) {
        const kept = copyOf(message);
        const { mayClean, mayHandOut } = this;
        this.#kept.push(() => {
          this.#then = { mayClean, mayHandOut };
          this.#applyKept(order, kept, nowMs);
          this.#then = null;
        });
      } else {
        this.#hooks.applyBits(message, this.#covered);
      }
    }
    return false;
  }

  /** A member is gone, at its place in the stream. */
  gone(member: Member, died: boolean): void {
    this.#apply(() => this.#hooks.applyGone(member, died, this.#limit));
  }

  /** All regions are out of sync, at this place in the stream. */
  resync(): void {
    this.#apply(() => this.#hooks.everythingOutOfSync(this.#limit));
  }

  /** Changes what comes with the head of a copy, at this place in the stream. */
  head(change: () => void): void {
    this.#apply(() => {
      if (this.following) change();
    });
  }

  /** Regions below this follow the stream. */
  get #limit(): number {
    return this.following ? Number.POSITIVE_INFINITY : this.#covered;
  }

  #apply(apply: () => void): void {
    if (this.#kept !== null) this.#kept.push(apply);
    else if (this.following || this.phase === 'copying') apply();
  }

  #count(): void {
    if (!this.sole) this.#state.position += 1;
  }

  #applyKept(order: number, message: LogMessage, nowMs: number): void {
    if (!this.following) {
      this.#hooks.applyBits(message, this.#covered);
      return;
    }
    this.#count();
    this.#hooks.apply(order, message, nowMs);
  }

  #wantDelivered({ node, seq, regions }: LogMessage): void {
    if (node === this.#world.node) {
      if (this.phase === 'copying' && this.#asked?.id === seq) this.#kept = [];
      return;
    }
    const { table } = this;
    const valid = this.following && table !== undefined && providerOf(table, node) === this.#world.node;
    const from = regions[0] as number;
    if (!valid || from >= this.#state.map.regionCount) return;
    const bytes = encodeChunk(this.#state, from, () => this.#hooks.head());
    this.#world.sender.bytes(MessageType.chunk, this.#uuid, seq, node, [], bytes);
  }

  #chunkDelivered({ flag, seq, bytes, byteCount }: LogMessage): void {
    const kept = this.#kept;
    if (flag !== this.#world.node || this.#asked?.id !== seq || this.phase !== 'copying' || kept === null) return;
    const chunk = decodeChunk(bytes.subarray(0, byteCount), this.#state.map.regionCount);
    if (chunk === null || chunk.from !== this.#covered || !this.#import(chunk)) {
      report(this.#world, 'error', 'copy-failed', this.#uuid, 'a copy of the log cannot be taken');
      this.#failures += 1;
      // What fails again and again will not be mended by asking: the next change of the members tries once more.
      if (this.#failures < copiesFailedMax) this.#ask(0);
      else this.#hold();
      return;
    }
    this.#kept = null;
    this.#failures = 0;
    this.#covered = chunk.to;
    if (chunk.head === null) {
      for (const apply of kept) apply();
      this.#ask(this.#covered);
      return;
    }
    this.#hooks.takeHead(chunk.head);
    this.#state.position = chunk.head.position;
    this.#follow();
    for (const apply of kept) apply();
    const { table } = this;
    if (table !== undefined) this.#writerChanged(table);
  }

  /** False: no room. */
  #import({ from, owners, clean, sync }: Chunk): boolean {
    const { map } = this.#state;
    if (from === 0) this.#state.owners.clear();
    // Never clean and out of sync: what is not in sync is not clean either, so the sync bits first.
    if (!map.importBits(1, from / 8, sync) || !map.importBits(0, from / 8, clean)) return false;
    const one = new Float64Array(1);
    for (let i = 0; i < owners.length; i += 2) {
      one[0] = owners[i] as number;
      if (!this.#state.owners.add(owners[i + 1] as number, one, 1)) return false;
    }
    return true;
  }
}

function copyOf(message: LogMessage): LogMessage {
  const { count, byteCount } = message;
  return {
    ...message,
    regions: message.regions.slice(0, count),
    bytes: Uint8Array.from(message.bytes.subarray(0, byteCount)),
  };
}
