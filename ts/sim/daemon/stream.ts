/**
 * The ordered stream as a simulated daemon has it, and that of a host that is alone: messages come back inside the turn
 * that sent them, and are acknowledged then or somewhat later.
 */
import type { GroupMember, GroupView } from '../../base/group-view.js';
import type { LogMessage } from '../../mirror/messages.js';
import type { Prng } from '../prng.js';
import type { Timeline } from '../timeline.js';

/** The daemon that the stream belongs to. */
export interface StreamEnds {
  readonly self: GroupMember;
  delivered(order: number, message: LogMessage): void;
  acknowledged(order: number): void;
  viewChanged(view: GroupView): void;
  quorumChanged(quorate: boolean): void;
  /** Something happens to the process outside a turn: now, or when it goes on. A turn's end follows. */
  run(action: () => void): void;
}

export interface MessageStream {
  /** The daemon has started; called inside its first turn. */
  start(): void;
  /** Copies the message. */
  submit(message: LogMessage): void;
  /** True when `flush` has something to do. */
  readonly pending: boolean;
  flush(): void;
  /** The process was killed; what it had begun is over at `exitMs`. */
  died(exitMs: number): void;
}

const noRegions = new Float64Array(0);
const noBytes = new Uint8Array(0);

/** A copy for as long as it is on its way. */
export function ownMessage(message: LogMessage): LogMessage {
  const { type, node, uuid, seq, flag, count, byteCount } = message;
  const regions = count === 0 ? noRegions : message.regions.slice(0, count);
  // A Buffer's own slice would be no copy.
  const bytes = byteCount === 0 ? noBytes : new Uint8Array(message.bytes.subarray(0, byteCount));
  return { type, node, uuid, seq, flag, regions, count, bytes, byteCount };
}

export class AloneStream implements MessageStream {
  readonly #ends: StreamEnds;
  readonly #timeline: Timeline;
  readonly #prng: Prng;
  /** Longest time from delivery to acknowledgement. */
  readonly #acknowledgeMsMax: number;
  #messages: LogMessage[] = [];
  #order = 0;
  #acknowledged = 0;

  constructor(ends: StreamEnds, timeline: Timeline, prng: Prng, acknowledgeMsMax: number) {
    this.#ends = ends;
    this.#timeline = timeline;
    this.#prng = prng;
    this.#acknowledgeMsMax = acknowledgeMsMax;
  }

  start(): void {
    const { self } = this.#ends;
    this.#ends.quorumChanged(true);
    this.#ends.viewChanged({ epoch: 1, meeting: '1', members: [self], joined: [self], left: [] });
  }

  submit(message: LogMessage): void {
    this.#messages.push(ownMessage(message));
  }

  get pending(): boolean {
    return this.#messages.length > 0;
  }

  flush(): void {
    while (this.#messages.length > 0) {
      const messages = this.#messages;
      this.#messages = [];
      for (const message of messages) {
        this.#order += 1;
        this.#ends.delivered(this.#order, message);
      }
      if (this.#acknowledgeMsMax === 0) this.#acknowledge(this.#order);
      else this.#acknowledgeLater(this.#order);
    }
  }

  died(): void {}

  #acknowledgeLater(order: number): void {
    this.#timeline.after(this.#prng.real(0, this.#acknowledgeMsMax), () => {
      this.#ends.run(() => this.#acknowledge(order));
    });
  }

  #acknowledge(order: number): void {
    if (order <= this.#acknowledged) return;
    this.#acknowledged = order;
    this.#ends.acknowledged(order);
  }
}
