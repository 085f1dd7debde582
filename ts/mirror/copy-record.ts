/**
 * What is stored beside the bits of this node's copy of a log (R2), so that a daemon that starts again can say what its copy is worth:
 * the member table, the generation of it in which the copy was last right, the in-sync hint that the kernel goes by, and the regions that
 * it has found out of sync.
 */
import { memberTableBytesMax } from '../base/limits.js';
import type { LogState } from './log-state.js';
import { type CopyFacts, encodeMembers } from './member-record.js';
import { isMet, type Member, type MemberTable, memberOf, sameShape } from './member-table.js';
import type { ReplicaRights } from './replica-rights.js';
import type { World } from './world.js';

/** A node that was a member, in this boot. */
export interface PastMember {
  readonly node: number;
  readonly boot: string;
}

export class CopyRecord implements CopyFacts {
  /** Generation of the member table in which the copy was last right; 0: never, or it is being overwritten. */
  rank = 0;
  /** The highest in-sync hint that the kernel was told since its resume. */
  hint = 0;
  /**
   * R10: to these this kernel writes without marks, until it has recovered them or has another table. All members know that; when the
   * daemons of all have ended nobody does.
   */
  readonly found = new Set<number>();
  moreFound = false;
  /**
   * The kernel may have given up a question, or what it had found: RESUME behind a repeated constructor came when no daemon ran. It takes a
   * region for out of sync then of which nobody knows that, and no suspend ends that (R10). `maybe`: that RESUME may come yet, sent again.
   */
  gaveUp: 'no' | 'maybe' | 'yes';
  /** What members held is in memory. */
  ownersKnown = true;
  /** Members of the generation of `rank` are none any more in the table that is stored, and the copy knows nothing of their end. */
  membersGone = false;
  readonly #state: LogState;
  readonly #rights: ReplicaRights;
  readonly #world: World;
  /** More regions than this are remembered as "more". */
  readonly #foundMax: number;
  /** The members of that generation, by node. */
  #members: ReadonlyMap<number, Pick<Member, 'boot' | 'stage'>> = new Map();
  /** The record says who has the log, as the group knows it by now. */
  hasTable = false;
  /** Those of them that were away and may have gone on alone. */
  #awaited: ReadonlySet<number> = new Set();

  constructor(state: LogState, rights: ReplicaRights, world: World) {
    this.#state = state;
    this.#rights = rights;
    this.#world = world;
    this.#foundMax = world.settings.foundMax;
    this.gaveUp = state.restored && state.reconnecting && state.marksUnknown && state.everResumed ? 'maybe' : 'no';
  }

  /** What an earlier daemon stored. */
  restored(stored: CopyFacts & { members: readonly Member[] }): void {
    this.rank = stored.rank;
    this.hint = stored.hint;
    this.suspended(stored);
    this.membersGone = stored.membersGone;
    this.#rememberMembers(stored.members);
    this.ownersKnown = false;
    this.hasTable = true;
  }

  /** Of a log that an earlier daemon has seen suspended: what its kernel has found outlives that, and a resume of the same table. */
  suspended({ found, moreFound }: Pick<CopyFacts, 'found' | 'moreFound'>): void {
    for (const region of found) this.found.add(region);
    this.moreFound = moreFound;
  }

  /** `right`: the copy is what the valid members have. */
  store(table: MemberTable, right: boolean): void {
    if (right) {
      this.rank = table.generation;
      this.#rememberMembers(table.members);
      this.membersGone = false;
    } else if (this.gone(table).length > 0) {
      this.membersGone = true;
    }
    this.keep(table);
  }

