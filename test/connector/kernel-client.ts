/**
 * The kernel's end of the wire for tests: sends request frames over the local socket and takes the replies with the
 * kernel's checks. It has no model of a mirror; a test says what is asked. As the kernel does, it sends a request again under a new
 * number when the answer is "try again" in ack form, and passes over that answer when nobody waits under its number.
 */
import { Errno } from '../../ts/base/errno.js';
import {
  DM_ULOG_CLEAR_REGION,
  DM_ULOG_CTR,
  DM_ULOG_DTR,
  DM_ULOG_FLUSH,
  DM_ULOG_GET_RESYNC_WORK,
  DM_ULOG_GET_SYNC_COUNT,
  DM_ULOG_IN_SYNC,
  DM_ULOG_IS_CLEAN,
  DM_ULOG_MARK_REGION,
  DM_ULOG_POSTSUSPEND,
  DM_ULOG_PRESUSPEND,
  DM_ULOG_RESUME,
  DM_ULOG_SET_REGION_SYNC,
  DM_ULOG_STATUS_INFO,
  DM_ULOG_STATUS_TABLE,
  FrameOffset,
} from '../../ts/base/ulog-frames.js';
import {
  decodeReply,
  encodeRequest,
  encodeValues,
  type Reply,
  replyResult,
  replyRoomBytes,
  replyValue,
} from '../../ts/base/ulog-kernel-frames.js';
import { FrameChannel, slotCount, slotOffset } from '../../ts/native/frame-channel.js';

/** A reply whose data are a copy. */
export interface Answer extends Reply {
  /** What the kernel's caller sees: 0 or a negative errno. */
  readonly result: number;
  value(index: number): number;
  text(): string;
}

const answerMsMax = 20_000;

export class KernelClient {
  readonly #channel: FrameChannel;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #types = new Map<number, number>();
  /** Requests that wait, as they were sent, and the numbers under which nobody waits any more. */
  readonly #frames = new Map<number, Buffer>();
  readonly #abandoned = new Set<number>();
  /** "Try again" for a request that waited, and for numbers that nobody waits under. */
  askedAgain = 0;
  askedInVain = 0;
  #seq = 0;
  /** Replies that nobody waits for: late ones, or a second answer to one request. */
  readonly unexpected: Reply[] = [];
  onClosed: () => void = () => {};

