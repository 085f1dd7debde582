/**
 * Who is in the group: the one event that all cores get at the same place of the ordered stream.
 *
 * A member is in a view from the delivery of its own introduction on, which every transport sends first; so name and boot
 * id of a member are always known. A view says nothing of life and death: that a node left it is no proof that its kernel does not
 * write (R7).
 */

export interface GroupMember {
  /** Number of the node, unique in the cluster and the same over restarts. */
  readonly node: number;
  /** Name of the host, for people, fencing commands and session records. */
  readonly name: string;
  readonly bootId: string;
  /** Tells two daemons of one boot apart. */
  readonly incarnation: string;
}

/**
 * Why a member is not in the view any more: `leave` it said so; `process-down` its daemon ended or lost its cluster service, its
 * host is there; `node-down` its host is not heard any more; `unknown` this node was away itself.
 */
export type DepartureReason = 'leave' | 'process-down' | 'node-down' | 'unknown';

export interface Departure {
  readonly member: GroupMember;
  readonly reason: DepartureReason;
}

export interface GroupView {
  /** Grows with every view of this member; other members count for themselves. */
  readonly epoch: number;
  /** In which those who are in it have come together: the same for all of them, and another each time that somebody comes. */
  readonly meeting: string;
  /** In rising order of their nodes. Empty: this node is in no group (its cluster service is gone). */
  readonly members: readonly GroupMember[];
  /** Who came with this view: a daemon that was started again has left in the same or an earlier one. */
  readonly joined: readonly GroupMember[];
  readonly left: readonly Departure[];
}