  /** A table of another shape is that of members who refuse this log: in its record, whose shape it has, it would pass for one of it. */
  keep(table: MemberTable): void {
    const { geometry, image } = this.#state;
    this.hasTable = sameShape(table, { ...geometry, disk: image !== null });
    if (!this.hasTable) return;
    const bytes = encodeMembers(this.#awaitingMet(table), this);
    if (bytes.length <= memberTableBytesMax) this.#state.members = bytes;
  }

  /**
   * Who was away and is in the group again may go on by what they tell each other now, of which this daemon may not live to hear: the next
   * one waits for it.
   */
  #awaitingMet(table: MemberTable): MemberTable {
    const here = this.#world.cluster?.members ?? [];
    const met = (member: Member) => isMet(member, here);
    if (!table.members.some(met)) return table;
    return { ...table, members: table.members.map((one) => (met(one) ? { ...one, needed: true } : one)) };
  }

  /** This kernel has found the region out of sync, and is about to hear that it is known. */
  foundOut(region: number): void {
    if (this.found.has(region)) return;
    if (this.found.size < this.#foundMax) this.found.add(region);
    else if (this.moreFound) return;
    else this.moreFound = true;
    this.#storeFound();
  }

  /** The same, and members are to hear it with all that the record names. */
  foundUnsaid(region: number): void {
    this.foundOut(region);
    if (!this.found.has(region)) this.gaveUp = 'yes';
  }

  /** The RESUME that may have come when no daemon ran was heard. */
  nothingGivenUp(): void {
    if (this.gaveUp !== 'maybe') return;
    this.gaveUp = 'no';
    this.#state.reconnecting = false;
  }

  /** Which regions this kernel has found was lost with its record. */
  foundUnknown(): void {
    if (this.moreFound) return;
    this.moreFound = true;
    this.#storeFound();
  }

  /** The region is in sync; `all`: every one is. */
  inSync(region: number, all: boolean): void {
    const before = this.found.delete(region) || (all && this.moreFound);
    if (all) this.moreFound = false;
    if (before) this.#storeFound();
  }

  #storeFound(): void {
    const { table } = this.#rights;
    if (table !== undefined) this.store(table, false);
  }

  /** The old copy is about to be overwritten: no daemon may take it for one. */
  spoil(table: MemberTable): void {
    if (this.rank === 0) return;
    this.rank = 0;
    this.store(table, false);
  }

  /**
   * The kernel is about to hear this in-sync hint. Of regions below it, it does not ask any more whether another node recovers
   * them; so none of them may ever be out of sync for it before its next resume (R12), also when a death makes it so.
   */
  tellHint(hint: number, right: boolean): void {
    const { shared, table } = this.#rights;
    if (!shared || hint <= this.hint) return;
    this.hint = hint;
    if (table !== undefined) this.store(table, right);
  }

  /** The kernel begins with a hint of 0. Stored before the log is in use again: the next daemon would go by the last one. */
  resumed(): void {
    if (this.hint === 0) return;
    this.hint = 0;
    const { table } = this.#rights;
    if (table !== undefined) this.keep(table);
  }

  /**
   * Other nodes that were members when the copy was last right, and are none any more or not in the same boot, or have left and are
   * about to come again. Not one that was about to come by then and still is.
   */
  gone(table: MemberTable): PastMember[] {
    const found: PastMember[] = [];
    for (const [node, { boot, stage }] of this.#members) {
      const member = memberOf(table, node);
      // One that joins and is not settled has lost its record (R3): its kernel has had the log all the time.
      const joins = member?.stage === 'joining' && member.settled;
      const stays = member?.boot === boot && (!joins || stage === 'joining');
      if (node !== this.#world.node && !stays) found.push({ node, boot });
    }
    return found;
  }

  /** One of them may have gone on alone before: who followed when that was heard did not live to see to it. */
  lacks(table: MemberTable): boolean {
    return this.gone(table).some(({ node }) => this.#awaited.has(node));
  }

  /** Somebody is gone, and what he held was in the memory of a daemon that has ended. */
  hasLost(table: MemberTable): boolean {
    return !this.ownersKnown && (this.membersGone || this.gone(table).length > 0);
  }

  #rememberMembers(members: readonly Member[]): void {
    this.#members = new Map(members.map(({ node, boot, stage }) => [node, { boot, stage }]));
    this.#awaited = new Set(members.filter(({ needed }) => needed).map(({ node }) => node));
  }
}
