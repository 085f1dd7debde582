/**
 * One ring of the simulated cluster service: the nodes that hear each other, and what is said among them in one order.
 *
 * An item gets its place when it is appended, and reaches each member's inbox at a time of its own; the sender has its
 * own at once. While a ring is not formed (its token is lost, or it is being made) nothing gets a place.
 */
import type { LogMessage } from '../../mirror/messages.js';
import type { Membership } from './membership.js';

export type RingItem =
  | { readonly kind: 'message'; readonly from: Membership; readonly message: LogMessage }
  /** What every member says when somebody came: only when all have said it for this ring there is a view (see membership.ts). */
  | { readonly kind: 'hello'; readonly from: Membership; readonly change: number }
  | { readonly kind: 'gone'; readonly from: Membership; readonly reason: 'leave' | 'process-down' }
  /** The ring was formed, or a member came: who is there from here on. */
  | {
      readonly kind: 'members';
      readonly members: readonly Membership[];
      readonly change: number;
      readonly by: Membership | null;
      readonly ring: Ring;
      /** Who has been with whom without a break when the ring was formed; null: all who were there before. */
      readonly companions: ReadonlyMap<Membership, ReadonlySet<Membership>> | null;
    };

export interface Entry {
  /** Rises with every item of the whole cluster, so it orders the items of a ring. */
  readonly serial: number;
  readonly item: RingItem;
  /** When the cluster service of the member's node has it; infinite until a new ring has recovered it. */
  receivedAtMs: number;
}

export class Ring {
  readonly nodes: ReadonlySet<number>;
  readonly members = new Set<Membership>();
  /** False while the token goes round to find out who is there. */
  formed = false;
  /**
   * Who had the token when the ring before broke: until then what it says has a place in that one's order, and is its own at once. Those
   * who stay with it get that when this ring is formed, the others never.
   */
  holder: Membership | null = null;
  heldUntilMs = 0;

  constructor(nodes: Iterable<number>) {
    this.nodes = new Set(nodes);
  }
}
