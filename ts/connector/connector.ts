/**
 * Takes the kernel's requests in and hands each, decoded in place, to the mirror core.
 *
 * It knows frames and not what they ask. Requests are read until the socket is empty before anything that costs IO
 * is begun: a connector socket whose queue overran stays shut to every log of the host until it is empty.
 *
 * A frame that cannot be right but whose header can be read is answered with -EINVAL, since a kernel that hears nothing
 * asks again for ever. Frames that nobody could answer are dropped and counted by the channel.
 *
 * Before the first request it asks the kernel to repeat what died with an earlier daemon (ts/mirror/lost-requests.ts), and
 * before the requests of a drain are handled it notes the last of them for the next daemon.
 *
 * No request allocates: one `RequestView` is bound to one frame after the other.
 */
import { Errno } from '../base/errno.js';
import { FrameOffset, RequestView, requestNames } from '../base/ulog-frames.js';
import type { LostRequests } from '../mirror/lost-requests.js';
import type { MirrorService } from '../mirror/mirror-service.js';
import { type FrameChannel, slotCount, slotOffset } from '../native/frame-channel.js';
import type { ReplySink } from './reply-slots.js';

/** Sees each request before the core. True: it was answered, or will be, and the core does not hear of it. */
export type RequestFilter = (request: RequestView) => boolean;

/**
 * Drains of one turn at most: 16 384 requests. The kernel keeps few in flight; a client that writes without waiting must
 * not keep the turn, and with it every commit, from its end. What is left makes the socket readable again.
 */
const drainsMax = 64;

export class Connector {
  readonly #channel: FrameChannel;
  /** The channel's own, held here: reading a property of a native object costs a fifth of a microsecond. */
  readonly #slots: Buffer;
  readonly #lengths: Int32Array;
  readonly #replies: ReplySink;
  readonly #service: MirrorService;
  readonly #filter: RequestFilter;
  readonly #lost: LostRequests;
  readonly #request = new RequestView();
  /** Requests by type; index 0 holds the unknown types. */
  readonly requestCounts = new Float64Array(requestNames.length);
  /** Frames that were answered with -EINVAL without asking the core. */
  malformed = 0;

  constructor(
    channel: FrameChannel,
    replies: ReplySink,
    service: MirrorService,
    lost: LostRequests,
    filter: RequestFilter,
  ) {
    this.#channel = channel;
    this.#slots = channel.slots;
    this.#lengths = channel.lengths;
    this.#replies = replies;
    this.#service = service;
    this.#filter = filter;
    this.#lost = lost;
  }

  /**
   * Handles everything that waits; returns how many frames came. The caller ends the turn: flush, commits, and only then the
   * replies leave.
   */
  receive(nowMs: number): number {
    const lengths = this.#lengths;
    if (this.#lost.waits && this.#channel.connected) this.#lost.reachable();
    let frames = 0;
    for (let drains = 0; drains < drainsMax; drains++) {
      const count = this.#channel.drain();
      frames += count;
      if (count > 0) this.#lost.taken(this.#seqOf(0), this.#seqOf(count - 1));
      for (let slot = 0; slot < count; slot++) this.#dispatch(slot, lengths[slot] as number, nowMs);
      if (count < slotCount) break;
    }
    return frames;
  }

  /** Read in place: binding looks at the whole frame, and each is bound once. The channel hands out no frame without a header. */
  #seqOf(slot: number): number {
    return this.#slots.readUInt32LE(slotOffset(slot) + FrameOffset.seq);
  }

  #dispatch(slot: number, length: number, nowMs: number): void {
    const request = this.#request;
    const readable = request.bind(this.#slots, slotOffset(slot), Math.abs(length));
    if (!readable) throw new Error(`the channel handed out a frame of ${length} bytes, which has no header`);
    if (length < 0 || !request.wellFormed) {
      this.malformed += 1;
      this.#replies.reply(request.seq, request.type, -Errno.EINVAL);
      return;
    }
    const type = request.type;
    const index = type < this.requestCounts.length ? type : 0;
    this.requestCounts[index] = (this.requestCounts[index] as number) + 1;
    if (!this.#filter(request)) this.#service.handle(request, nowMs);
  }
}
