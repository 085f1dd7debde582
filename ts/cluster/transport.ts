/**
 * Ordered group transport: the seam between one host and a cluster. `local.ts` is a group of one.
 *
 * What every implementation gives:
 *
 * - messages come back to all members, sender included, in one order; a view comes in that order too, so what one member
 *   had delivered before a view every other one that goes along has as well;
 * - a member's first message is delivered behind the view in which it joined, and none after the one in which it left; what
 *   was submitted before this member had its first view is sent behind it;
 * - `acknowledged` rises when every member of the current view but its sender has had the message delivered (R1: delivery to oneself is
 *   never enough, and a group of one has only itself to wait for). Who joined after a message need not acknowledge it; who leaves
 *   is waited for until the view without it is delivered;
 * - when its cluster service goes away a member gets a view without members; what it had submitted and not yet seen is
 *   lost, and nothing is delivered until the next view, which begins anew.
 */
import type { GroupView } from '../base/group-view.js';
import type { LogMessage } from '../mirror/messages.js';

export interface TransportEvents {
  /** `order` is the message's place among those that this member has had, from 1. The message is valid during the call only. */
  delivered(order: number, message: LogMessage): void;
  /** All members have everything up to and including `order`. */
  acknowledged(order: number): void;
  viewChanged(view: GroupView): void;
  /**
   * Whether this node's partition has quorum (R13). Before the first call: no. A loss is told in no order with messages and views; that there is
   * quorum only when the view is of all who make it up.
   */
  quorumChanged(quorate: boolean): void;
}

export interface OrderedTransport {
  readonly node: number;
  readonly kind: 'local' | 'corosync' | 'simulated';
  /** Copies the message into the batch that the next `flush` sends. */
  submit(message: LogMessage): void;
  /** Sends the batch, or as much of it as the group takes now. The local transport delivers inside this call. */
  flush(): void;
  /** Leaves the group. Nothing is delivered any more. */
  close(): void;
}
