/**
 * The frames that the kernel's userspace dirty log and a daemon exchange over the netlink connector: one
 * request or reply a datagram. Decodes requests and encodes replies, for the daemon; the kernel's end of the same frames is
 * ulog-kernel-frames.ts. It does not look at what a request means.
 *
 * All integers are little-endian. Offsets from the start of the datagram:
 *
 * | offset | size | field         | request                | reply, full form | reply, ack form  |
 * | ------ | ---- | ------------- | ---------------------- | ---------------- | ---------------- |
 * | 0      | 4    | nlmsg_len     | whole datagram         | whole datagram   | 36               |
 * | 4      | 2    | nlmsg_type    | 3 (NLMSG_DONE)         | 3                | 3                |
 * | 6      | 2    | nlmsg_flags   | 0                      | 0                | 0                |
 * | 8      | 4    | nlmsg_seq     | request seq            | 0                | 0                |
 * | 12     | 4    | nlmsg_pid     | 0                      | 0                | 0                |
 * | 16     | 4    | cn id.idx     | 7                      | 7                | 7                |
 * | 20     | 4    | cn id.val     | 1                      | 1                | 1                |
 * | 24     | 4    | cn seq        | request seq            | request seq      | request seq      |
 * | 28     | 4    | cn ack        | 0                      | 0                | errno, positive  |
 * | 32     | 2    | cn len        | 160 + n                | 160 + n          | 0                |
 * | 34     | 2    | cn flags      | 0                      | 0                | 0                |
 * | 36     | 8    | luid          |                        | 0                | -                |
 * | 44     | 129  | uuid, NUL     |                        | 0                | -                |
 * | 176    | 4    | version       | 3 today                | 3                | -                |
 * | 180    | 4    | error, signed | 0                      | 0 or negative    | -                |
 * | 184    | 4    | seq           | host-wide counter      | the same         | -                |
 * | 188    | 4    | request type  | low 8 bits             | the same         | -                |
 * | 192    | 4    | data size     | n                      | n                | -                |
 * | 196    | n    | payload       |                        |                  | -                |
 *
 * Full replies leave luid and uuid zero: the kernel matches by seq alone. Nothing on the path of a question
 * allocates: `RequestView` is bound to a frame in place, the encoders write into a slot.
 */
import {
  constructorBytesMax,
  frameBytesMax,
  frameHeaderBytes,
  framePayloadOffset,
  requestHeaderBytes,
  uuidBytesMax,
} from './limits.js';

export const DM_ULOG_CTR = 1;
export const DM_ULOG_DTR = 2;
export const DM_ULOG_PRESUSPEND = 3;
export const DM_ULOG_POSTSUSPEND = 4;
export const DM_ULOG_RESUME = 5;
export const DM_ULOG_GET_REGION_SIZE = 6;
export const DM_ULOG_IS_CLEAN = 7;
export const DM_ULOG_IN_SYNC = 8;
export const DM_ULOG_FLUSH = 9;
export const DM_ULOG_MARK_REGION = 10;
export const DM_ULOG_CLEAR_REGION = 11;
export const DM_ULOG_GET_RESYNC_WORK = 12;
export const DM_ULOG_SET_REGION_SYNC = 13;
export const DM_ULOG_GET_SYNC_COUNT = 14;
export const DM_ULOG_STATUS_INFO = 15;
export const DM_ULOG_STATUS_TABLE = 16;
export const DM_ULOG_IS_REMOTE_RECOVERING = 17;

/** Names by request type, for log lines and tests; index 0 is no request. */
export const requestNames: readonly string[] = [
  'NONE',
  'CTR',
  'DTR',
  'PRESUSPEND',
  'POSTSUSPEND',
  'RESUME',
  'GET_REGION_SIZE',
  'IS_CLEAN',
  'IN_SYNC',
  'FLUSH',
  'MARK_REGION',
  'CLEAR_REGION',
  'GET_RESYNC_WORK',
  'SET_REGION_SYNC',
  'GET_SYNC_COUNT',
  'STATUS_INFO',
  'STATUS_TABLE',
  'IS_REMOTE_RECOVERING',
];

