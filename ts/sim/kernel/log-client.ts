/**
 * The kernel's side of the connector: sends a request under a new sequence number, waits, sends again.
 *
 *  - 15 s without an answer: the same request under a new number, for ever. A late answer finds no waiter: dropped.
 *  - the answer -EAGAIN: again at once under a new number. A second answer that comes before its waiter runs counts
 *    instead of the first, whatever that said.
 *  - nobody listens (-ESRCH): life-cycle requests fail; all others wait two seconds, send the constructor *with* its
 *    NUL and no room for an answer's data, again every two seconds until it succeeds, then RESUME once, then the
 *    request. When that RESUME fails the request fails with -ESRCH.
 *
 * What a reply must look like is checked by `decodeReply` and `replyResult` exactly as the kernel does it.
 */

import { frameBytesMax } from '../../base/limits.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_FLUSH,
  DM_ULOG_MARK_REGION,
  DM_ULOG_RESUME,
  DM_ULOG_STATUS_INFO,
  DM_ULOG_STATUS_TABLE,
} from '../../base/ulog-frames.js';
import {
  decodeReply,
  encodeRequest,
  encodeValues,
  type Reply,
  replyResult,
  replyValue,
} from '../../base/ulog-kernel-frames.js';
import { type Blocking, type Threads, Wait } from './threads.js';
import { type KernelWorld, kernelErrno } from './world.js';

const resendMs = 15_000;
const reconnectMs = 2_000;

const nothing = Buffer.alloc(0);

export interface ClientLog {
  readonly uuidBytes: Uint8Array;
  readonly luidHigh: number;
  readonly luidLow: number;
  readonly constructorText: string;
}

export interface RequestBody {
  readonly regions?: readonly number[];
  readonly text?: string;
  readonly nul?: boolean;
  /** Bytes of data that the caller has room for; a reply with more fails with -ENOSPC. */
  readonly room: number;
}

export interface LogReply {
  error: number;
  bytes: number;
  first: number;
  second: number;
  text: string;
  /** Nobody listened; in a reply of `request`: nobody listened for RESUME. */
  unheard: boolean;
}

interface Pending {
  readonly seq: number;
  readonly type: number;
  readonly wait: Wait;
  readonly deadlineMs: number;
  room: number;
  reply: LogReply | null;
}

export class LogClient {
  readonly threads: Threads;
  /** For status and the simulator's summary. */
  readonly counters = { sent: 0, resent: 0, again: 0, late: 0, unheard: 0, reconnected: 0, noRoom: 0, incomplete: 0 };
  /** Regions that were named in marks and clears, flushes, and questions: what crossed the socket and why. */
  readonly named = { marks: 0, clears: 0, flushes: 0, questions: 0 };
  readonly #world: KernelWorld;
  readonly #frame = Buffer.alloc(frameBytesMax);
  /** By sequence number, oldest first: all have the same time-out. */
  readonly #pending = new Map<number, Pending>();
  #seq: number;
  #timerArmed = false;

  constructor(threads: Threads, world: KernelWorld, firstSeq: number) {
    this.threads = threads;
    this.#world = world;
    this.#seq = firstSeq;
  }

  get waiting(): number {
    return this.#pending.size;
  }

