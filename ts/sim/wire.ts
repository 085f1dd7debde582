/**
 * The way of frames between one host's kernel and its daemon, and what is done to them there: lost, doubled, late, or
 * nobody to hear them. It knows of frames and their senders, not of what they ask.
 */
import { DM_ULOG_RESUME, FrameOffset, requestNames } from '../base/ulog-frames.js';
import type { DaemonProcess } from './daemon/process.js';
import { type RequestRecord, recordRequest } from './daemon/requests.js';
import type { Kernel } from './kernel/kernel.js';
import type { Prng } from './prng.js';
import type { Timeline } from './timeline.js';

/** What is done to frames on their way, while it lasts. */
export interface WireFaults {
  requestLost: number;
  requestTwice: number;
  replyLost: number;
  /** Replies are late by this much. */
  replyLateMs: number;
  /** Sends find nobody, though the daemon lives: its receive queue is full. */
  overrun: boolean;
}

export const quietWire: Readonly<WireFaults> = {
  requestLost: 0,
  requestTwice: 0,
  replyLost: 0,
  replyLateMs: 0,
  overrun: false,
};

const wireMs = 0.02;

/** Its two ends, and who wants to know. */
export interface WireEnds {
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly daemon: DaemonProcess | null;
  readonly kernel: Kernel | null;
  /** A request has left the kernel. */
  sent(request: RequestRecord): void;
  count(what: string): void;
  note(what: string, numbers: readonly number[], detail: () => string): void;
}

export class Wire {
  readonly faults: WireFaults = { ...quietWire };
  readonly #ends: WireEnds;

  constructor(ends: WireEnds) {
    this.#ends = ends;
  }

  /** False when nobody listens. */
  fromKernel(frame: Buffer, length: number): boolean {
    const { daemon, timeline, prng } = this.#ends;
    const { faults } = this;
    if (daemon?.alive !== true || faults.overrun) return false;
    const request = recordRequest(frame, length, false);
    if (request === null) throw new Error('the kernel sent a frame without a header');
    this.#ends.sent(request);
    if (faults.requestLost > 0 && prng.chance(faults.requestLost)) {
      this.#ends.count('request-lost');
      return true;
    }
    const bytes = Buffer.allocUnsafe(length);
    frame.copy(bytes, 0, 0, length);
    timeline.after(wireMs, () => daemon.frame(bytes, length, request));
    if (faults.requestTwice > 0 && prng.chance(faults.requestTwice)) {
      this.#ends.count('request-twice');
      timeline.after(wireMs, () => daemon.frame(bytes, length, request));
    }
    return true;
  }

  toKernel(frame: Buffer, length: number): void {
    const { kernel, timeline, prng } = this.#ends;
    const { faults } = this;
    if (kernel === null) return;
    // A real kernel takes a reply inside the daemon's send and loses none. Of RESUME none is lost here either: a reconnect
    // whose RESUME was answered and not heard looks like one that is over, and no daemon can tell.
    const mayBeLost = length < FrameOffset.dataSize || frame.readUInt32LE(FrameOffset.type) !== DM_ULOG_RESUME;
    if (mayBeLost && faults.replyLost > 0 && prng.chance(faults.replyLost)) {
      this.#ends.count('reply-lost');
      return;
    }
    const lateMs = faults.replyLateMs > 0 && prng.chance(0.3) ? faults.replyLateMs : 0;
    if (lateMs > 0) this.#ends.count('reply-late');
    timeline.after(wireMs + lateMs, () => kernel.receive(frame, 0, length));
  }

  /** Puts a frame that no kernel sent, or has sent before, before the daemon. */
  inject(frame: Buffer, length: number, hostile: boolean): void {
    const { daemon, timeline } = this.#ends;
    if (daemon?.alive !== true) return;
    const request = recordRequest(frame, length, hostile);
    this.#ends.note(hostile ? 'hostile' : 'again', [request?.type ?? -1, request?.seq ?? 0], () =>
      describeRequest(request),
    );
    timeline.after(wireMs, () => daemon.frame(frame, length, request));
  }
}

export function describeRequest(request: RequestRecord | null): string {
  if (request === null) return 'a frame without a header';
  const data = request.text === '' ? request.values.join(' ') : JSON.stringify(request.text);
  return `${requestNames[request.type] ?? request.type} #${request.seq} ${request.uuid} (${request.luidLow}) ${data}`;
}