export const connectorIndex = 7;
export const connectorValue = 1;
export const requestVersion = 3;

const nlmsgDone = 3;

/** Offsets from the start of the datagram, as in the table above. */
export const FrameOffset = {
  nlmsgLength: 0,
  nlmsgType: 4,
  nlmsgFlags: 6,
  nlmsgSeq: 8,
  nlmsgPid: 12,
  cnIndex: 16,
  cnValue: 20,
  cnSeq: 24,
  cnAck: 28,
  cnLength: 32,
  cnFlags: 34,
  luid: 36,
  uuid: 44,
  version: 176,
  error: 180,
  seq: 184,
  type: 188,
  dataSize: 192,
  payload: framePayloadOffset,
} as const;

const uuidFieldBytes = uuidBytesMax + 1;
const two32 = 2 ** 32;

/** What is wrong with a datagram that should be a request. */
export const FrameFault = {
  none: 0,
  /** Too short for both headers, or longer than `frameBytesMax`. */
  length: 1,
  /** nlmsg_len does not fit the datagram, or nlmsg_type is not NLMSG_DONE. */
  netlink: 2,
  /** Another connector's message. */
  connectorId: 3,
  /** cn len below a header, or more than the datagram holds. */
  connectorLength: 4,
  /** More payload announced than cn len covers. */
  dataSize: 5,
  /** No NUL in the uuid. */
  uuid: 6,
} as const;
export type FrameFault = (typeof FrameFault)[keyof typeof FrameFault];

/** Checks a datagram of `length` bytes at `start` as a request. Never reads outside it. */
export function checkRequestFrame(buffer: Buffer, start: number, length: number): FrameFault {
  if (length < framePayloadOffset || length > frameBytesMax || start < 0 || start + length > buffer.length) {
    return FrameFault.length;
  }
  const nlmsgLength = buffer.readUInt32LE(start + FrameOffset.nlmsgLength);
  if (nlmsgLength < framePayloadOffset || nlmsgLength > length) return FrameFault.netlink;
  if (buffer.readUInt16LE(start + FrameOffset.nlmsgType) !== nlmsgDone) return FrameFault.netlink;
  if (
    buffer.readUInt32LE(start + FrameOffset.cnIndex) !== connectorIndex ||
    buffer.readUInt32LE(start + FrameOffset.cnValue) !== connectorValue
  ) {
    return FrameFault.connectorId;
  }
  const cnLength = buffer.readUInt16LE(start + FrameOffset.cnLength);
  if (cnLength < requestHeaderBytes || frameHeaderBytes + cnLength > nlmsgLength) return FrameFault.connectorLength;
  if (buffer.readUInt32LE(start + FrameOffset.dataSize) > cnLength - requestHeaderBytes) return FrameFault.dataSize;
  return uuidEnd(buffer, start) < 0 ? FrameFault.uuid : FrameFault.none;
}

/** Where the NUL of the uuid stands; -1: it has none. A loop: `indexOf` costs more than all the other checks, and looks on behind the frame. */
function uuidEnd(buffer: Buffer, start: number): number {
  const end = start + FrameOffset.uuid + uuidFieldBytes;
  for (let at = start + FrameOffset.uuid; at < end; at++) if (buffer[at] === 0) return at;
  return -1;
}

/**
 * One request, read in place. Bind it to a frame, use it, bind it to the next.
 *
 * `wellFormed` is false when the frame's lengths do not agree; the header can be read all the same (it is there),
 * so that the request can be answered with -EINVAL, and `dataBytes` is then 0.
 */
export class RequestView {
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #dataBytes = 0;
  #wellFormed = false;

  /** Binds to the datagram of `length` bytes at `start`. False when it has no room for a request's header. */
  bind(buffer: Buffer, start: number, length: number): boolean {
    this.#buffer = buffer;
    this.#start = start;
    const fault = checkRequestFrame(buffer, start, length);
    this.#wellFormed = fault === FrameFault.none;
    if (fault === FrameFault.length) return false;
    this.#dataBytes = this.#wellFormed ? buffer.readUInt32LE(start + FrameOffset.dataSize) : 0;
    return true;
  }