  private constructor(channel: FrameChannel) {
    this.#channel = channel;
    channel.onReadable(() => this.#receive());
    channel.onClosed(() => this.onClosed());
  }

  /** Connects, trying again while nobody listens yet. */
  static async connect(path: string, triesMax = 400): Promise<KernelClient> {
    for (let tries = 1; ; tries++) {
      try {
        return new KernelClient(FrameChannel.connect(path));
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : '';
        if ((code !== 'ECONNREFUSED' && code !== 'ENOENT') || tries === triesMax) throw error;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
  }

  close(): void {
    this.#channel.close();
  }

  get lastSeq(): number {
    return this.#seq;
  }

  /** Sends one request; `change` may spoil the frame before it leaves. */
  request(log: LogName, type: number, payload: Uint8Array = empty, change?: FrameChange): Promise<Answer> {
    const answer = this.prepare(log, type, payload, 0, change);
    this.#channel.send(1);
    return answer;
  }

  /** Sends many requests in one call: they wait at the daemon's end together. At most `slotCount`. */
  requestAll(requests: readonly { log: LogName; type: number; payload?: Uint8Array }[]): Promise<Answer[]> {
    const answers = requests.map(({ log, type, payload }, slot) => this.prepare(log, type, payload ?? empty, slot));
    this.#channel.send(requests.length);
    return Promise.all(answers);
  }

  /** Sends a datagram as it is. */
  sendBytes(bytes: Uint8Array): void {
    this.#channel.outSlots.set(bytes, slotOffset(0));
    this.#channel.outLengths[0] = bytes.length;
    this.#channel.send(1);
  }

  ctr(log: LogName, text: string): Promise<Answer> {
    return this.request(log, DM_ULOG_CTR, Buffer.from(text));
  }
  dtr(log: LogName): Promise<Answer> {
    return this.request(log, DM_ULOG_DTR);
  }
  resume(log: LogName): Promise<Answer> {
    return this.request(log, DM_ULOG_RESUME);
  }
  presuspend(log: LogName): Promise<Answer> {
    return this.request(log, DM_ULOG_PRESUSPEND);
  }
  postsuspend(log: LogName): Promise<Answer> {
    return this.request(log, DM_ULOG_POSTSUSPEND);
  }
  mark(log: LogName, regions: readonly number[]): Promise<Answer> {
    return this.request(log, DM_ULOG_MARK_REGION, encodeValues(regions));
  }
  clear(log: LogName, regions: readonly number[]): Promise<Answer> {
    return this.request(log, DM_ULOG_CLEAR_REGION, encodeValues(regions));
  }
  flush(log: LogName, regions: readonly number[] = []): Promise<Answer> {
    return this.request(log, DM_ULOG_FLUSH, encodeValues(regions));
  }
  inSync(log: LogName, region: number): Promise<Answer> {
    return this.request(log, DM_ULOG_IN_SYNC, encodeValues([region]));
  }
  isClean(log: LogName, region: number): Promise<Answer> {
    return this.request(log, DM_ULOG_IS_CLEAN, encodeValues([region]));
  }
  syncCount(log: LogName): Promise<Answer> {
    return this.request(log, DM_ULOG_GET_SYNC_COUNT);
  }
  resyncWork(log: LogName): Promise<Answer> {
    return this.request(log, DM_ULOG_GET_RESYNC_WORK);
  }
  setRegionSync(log: LogName, region: number, inSync: number): Promise<Answer> {
    return this.request(log, DM_ULOG_SET_REGION_SYNC, encodeValues([region, inSync]));
  }
  statusInfo(log: LogName): Promise<Answer> {
    return this.request(log, DM_ULOG_STATUS_INFO);
  }
  statusTable(log: LogName): Promise<Answer> {
    return this.request(log, DM_ULOG_STATUS_TABLE);
  }

  private prepare(
    log: LogName,
    type: number,
    payload: Uint8Array,
    slot: number,
    change?: FrameChange,
  ): Promise<Answer> {
    this.#seq += 1;
    const seq = this.#seq;
    const at = slotOffset(slot);
    const { outSlots, outLengths } = this.#channel;
    const fields = { seq, type, luidHigh: log.luidHigh ?? 0, luidLow: log.luid, uuid: Buffer.from(log.uuid), payload };
    const length = encodeRequest(outSlots, at, fields);
    outLengths[slot] = change?.(outSlots.subarray(at, at + 2048), length) ?? length;
    this.#types.set(seq, type);
    this.#frames.set(seq, Buffer.from(outSlots.subarray(at, at + (outLengths[slot] as number))));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to type ${type} seq ${seq}`)), answerMsMax);
      this.#waiting.set(seq, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
  }

  #receive(): void {
    const { slots, lengths } = this.#channel;
    let count: number;
    do {
      count = this.#channel.drain();
      for (let slot = 0; slot < count; slot++) {
        this.#take(decodeReply(slots, slotOffset(slot), Math.abs(lengths[slot] as number)));
      }
    } while (count === slotCount);
  }

  #take(reply: Reply): void {
    const waiter = this.#waiting.get(reply.seq);
    if (reply.form === 'ack' && reply.error === -Errno.EAGAIN) {
      this.#sendAgain(reply.seq);
      return;
    }
    if (this.#abandoned.delete(reply.seq)) return;
    const copy: Reply = { ...reply, data: Uint8Array.from(reply.data) };
    if (reply.form === 'dropped' || waiter === undefined) {
      this.unexpected.push(copy);
      return;
    }
    this.#waiting.delete(reply.seq);
    this.#frames.delete(reply.seq);
    const room = replyRoomBytes(this.#types.get(reply.seq) ?? 0);
    waiter({
      ...copy,
      result: replyResult(reply, room),
      value: (index) => replyValue(copy, index),
      text: () => Buffer.from(copy.data).toString(),
    });
  }

  #sendAgain(before: number): void {
    const waiter = this.#waiting.get(before);
    const frame = this.#frames.get(before);
    if (waiter === undefined || frame === undefined) {
      this.askedInVain += 1;
      return;
    }
    this.askedAgain += 1;
    this.#seq += 1;
    const seq = this.#seq;
    frame.writeUInt32LE(seq, FrameOffset.nlmsgSeq);
    frame.writeUInt32LE(seq, FrameOffset.cnSeq);
    frame.writeUInt32LE(seq, FrameOffset.seq);
    this.#types.set(seq, this.#types.get(before) ?? 0);
    this.#waiting.set(seq, waiter);
    this.#frames.set(seq, frame);
    this.#waiting.delete(before);
    this.#frames.delete(before);
    this.#abandoned.add(before);
    this.sendBytes(frame);
  }
}

/** A log as the kernel names it. */
export interface LogName {
  readonly uuid: string;
  readonly luid: number;
  readonly luidHigh?: number;
}

/** Spoils an encoded frame in place; may return another length. */
export type FrameChange = (frame: Buffer, length: number) => number | undefined;

const empty = new Uint8Array(0);

export { encodeValues };
