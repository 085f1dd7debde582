/**
 * What is stored beside the bits of this node's copy of a log (R2), so that a daemon that starts again can say what its copy is worth:
 * the member table, the generation of it in which the copy was last right, and the in-sync hint that the kernel goes by.
 */
import { memberTableBytesMax } from '../base/limits.js';
import type { LogState } from './log-state.js';
import { encodeMembers } from './member-record.js';
import { type Member, type MemberTable, memberOf } from './member-table.js';
import type { ReplicaRights } from './replica-rights.js';

export class CopyRecord {
  /** Generation of the member table in which the copy was last right; 0: never, or it is being overwritten. */
  rank = 0;
  /** The highest in-sync hint that the kernel was told since its resume. */
  hint = 0;
  /** What members held is in memory. */
  ownersKnown = true;
  readonly #state: LogState;
  readonly #rights: ReplicaRights;
  /** The members of that generation, node -> boot. */
  #boots: ReadonlyMap<number, string> = new Map();

  constructor(state: LogState, rights: ReplicaRights) {
    this.#state = state;
    this.#rights = rights;
  }

  /** What an earlier daemon stored. */
  restored(stored: { rank: number; hint: number; members: readonly Member[] }): void {
    this.rank = stored.rank;
    this.hint = stored.hint;
    this.#rememberBoots(stored.members);
    this.ownersKnown = false;
  }

  /** `right`: the copy is what the valid members have. */
  store(table: MemberTable, right: boolean): void {
    if (right) {
      this.rank = table.generation;
      this.#rememberBoots(table.members);
    }
    const bytes = encodeMembers(table, this.rank, this.hint);
    if (bytes.length <= memberTableBytesMax) this.#state.members = bytes;
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

  /**
   * Nodes that were members when the copy was last right, and are none any more or not in the same boot, or have left and are about to
   * come again.
   */
  gone(table: MemberTable): number[] {
    const stays = (node: number, boot: string) => {
      const member = memberOf(table, node);
      return member?.boot === boot && member.stage !== 'joining';
    };
    return [...this.#boots].filter(([node, boot]) => !stays(node, boot)).map(([node]) => node);
  }

  #rememberBoots(members: readonly Member[]): void {
    this.#boots = new Map(members.map(({ node, boot }) => [node, boot]));
  }
}