  /** A view of the same request in memory of its own. Allocates: for what has to wait. */
  copied(): RequestView {
    const frame = Buffer.from(this.#buffer.subarray(this.#start, this.#start + framePayloadOffset + this.#dataBytes));
    const copy = new RequestView();
    copy.#buffer = frame;
    copy.#dataBytes = this.#dataBytes;
    copy.#wellFormed = this.#wellFormed;
    return copy;
  }

  get wellFormed(): boolean {
    return this.#wellFormed;
  }
  get seq(): number {
    return this.#buffer.readUInt32LE(this.#start + FrameOffset.seq);
  }
  /** The request type; the upper 24 bits of the field are reserved and masked away. */
  get type(): number {
    return this.#buffer.readUInt8(this.#start + FrameOffset.type);
  }
  get version(): number {
    return this.#buffer.readUInt32LE(this.#start + FrameOffset.version);
  }
  get luidLow(): number {
    return this.#buffer.readUInt32LE(this.#start + FrameOffset.luid);
  }
  get luidHigh(): number {
    return this.#buffer.readUInt32LE(this.#start + FrameOffset.luid + 4);
  }
  /** Bytes of payload. */
  get dataBytes(): number {
    return this.#dataBytes;
  }

  /** True when the uuid is exactly these bytes (no NUL among them). */
  uuidEquals(bytes: Uint8Array): boolean {
    const count = bytes.length;
    if (count > uuidBytesMax) return false;
    const at = this.#start + FrameOffset.uuid;
    if (this.#buffer[at + count] !== 0) return false;
    for (let i = 0; i < count; i++) {
      if (this.#buffer[at + i] !== bytes[i]) return false;
    }
    return true;
  }

  /** The uuid as text, or null when it has no NUL or is not UTF-8. Allocates: for constructors. */
  uuidText(): string | null {
    const at = this.#start + FrameOffset.uuid;
    const nul = uuidEnd(this.#buffer, this.#start);
    if (nul < 0) return null;
    const bytes = this.#buffer.subarray(at, nul);
    const text = bytes.toString('utf8');
    return Buffer.from(text, 'utf8').equals(bytes) ? text : null;
  }

  /**
   * Reads the payload as region numbers; returns how many, or -1 when the size is not a multiple of 8 or more than
   * `into` holds. An entry of 2^53 and more becomes NaN, which no region map contains.
   */
  readRegions(into: Float64Array): number {
    const bytes = this.#dataBytes;
    if (bytes % 8 !== 0 || bytes / 8 > into.length) return -1;
    const count = bytes / 8;
    let at = this.#start + FrameOffset.payload;
    for (let i = 0; i < count; i++) {
      const low = this.#buffer.readUInt32LE(at);
      const high = this.#buffer.readUInt32LE(at + 4);
      into[i] = high < 0x200000 ? high * two32 + low : Number.NaN;
      at += 8;
    }
    return count;
  }

  /** The signed 64-bit value at `index` of the payload; NaN outside it or beyond 2^53 either way. */
  readSigned(index: number): number {
    if (index < 0 || (index + 1) * 8 > this.#dataBytes) return Number.NaN;
    const at = this.#start + FrameOffset.payload + index * 8;
    const value = this.#buffer.readInt32LE(at + 4) * two32 + this.#buffer.readUInt32LE(at);
    return Number.isSafeInteger(value) ? value : Number.NaN;
  }

  /** The payload as text without a trailing NUL, or null when it is too long or not UTF-8. */
  text(): string | null {
    const start = this.#start + FrameOffset.payload;
    const bytes = this.#buffer.subarray(start, start + this.#dataBytes - (this.endsWithNul ? 1 : 0));
    if (bytes.length > constructorBytesMax) return null;
    const text = bytes.toString('utf8');
    return Buffer.from(text, 'utf8').equals(bytes) ? text : null;
  }

  /** True when the last byte of the payload is 0: a constructor that the kernel repeats (R3). */
  get endsWithNul(): boolean {
    return this.#dataBytes > 0 && this.#buffer[this.#start + FrameOffset.payload + this.#dataBytes - 1] === 0;
  }
}

/** Writes both headers of a full reply; the payload is the caller's. Returns the datagram's length. */
export function encodeFullReply(
  buffer: Buffer,
  start: number,
  seq: number,
  type: number,
  error: number,
  dataBytes: number,
): number {
  const length = framePayloadOffset + dataBytes;
  buffer.fill(0, start, start + framePayloadOffset);
  buffer.writeUInt32LE(length, start + FrameOffset.nlmsgLength);
  buffer.writeUInt16LE(nlmsgDone, start + FrameOffset.nlmsgType);
  buffer.writeUInt32LE(connectorIndex, start + FrameOffset.cnIndex);
  buffer.writeUInt32LE(connectorValue, start + FrameOffset.cnValue);
  buffer.writeUInt32LE(seq, start + FrameOffset.cnSeq);
  buffer.writeUInt16LE(requestHeaderBytes + dataBytes, start + FrameOffset.cnLength);
  buffer.writeUInt32LE(requestVersion, start + FrameOffset.version);
  buffer.writeInt32LE(error, start + FrameOffset.error);
  buffer.writeUInt32LE(seq, start + FrameOffset.seq);
  buffer.writeUInt32LE(type, start + FrameOffset.type);
  buffer.writeUInt32LE(dataBytes, start + FrameOffset.dataSize);
  return length;
}

/** Writes a whole number of magnitude below 2^53 as a 64-bit two's complement. */
export function writeValue(buffer: Buffer, at: number, value: number): void {
  const high = Math.floor(value / two32);
  buffer.writeUInt32LE(value - high * two32, at);
  buffer.writeInt32LE(high, at + 4);
}

/** A reply without data; `error` is 0 or negative. Returns the datagram's length. */
export function encodeReply(buffer: Buffer, start: number, seq: number, type: number, error: number): number {
  return encodeFullReply(buffer, start, seq, type, error, 0);
}

/** A reply of one 64-bit value: a region size, a count, a yes or no. */
export function encodeValueReply(buffer: Buffer, start: number, seq: number, type: number, value: number): number {
  writeValue(buffer, start + FrameOffset.payload, value);
  return encodeFullReply(buffer, start, seq, type, 0, 8);
}

/** A reply of two 64-bit values. */
export function encodePairReply(
  buffer: Buffer,
  start: number,
  seq: number,
  type: number,
  first: number,
  second: number,
): number {
  writeValue(buffer, start + FrameOffset.payload, first);
  writeValue(buffer, start + FrameOffset.payload + 8, second);
  return encodeFullReply(buffer, start, seq, type, 0, 16);
}

/** A reply of text, as given: a NUL that is wanted must be in it. Cut at what a frame holds. */
export function encodeTextReply(buffer: Buffer, start: number, seq: number, type: number, text: string): number {
  const bytes = buffer.write(text, start + FrameOffset.payload, frameBytesMax - framePayloadOffset, 'utf8');
  return encodeFullReply(buffer, start, seq, type, 0, bytes);
}

/** The ack form: no header, result in the connector's own fields. `error` is 0 or negative. */
export function encodeAck(buffer: Buffer, start: number, seq: number, error: number): number {
  buffer.fill(0, start, start + frameHeaderBytes);
  buffer.writeUInt32LE(frameHeaderBytes, start + FrameOffset.nlmsgLength);
  buffer.writeUInt16LE(nlmsgDone, start + FrameOffset.nlmsgType);
  buffer.writeUInt32LE(connectorIndex, start + FrameOffset.cnIndex);
  buffer.writeUInt32LE(connectorValue, start + FrameOffset.cnValue);
  buffer.writeUInt32LE(seq, start + FrameOffset.cnSeq);
  // Not `-error`: minus zero is a number on the heap.
  buffer.writeUInt32LE(0 - error, start + FrameOffset.cnAck);
  return frameHeaderBytes;
}
