/**
 * Fills the one message record of a service and submits it; the sink copies it. No message allocates.
 *
 * It knows what messages look like and not when they are due.
 */
import { messageRegionsMax } from '../base/limits.js';
import type { MirrorEffects } from './effects.js';
import { type LogMessage, MessageType } from './messages.js';

export class MessageSender {
  readonly #effects: MirrorEffects;
  readonly #message: LogMessage;

  constructor(effects: MirrorEffects, node: number) {
    this.#effects = effects;
    const regions = new Float64Array(messageRegionsMax);
    const bytes = new Uint8Array(0);
    this.#message = { type: MessageType.mark, node, uuid: '', seq: 0, flag: 0, regions, count: 0, bytes, byteCount: 0 };
  }

  /** Submits the first `count` regions, in as many messages as they need. */
  regions(type: MessageType, uuid: string, flag: number, regions: Float64Array, count: number, seq = 0): void {
    for (let from = 0; from < count; from += messageRegionsMax) {
      const part = Math.min(count - from, messageRegionsMax);
      for (let i = 0; i < part; i++) this.#message.regions[i] = regions[from + i] as number;
      this.#submit(type, uuid, seq, flag, part);
    }
  }

  /** Submits a message about one region, or none when `region` is -1. */
  one(type: MessageType, uuid: string, seq: number, region: number, flag: number): void {
    this.#message.regions[0] = region;
    this.#submit(type, uuid, seq, flag, region < 0 ? 0 : 1);
  }

  /** Submits a message of a few numbers and bytes. */
  numbers(type: MessageType, uuid: string, seq: number, flag: number, numbers: readonly number[]): void {
    if (numbers.length > messageRegionsMax) throw new RangeError(`${numbers.length} numbers in one message`);
    for (let i = 0; i < numbers.length; i++) this.#message.regions[i] = numbers[i] as number;
    this.#submit(type, uuid, seq, flag, numbers.length);
  }

  /** Submits a message with bytes. */
  bytes(
    type: MessageType,
    uuid: string,
    seq: number,
    flag: number,
    numbers: readonly number[],
    bytes: Uint8Array,
  ): void {
    const message = this.#message;
    const none = message.bytes;
    message.bytes = bytes;
    message.byteCount = bytes.length;
    this.numbers(type, uuid, seq, flag, numbers);
    message.bytes = none;
    message.byteCount = 0;
  }

  #submit(type: MessageType, uuid: string, seq: number, flag: number, count: number): void {
    const message = this.#message;
    message.type = type;
    message.uuid = uuid;
    message.seq = seq;
    message.flag = flag;
    message.count = count;
    this.#effects.submit(message);
  }
}