  /** A request that keeps trying while no daemon listens. */
  *request(log: ClientLog, type: number, body: RequestBody): Blocking<LogReply> {
    for (;;) {
      const reply = yield* this.consult(log, type, body);
      if (reply.error !== -kernelErrno.ESRCH) return reply;
      do {
        yield* this.sleep(reconnectMs);
      } while ((yield* this.consult(log, DM_ULOG_CTR, this.#reconnectBody(log))).error !== 0);
      const resumed = yield* this.consult(log, DM_ULOG_RESUME, { room: 0 });
      if (resumed.error !== 0) return { ...failed(-kernelErrno.ESRCH), unheard: resumed.unheard };
      this.counters.reconnected += 1;
    }
  }

  /** One request, sent until it is answered; -ESRCH when nobody listens. */
  *consult(log: ClientLog, type: number, body: RequestBody): Blocking<LogReply> {
    let room = body.room;
    for (;;) {
      const seq = this.#seq;
      this.#seq = (this.#seq + 1) >>> 0;
      const wait = new Wait(this.threads);
      const deadlineMs = this.#world.nowMs() + resendMs;
      const pending: Pending = { seq, type, wait, deadlineMs, room, reply: null };
      this.#pending.set(seq, pending);
      this.counters.sent += 1;
      if (!this.#send(log, type, seq, body)) {
        this.#pending.delete(seq);
        this.counters.unheard += 1;
        return { ...failed(-kernelErrno.ESRCH), unheard: true };
      }
      this.#armTimer();
      yield wait;
      this.#pending.delete(seq);
      const reply = pending.reply;
      room = pending.room;
      if (reply === null) this.counters.resent += 1;
      else if (reply.error === -kernelErrno.EAGAIN) this.counters.again += 1;
      else return reply;
    }
  }

  *sleep(ms: number): Blocking {
    const wait = new Wait(this.threads);
    this.#world.after(ms, () => wait.finish());
    yield wait;
  }

  /** A frame from the daemon. */
  receive(buffer: Buffer, start: number, length: number): void {
    const reply = decodeReply(buffer, start, length);
    if (reply.form === 'dropped') {
      this.counters.incomplete += 1;
      return;
    }
    const pending = this.#pending.get(reply.seq);
    if (pending === undefined) {
      this.counters.late += 1;
      return;
    }
    this.#settle(pending, reply);
    pending.wait.finish();
  }

  #send(log: ClientLog, type: number, seq: number, body: RequestBody): boolean {
    let payload: Buffer = nothing;
    if (body.regions !== undefined) payload = encodeValues(body.regions);
    else if (body.text !== undefined) payload = Buffer.from(body.nul === true ? `${body.text}\0` : body.text);
    this.#countNamed(type, body);
    const { uuidBytes: uuid, luidHigh, luidLow } = log;
    const length = encodeRequest(this.#frame, 0, { seq, type, luidHigh, luidLow, uuid, payload });
    return this.#world.send(this.#frame, length);
  }

  #countNamed(type: number, body: RequestBody): void {
    const regions = body.regions?.length ?? 0;
    if (type === DM_ULOG_FLUSH) this.named.flushes += 1;
    if (type === DM_ULOG_MARK_REGION || type === DM_ULOG_FLUSH) this.named.marks += regions;
    else if (type === DM_ULOG_CLEAR_REGION) this.named.clears += regions;
    else this.named.questions += 1;
  }

  #settle(pending: Pending, reply: Reply): void {
    const error = replyResult(reply, pending.room);
    if (reply.form === 'ack') {
      // An answer that says "try again" leaves the caller's room as it was.
      if (error !== -kernelErrno.EAGAIN) pending.room = 0;
      pending.reply = failed(error);
      return;
    }
    const fits = reply.dataBytes <= pending.room;
    if (!fits) this.counters.noRoom += 1;
    pending.room = fits ? reply.dataBytes : 0;
    pending.reply = failed(error);
    if (!fits || error !== 0 || reply.data.length < reply.dataBytes) return;
    pending.reply.bytes = reply.dataBytes;
    if (hasText(pending.type)) pending.reply.text = Buffer.from(reply.data).toString();
    else if (reply.dataBytes >= 8) pending.reply.first = replyValue(reply, 0);
    if (!hasText(pending.type) && reply.dataBytes >= 16) pending.reply.second = replyValue(reply, 1);
  }

  #reconnectBody(log: ClientLog): RequestBody {
    return { text: log.constructorText, nul: true, room: 0 };
  }

  /** One timer for all: the oldest request is the first to time out. */
  #armTimer(): void {
    if (this.#timerArmed) return;
    const oldest = this.#pending.values().next().value;
    if (oldest === undefined) return;
    this.#timerArmed = true;
    this.#world.after(Math.max(0, oldest.deadlineMs - this.#world.nowMs()), () => {
      this.#timerArmed = false;
      if (!this.threads.halted) this.#timeOut();
    });
  }

  #timeOut(): void {
    const nowMs = this.#world.nowMs();
    const due = [...this.#pending.values()].filter((pending) => pending.reply === null && pending.deadlineMs <= nowMs);
    for (const pending of due) {
      this.#pending.delete(pending.seq);
      pending.wait.finish();
    }
    this.#armTimer();
  }
}

function failed(error: number): LogReply {
  return { error, bytes: 0, first: 0, second: 0, text: '', unheard: false };
}

function hasText(type: number): boolean {
  return type === DM_ULOG_CTR || type === DM_ULOG_STATUS_INFO || type === DM_ULOG_STATUS_TABLE;
}
