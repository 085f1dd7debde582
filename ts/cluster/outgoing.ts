/**
 * What this member has to say and has not sent yet: messages, encoded when they are submitted, in multicasts that are filled
 * one after another. Group commit: what piles up while earlier multicasts are on their way goes into as few as fit.
 *
 * A message that is longer than a multicast goes in parts, and alone: nothing behind it is sent before it is back, because a new
 * view in its middle makes it begin again, and the order in which messages were submitted must hold.
 *
 * It decides what is next, not when: that is the session's business.
 */
import type { LogMessage } from '../mirror/messages.js';
import { encodedBytesMax, encodeMessage, messageBytesMax } from './message-codec.js';
import { multicastBytesMax, partHeaderBytes, WireKind, wireHeaderBytes, writePartHeader } from './wire.js';

/** Bytes that may wait. More is a fault of the program: who submits waits for what it submitted. */
const waitingBytesMax = 256 * 1024 * 1024;
const spareBuffersMax = 16;
const partBytesMax = multicastBytesMax - wireHeaderBytes - partHeaderBytes;

interface Filled {
  /** A multicast with room for its header, or a long message as it is. */
  buffer: Buffer;
  bytes: number;
  long: boolean;
}

export interface NextMulticast {
  buffer: Buffer;
  bytes: number;
  kind: WireKind;
}

export class Outgoing {
  readonly #filled: Filled[] = [];
  readonly #spare: Buffer[] = [];
  readonly #parts = Buffer.alloc(multicastBytesMax);
  readonly #next: NextMulticast = { buffer: Buffer.alloc(0), bytes: 0, kind: WireKind.messages };
  /** The one that takes further messages: the last of `#filled`, or null. */
  #open: Filled | null = null;
  #openUuid: string | null = null;
  /** How much of a long message at the front is sent. */
  #sentOfLong = 0;
  #partBytes = 0;
  #waitingBytes = 0;

  /** Bytes that wait. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  add(message: LogMessage): void {
    const room = encodedBytesMax(message);
    if (room > messageBytesMax) throw new RangeError(`a message of up to ${room} bytes, at most ${messageBytesMax}`);
    if (this.#waitingBytes + room > waitingBytesMax)
      throw new Error(`more than ${waitingBytesMax} bytes wait to be sent`);
    if (room > multicastBytesMax - wireHeaderBytes) {
      this.#addLong(message, room);
      return;
    }
    let open = this.#open;
    if (open === null || open.bytes + room > multicastBytesMax) open = this.#begin();
    const end = encodeMessage(message, open.buffer, open.bytes, this.#openUuid);
    this.#openUuid = message.uuid;
    this.#waitingBytes += end - open.bytes;
    open.bytes = end;
  }

  /**
   * What to send next, or null. Its header is to be filled in, and it belongs to the caller until `sent`. A long message that
   * is sent and not back yet holds up everything.
   */
  next(): NextMulticast | null {
    const front = this.#filled[0];
    if (front === undefined) return null;
    const next = this.#next;
    if (!front.long) {
      next.buffer = front.buffer;
      next.bytes = front.bytes;
      next.kind = WireKind.messages;
      return next;
    }
    if (this.#sentOfLong === front.bytes) return null;
    this.#partBytes = Math.min(partBytesMax, front.bytes - this.#sentOfLong);
    writePartHeader(this.#parts, front.bytes, this.#sentOfLong);
    front.buffer.copy(
      this.#parts,
      wireHeaderBytes + partHeaderBytes,
      this.#sentOfLong,
      this.#sentOfLong + this.#partBytes,
    );
    next.buffer = this.#parts;
    next.bytes = wireHeaderBytes + partHeaderBytes + this.#partBytes;
    next.kind = WireKind.part;
    return next;
  }

  /** What `next` gave is on its way. */
  sent(): void {
    const front = this.#filled[0];
    if (front === undefined) throw new Error('nothing was to be sent');
    if (front.long) {
      this.#sentOfLong += this.#partBytes;
      return;
    }
    this.#dropFront(front);
    if (this.#spare.length < spareBuffersMax) this.#spare.push(front.buffer);
  }

  /** The long message at the front has been delivered to this member. */
  longDelivered(): void {
    const front = this.#filled[0];
    if (front?.long !== true || this.#sentOfLong !== front.bytes)
      throw new Error('a long message came that was not sent');
    this.#sentOfLong = 0;
    this.#dropFront(front);
  }

  /** A view begins in which nobody has the beginning of a long message: it is sent again. */
  restartLong(): void {
    this.#sentOfLong = 0;
  }

  clear(): void {
    this.#filled.length = 0;
    this.#open = null;
    this.#sentOfLong = 0;
    this.#waitingBytes = 0;
  }

  #begin(): Filled {
    const buffer = this.#spare.pop() ?? Buffer.alloc(multicastBytesMax);
    const open = { buffer, bytes: wireHeaderBytes, long: false };
    this.#filled.push(open);
    this.#open = open;
    this.#openUuid = null;
    return open;
  }

  #addLong(message: LogMessage, room: number): void {
    const buffer = Buffer.alloc(room);
    const bytes = encodeMessage(message, buffer, 0, null);
    this.#open = null;
    this.#filled.push({ buffer, bytes, long: true });
    this.#waitingBytes += bytes;
  }

  #dropFront(front: Filled): void {
    this.#filled.shift();
    this.#waitingBytes -= front.long ? front.bytes : front.bytes - wireHeaderBytes;
    if (this.#open === front) this.#open = null;
  }
}
