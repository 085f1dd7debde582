/**
 * Ordered group transport: the seam between one host and a cluster. `local.ts` is a group of one.
 *
 * What every implementation gives: messages come back to all members, sender included, in one order; a view
 * (who is a member) comes in that order too; `acknowledged` rises when every member of the current view has had
 * the message delivered (R1: delivery to oneself is never enough, and a group of one has only itself to wait for).
 */
import type { LogMessage } from '../mirror/messages.js';

export interface TransportView {
  /** Grows with every change; a commit of an older epoch does not count (R1). */
  readonly epoch: number;
  readonly members: readonly number[];
}

export interface TransportEvents {
  /** `order` is the message's place in the one order, from 1. The message is valid during the call only. */
  delivered(order: number, message: LogMessage): void;
  /** All members have everything up to and including `order`. */
  acknowledged(order: number): void;
  viewChanged(view: TransportView): void;
}

export interface OrderedTransport {
  readonly node: number;
  readonly kind: 'local';
  /** Copies the message into the batch that the next `flush` sends. */
  submit(message: LogMessage): void;
  /** Sends the batch. The local transport delivers inside this call. */
  flush(): void;
  close(): void;
}
