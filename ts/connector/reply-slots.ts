/**
 * Where replies go: encoded in place into the channel's outgoing slots and sent together at the end of a turn.
 *
 * It is the half of the mirror core's effect sink that speaks to the kernel. A full set of slots is sent at once and
 * filled again, so no number of replies needs memory. What the socket drops is counted and not tried again: the
 * kernel repeats a request that nobody answered (15 s), and every request may come twice.
 *
 * A request that an earlier daemon took with it is answered "try again" (`askAgain`), which is no reply of ours.
 *
 * CLEAR_REGION is answered in the connector's ack form, as cmirrord does; everything else in full form.
 */
import { Errno } from '../base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  encodeAck,
  encodePairReply,
  encodeReply,
  encodeTextReply,
  encodeValueReply,
} from '../base/ulog-frames.js';
import type { MirrorEffects } from '../mirror/effects.js';
import { type FrameChannel, slotCount, slotOffset } from '../native/frame-channel.js';

export type ReplySink = Pick<MirrorEffects, 'reply' | 'replyValue' | 'replyPair' | 'replyText'>;

export class ReplySlots implements ReplySink {
  readonly #channel: FrameChannel;
  readonly #slots: Buffer;
  readonly #lengths: Int32Array;
  /** Slots [0, filled) hold replies that wait for `send`. */
  #filled = 0;
  /** Replies without an error, with one, and those that the socket did not take. */
  succeeded = 0;
  failed = 0;
  dropped = 0;
  /** Sequence numbers that were answered "try again". */
  askedAgain = 0;

  constructor(channel: FrameChannel) {
    this.#channel = channel;
    this.#slots = channel.outSlots;
    this.#lengths = channel.outLengths;
  }

  reply(seq: number, type: number, error: number): void {
    const slot = this.#nextReply(error);
    this.#lengths[slot] =
      type === DM_ULOG_CLEAR_REGION
        ? encodeAck(this.#slots, slotOffset(slot), seq, error)
        : encodeReply(this.#slots, slotOffset(slot), seq, type, error);
  }

  replyValue(seq: number, type: number, value: number): void {
    const slot = this.#nextReply(0);
    this.#lengths[slot] = encodeValueReply(this.#slots, slotOffset(slot), seq, type, value);
  }

  replyPair(seq: number, type: number, first: number, second: number): void {
    const slot = this.#nextReply(0);
    this.#lengths[slot] = encodePairReply(this.#slots, slotOffset(slot), seq, type, first, second);
  }

  replyText(seq: number, type: number, text: string): void {
    const slot = this.#nextReply(0);
    this.#lengths[slot] = encodeTextReply(this.#slots, slotOffset(slot), seq, type, text);
  }

  /** In ack form: the only one that leaves the caller's room for data as it was. */
  askAgain(seq: number): void {
    this.askedAgain += 1;
    const slot = this.#nextSlot();
    this.#lengths[slot] = encodeAck(this.#slots, slotOffset(slot), seq, -Errno.EAGAIN);
  }

  /** Sends what the turn has collected; at once nothing when there is nothing. */
  send(): void {
    const count = this.#filled;
    if (count === 0) return;
    this.#filled = 0;
    this.dropped += this.#channel.send(count);
  }

  #nextReply(error: number): number {
    if (error === 0) this.succeeded += 1;
    else this.failed += 1;
    return this.#nextSlot();
  }

  #nextSlot(): number {
    if (this.#filled === slotCount) this.send();
    const slot = this.#filled;
    this.#filled += 1;
    return slot;
  }
}
