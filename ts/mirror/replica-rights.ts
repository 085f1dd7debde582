/**
 * What a node may do with a log as one of its members: promise marks, clean, hand out (R4, R10, R13). Without a cluster it may do
 * everything.
 *
 * Two kinds. What this node says to its own kernel goes by its own knowledge too, and may be held back at any time
 * (`operational`, `mayPromise`). What all replicas do alike goes by what all members know at a place of the order (`mayClean`,
 * `mayHandOut`); a message that waited for a copy is applied by what they went by at its own place (`as`).
 */
import { allSettled, anyHalted, type MemberTable, memberOf, providerOf } from './member-table.js';
import type { World } from './world.js';

/** What replicas do alike, by what all members know at a place of the order. */
export interface Allowed {
  readonly mayClean: boolean;
  readonly mayHandOut: boolean;
  readonly writer: Writer;
  /** Members of the log. */
  readonly members: number;
}

/** Whose word about the log device counts (R1, R8). */
export interface Writer {
  /** -1: nobody's. */
  readonly node: number;
  readonly epoch: number;
  /** Its copy follows the stream. */
  readonly valid: boolean;
}

export class ReplicaRights {
  readonly #world: World;
  readonly #uuid: string;
  readonly #follows: () => boolean;
  /** What all members went by at the place of the message that is being applied, when that is not now. */
  #then: Allowed | null = null;

  /** `follows`: the copy is what all members have. */
  constructor(world: World, uuid: string, follows: () => boolean) {
    this.#world = world;
    this.#uuid = uuid;
    this.#follows = follows;
  }

  get shared(): boolean {
    return this.#world.cluster !== null;
  }

  get table(): MemberTable | undefined {
    return this.#world.cluster?.tables.get(this.#uuid);
  }

  /** New marks may be promised; what this node writes and hands out is right (R13). */
  get operational(): boolean {
    const { cluster } = this.#world;
    return cluster === null || (cluster.operational && this.#follows());
  }

  /** It follows, and has not heard yet whether it has quorum where it is now. A kernel that hears "none" meanwhile may not ask again. */
  get quorumUnsaid(): boolean {
    return this.#world.cluster?.quorumUnsaid === true && this.#follows();
  }

  /** This node was told that it has no quorum (R13). */
  get inquorate(): boolean {
    return this.#world.cluster?.inquorate === true;
  }

  /**
   * New marks may be promised. Not without the writer of a disk log, also when the device has them: where he is, with quorum of his
   * own as one of two may have, he may clean what nobody there holds.
   */
  get mayPromise(): boolean {
    return this.operational && this.#writerThere;
  }

  /**
   * A kernel that asks for work is told of none: there is no quorum, or no writer, and nobody knows for how long. It has one thread for a
   * mirror, and while its question waits it neither reads nor writes where it may.
   */
  get refusesWork(): boolean {
    return this.inquorate || (this.operational && !this.#writerThere);
  }

  /** Replicated: the log has no writer that is away. */
  get #writerThere(): boolean {
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

  /** Replicated: a region may be handed out for recovery (R4, R10). Not without the writer: where he is they write, and recover, too. */
  get mayHandOut(): boolean {
    if (this.#then !== null) return this.#then.mayHandOut;
    return this.mayClean && this.#writerThere && (this.table === undefined || !anyHalted(this.table));
  }

  /** Replicated. */
  get writer(): Writer {
    if (this.#then !== null) return this.#then.writer;
    const { writer: node = -1, epoch = 0 } = this.table ?? {};
    return { node, epoch, valid: memberOf(this.table, node)?.valid === true };
  }

  /** Replicated: how many have the log. */
  get members(): number {
    return this.#then?.members ?? this.table?.members.length ?? 0;
  }

  /** What replicas do alike now, for a message that is applied later. */
  get allowed(): Allowed {
    const { mayClean, mayHandOut, writer, members } = this;
    return { mayClean, mayHandOut, writer, members };
  }

  /** Applies a message by what all members went by at its place. */
  as(then: Allowed, apply: () => void): void {
    this.#then = then;
    apply();
    this.#then = null;
  }

  /** All members know that not everything this kernel holds is among the owners. */
  get unsettled(): boolean {
    return this.shared && memberOf(this.table, this.#world.node)?.settled === false;
  }

  /** The same of another node's kernel (R3). */
  get othersUnsettled(): boolean {
    const { members } = this.table ?? { members: [] };
    return members.some(({ node, settled }) => !settled && node !== this.#world.node);
  }

  /** The lowest member that follows: it does what one has to do for all. */
  get leads(): boolean {
    return this.table === undefined || providerOf(this.table, -1) === this.#world.node;
  }

  /** It does it where that member cannot: the next one that follows, round and round. */
  isNextTo(node: number): boolean {
    const others = (this.table?.members ?? []).filter((one) => one.present && one.valid && one.node !== node);
    return (others.find((one) => one.node > node) ?? others[0])?.node === this.#world.node;
  }

  /** What a write and its confirmation carry (R1). */
  get epoch(): number {
    return this.shared ? (this.table?.epoch ?? 0) : this.#world.epoch;
  }
}
